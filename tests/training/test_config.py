"""Settings of a training run: refused one by one with their name, read from TOML, checked before the first step."""

import dataclasses
import math

import numpy as np
import pytest

from minigpt.backend import backends, best_row, current_row
from minigpt.data import TokenData
from minigpt.errors import BackendError, ConfigError, DataError
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer
from minigpt.training.config import read_toml

V, T = 11, 8


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 2.5),
        ("steps", True),
        ("steps", "100"),
        ("batch_size", 0),
        ("batch_size", None),
        ("lr", 0.0),
        ("lr", -1e-3),
        ("lr", "fast"),
        ("lr", math.nan),
        ("lr", math.inf),
        ("min_lr", -1e-9),
        ("min_lr", 1.0),  # above lr
        ("warmup", -1),
        ("schedule", "linear"),
        ("schedule", None),
        ("weight_decay", -0.1),
        ("weight_decay", math.nan),
        ("weight_decay", math.inf),
        ("betas", (0.9,)),
        ("betas", (0.9, 1.0)),
        ("betas", (-0.1, 0.9)),
        ("betas", ("a", "b")),
        ("betas", 0.9),
        ("betas", None),
        ("grad_clip", -1.0),
        ("grad_clip", math.nan),
        ("accumulate", 0),
        ("workers", 0),
        ("workers", 1.5),
        ("seed", -1),
        ("seed", None),
        ("out", 3),
        ("eval_interval", -1),
        ("eval_tokens", 0),
        ("save_interval", -5),
        ("progress", "no"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        TrainConfig(**{name: value})


def test_noam_needs_a_warmup():
    with pytest.raises(ConfigError, match="schedule noam needs a warmup of at least 1 step"):
        TrainConfig(schedule="noam", warmup=0)
    assert TrainConfig(schedule="noam", warmup=1).schedule == "noam"


def test_warmup_must_fit_into_the_run():
    assert TrainConfig(steps=10, warmup=10).warmup == 10
    with pytest.raises(ConfigError, match=r"warmup \(11 steps\) is longer than the run \(10 steps\)"):
        TrainConfig(steps=10, warmup=11)


def test_borderline_values_are_fine():
    config = TrainConfig(min_lr=0, weight_decay=0, grad_clip=0, warmup=0, eval_interval=0, save_interval=0, lr=1)
    assert (config.lr, config.eval_tokens, config.out, config.backend, config.workers) == (1, None, None, None, None)


@pytest.mark.parametrize("number", [np.int64(7), np.int32(7)])
def test_numpy_integers_count_as_integers(number):
    """They come out of any computation with arrays; everything else in the library takes them."""
    assert TrainConfig(steps=number, warmup=0, seed=number).steps == 7


def test_frozen():
    config = TrainConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.lr = 1.0


def test_round_trip_through_a_dict():
    config = TrainConfig(steps=7, warmup=1, betas=(0.8, 0.9), out="somewhere", eval_tokens=5)
    values = config.to_dict()
    assert values["betas"] == [0.8, 0.9]  # a list, as JSON and TOML have them
    assert TrainConfig.from_dict(values) == config


def test_unknown_settings_are_named():
    with pytest.raises(ConfigError, match=r"unknown settings \['learning_rate', 'stepz'\].*known are.*lr"):
        TrainConfig.from_dict({"stepz": 1, "learning_rate": 2, "lr": 1e-3})


def test_every_setting_explains_itself():
    for field in dataclasses.fields(TrainConfig):
        assert len(field.metadata["help"]) > 10, field.name


def test_from_toml(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[train]\nsteps = 5\nwarmup = 1\nbetas = [0.8, 0.95]\nlr = 2e-3\nprogress = false\n")
    config = TrainConfig.from_toml(path)
    assert config == TrainConfig(steps=5, warmup=1, betas=(0.8, 0.95), lr=2e-3, progress=False)
    path.write_text("[model]\nn_layer = 2\n")
    assert TrainConfig.from_toml(path) == TrainConfig()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[train\n", "run.toml"),
        (b"steps =\n", "run.toml"),
        (b"[train]\nsteps = 5\nsteps = 6\n", "run.toml"),
        ("[train]\nout = 'm\xfcnchen'\n".encode("latin-1"), "run.toml"),
        (b"[train]\nspeed = 5\n", "speed"),
        (b"[train]\nsteps = '5'\n", "steps"),
        (b"train = 5\n", "train"),
        (b"[[train]]\nsteps = 5\n", "train"),
    ],
)
def test_a_bad_toml_file_is_a_config_error(tmp_path, content, message):
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_toml(path)


def test_no_toml_file(tmp_path):
    with pytest.raises(ConfigError, match=r"no configuration file .*none\.toml"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError):
        read_toml(tmp_path)  # a folder


def new_trainer(train_ids=None, val_ids=None, **changes):
    model = GPT(GPTConfig(vocab_size=V, block_size=T, n_layer=1, n_head=2, n_embd=8), seed=0)
    ids = np.arange(60) % V if train_ids is None else train_ids
    usual = {"steps": 3, "warmup": 1, "batch_size": 2, "backend": "numpy", "progress": False}
    return Trainer(model, TokenData(ids, val_ids), TrainConfig(**{**usual, **changes}))


def test_rows_of_the_kernel_table():
    before = current_row().name
    assert new_trainer(backend=None).row == best_row()
    trainer = new_trainer(backend="numpy")
    assert trainer.row == "numpy"
    trainer.step()
    assert current_row().name == before  # the choice is the trainer's own
    with pytest.raises(BackendError, match="nonsense"):
        new_trainer(backend="nonsense")
    for name in (name for name, state in backends().items() if state is not True):
        with pytest.raises(BackendError, match=name):
            new_trainer(backend=name)


@pytest.mark.parametrize("part", ["train_ids", "val_ids"])
def test_ids_beyond_the_vocabulary_are_refused_at_once(part):
    parts = {"train_ids": np.arange(60) % V, "val_ids": np.arange(60) % V}
    parts[part][13] = V
    with pytest.raises(DataError, match=rf"{part}\[13\] is {V}"):
        new_trainer(**parts)


def test_a_text_shorter_than_a_window_is_refused_at_once():
    assert new_trainer(np.zeros(T + 1, int)).step() > 0
    with pytest.raises(DataError, match=rf"train_ids needs at least {T + 1} tokens"):
        new_trainer(np.zeros(T, int))
    with pytest.raises(DataError, match="val_ids"):
        new_trainer(np.zeros(50, int), np.zeros(T, int))
