"""A model as a folder of our own layout: bit for bit back, and clear words where it does not fit."""

import json

import numpy as np
import pytest

import minigpt as mg
from minigpt.models import EncoderDecoder, EncoderDecoderConfig
from minigpt.tokenizers import CharTokenizer, WordTokenizer

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
