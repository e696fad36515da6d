"""Folders of our own layout: what is saved comes back bit for bit, and what does not fit is refused by name."""

import json

import numpy as np
import pytest

from minigpt.data import MaskedData, Masking, TokenData
from minigpt.errors import ArgumentError, CheckpointError
from minigpt.files import FileGroup, read_json, read_tensors
from minigpt.models import GPT, ClassifierConfig, EncoderClassifier, EncoderConfig, GPTConfig, MaskedLM
from minigpt.models.loading import load_model
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer

NUMBERS = {"vocab_size": 13, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 8, "dropout": 0.1}
MODELS = {
    "masked": lambda: MaskedLM(EncoderConfig(**NUMBERS, mask_id=12, bias=False), seed=4),
    "classifier": lambda: EncoderClassifier(
        ClassifierConfig(**NUMBERS, pad_id=3, classes=("no", "yes"), pooling="first", class_weights=(1.0, 2.0)), seed=4
    ),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def test_round_trip(model, tmp_path):
    model.tokenizer = CharTokenizer.train("abcdefghijkl")
    model.save_pretrained(tmp_path)
    assert read_json(tmp_path / "config.json")["model_type"] == model.model_type
    loaded = type(model).from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert not loaded.training
    for (name, p), q in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert np.array_equal(p.data, q.data), name
    assert loaded.tokenizer.encode("abc") == [0, 1, 2]
    loaded.train().loss_sum(
        *([np.ones((1, 2), int)] * 2 if isinstance(model, MaskedLM) else [np.ones((1, 2), int), [1]])
    )
    model.tokenizer = None  # saved again without one: the old file goes
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_float64_stays(model, tmp_path):
    model.astype(np.float64)
    model.save_pretrained(tmp_path)
    assert {p.dtype for p in type(model).from_pretrained(tmp_path).parameters()} == {np.dtype(np.float64)}


def test_another_kind_of_folder(model, tmp_path):
    GPT(GPTConfig(**NUMBERS)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=f"model_type is 'gpt2', an? {type(model).__name__} needs 'minigpt-"):
        type(model).from_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="a GPT needs 'gpt2'"):
        GPT.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no folder"):
        type(model).from_pretrained(tmp_path / "elsewhere")


def test_misfits_are_listed(model, tmp_path):
    model.save_pretrained(tmp_path)
    tensors = read_tensors(tmp_path / "model.safetensors")
    tensors["extra"] = tensors.pop("encoder.ln_f.weight")
    tensors["encoder.wpe.weight"] = tensors["encoder.wpe.weight"][:-1]
    with FileGroup(tmp_path) as files:
        files.tensors("model.safetensors", tensors)
    with pytest.raises(CheckpointError) as caught:
        type(model).from_pretrained(tmp_path)
    message = str(caught.value)
    assert "encoder.wpe.weight: shape (7, 8) given, (8, 8) needed" in message
    assert "encoder.ln_f.weight: missing" in message
    assert f"extra: not a parameter of this {type(model).__name__}" in message


def test_damaged_config(model, tmp_path):
    model.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    for change, message in (({"n_head": 3}, "not divisible"), ({"surprise": 1}, "unknown settings")):
        (tmp_path / "config.json").write_text(json.dumps({**values, **change}))
        with pytest.raises(CheckpointError, match=message):
            type(model).from_pretrained(tmp_path)


def test_the_class_is_found_by_the_folder(model, tmp_path):
    model.save_pretrained(tmp_path)
    assert type(load_model(tmp_path)) is type(model)
    GPT(GPTConfig(**NUMBERS)).save_pretrained(tmp_path / "gpt")
    assert type(load_model(tmp_path / "gpt")) is GPT
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(CheckpointError, match="model_type is 't5'"):
        load_model(tmp_path)


def test_training_goes_on_bit_for_bit(tmp_path):
    """Three steps, saved and resumed with the data passed again, three more: as six in one go."""
    rng = np.random.default_rng(0)
    data = MaskedData(TokenData(rng.integers(0, 12, 200)), Masking(12, 13))
    config = TrainConfig(steps=6, batch_size=4, progress=False, workers=1, backend="numpy", out=str(tmp_path))

    def started():
        return Trainer(MODELS["masked"](), data, config)

    whole, part = started(), started()
    for _ in range(6):
        whole.step()
    for _ in range(3):
        part.step()
    part.save()
    resumed = Trainer.resume(tmp_path, data)
    assert isinstance(resumed.model, MaskedLM)
    resumed.fit()
    assert np.array_equal(resumed.history["loss"], whole.history["loss"])
    with pytest.raises(CheckpointError, match="does not hold its data"):
        Trainer.resume(tmp_path)


def test_a_larger_tokenizer_is_refused(model):
    with pytest.raises(ArgumentError, match="the tokenizer knows 26 tokens, the model only 13"):
        model.tokenizer = CharTokenizer.train("abcdefghijklmnopqrstuvwxyz")
