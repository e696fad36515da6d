"""A model as a folder of our own layout: bit for bit back, and clear words where it does not fit."""

import json

import numpy as np
import pytest

import minigpt as mg
from minigpt.data import PairData
from minigpt.models import EncoderDecoder, EncoderDecoderConfig, load_model
from minigpt.tokenizers import CharTokenizer, WordTokenizer
from minigpt.training import TrainConfig, Trainer

SHAPE = {"vocab_size": 9, "block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8, "start_id": 1, "end_id": 2}


@pytest.fixture
def model():
    return EncoderDecoder(EncoderDecoderConfig(**SHAPE, positions="learned"), seed=3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip(model, tmp_path, dtype):
    model.astype(dtype)
    model.tokenizer = CharTokenizer("abc", ("<start>", "<end>"))
    model.save_pretrained(tmp_path)
    loaded = EncoderDecoder.from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert loaded.training is False
    for (name, a), b in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)
    assert loaded.tokenizer.encode("ab<end>") == [0, 1, 4]
    np.testing.assert_array_equal(loaded.generate([[3, 4]], 5), model.generate([[3, 4]], 5))


def test_the_tokenizer_of_an_earlier_model_does_not_stay(model, tmp_path):
    model.tokenizer = WordTokenizer(["a"])
    model.save_pretrained(tmp_path)
    model.tokenizer = None
    model.save_pretrained(tmp_path)
    with pytest.raises(mg.TokenizerError, match="has no tokenizer"):
        _ = EncoderDecoder.from_pretrained(tmp_path).tokenizer


def test_model_type(model, tmp_path):
    model.save_pretrained(tmp_path)
    with pytest.raises(mg.CheckpointError, match="model_type is 'minigpt-encoder-decoder', a GPT needs 'gpt2'"):
        mg.models.GPT.from_pretrained(tmp_path)
    mg.models.GPT(mg.models.GPTConfig(9, 8, 1, 2, 8), seed=0).save_pretrained(tmp_path)
    with pytest.raises(mg.CheckpointError, match=r"model_type is 'gpt2', an? EncoderDecoder needs"):
        EncoderDecoder.from_pretrained(tmp_path)


def test_weights_of_another_width(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_embd": 16}))
    with pytest.raises(mg.CheckpointError, match=r"wte.weight: shape \(9, 8\) given, \(9, 16\) needed"):
        EncoderDecoder.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_embd": 7}))
    with pytest.raises(mg.CheckpointError, match="not divisible"):
        EncoderDecoder.from_pretrained(tmp_path)


def test_a_tokenizer_that_does_not_fit(model):
    with pytest.raises(mg.ArgumentError, match="knows 10 tokens, the model only 9"):
        model.tokenizer = CharTokenizer("abcdefghij")


def test_a_folder_of_whatever_kind(model, tmp_path):
    model.save_pretrained(tmp_path / "a")
    mg.models.GPT(mg.models.GPTConfig(9, 8, 1, 2, 8), seed=0).save_pretrained(tmp_path / "b")
    assert [type(load_model(tmp_path / name)).__name__ for name in "ab"] == ["EncoderDecoder", "GPT"]
    (tmp_path / "a" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(mg.CheckpointError, match=r"model_type is 'bert', known are gpt2, .*minigpt-encoder-decoder"):
        load_model(tmp_path / "a")


def test_training_goes_on_bit_for_bit(tmp_path):
    """Dropout, label smoothing and the Noam schedule included."""
    rng = np.random.default_rng(0)
    pairs = [(ids, ids[::-1]) for ids in (rng.integers(3, 9, rng.integers(1, 7)).tolist() for _ in range(30))]
    data = PairData(pairs, pairs[:4], start_id=1, end_id=2)
    config = EncoderDecoderConfig(**SHAPE, dropout=0.1, label_smoothing=0.1, norm="post")
    settings = TrainConfig(
        steps=6, batch_size=4, warmup=2, schedule="noam", backend="numpy", workers=1, eval_interval=0, progress=False,
        out=str(tmp_path),
    )  # fmt: skip
    whole = Trainer(EncoderDecoder(config, seed=0), data, settings)
    whole.fit()
    half = Trainer(EncoderDecoder(config, seed=0), data, settings)
    for _ in range(3):
        half.step()
    half.save(tmp_path / "half")
    again = Trainer.resume(tmp_path / "half", data=data)
    again.fit()
    np.testing.assert_array_equal(again.history["loss"], whole.history["loss"])
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert type(Trainer.resume(tmp_path, data=data).model) is EncoderDecoder
