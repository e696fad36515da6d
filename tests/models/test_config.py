"""GPTConfig: which numbers fit together, and what the errors say."""

import dataclasses

import numpy as np
import pytest

import minigpt as mg
from minigpt.models import SHAPES, GPTConfig

GOOD = {"vocab_size": 65, "block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128}


def test_round_trip():
    config = GPTConfig(**GOOD, dropout=0.1, bias=False)
    assert GPTConfig.from_dict(config.to_dict()) == config
    assert GPTConfig(**GOOD).dropout == 0.0
    assert GPTConfig(**GOOD).bias is True
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.n_layer = 5


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "4", None])
def test_sizes(name, value):
    with pytest.raises(mg.ConfigError, match=f"{name} must be a positive integer, got {value!r}"):
        GPTConfig(**{**GOOD, name: value})


def test_numpy_integers():
    """`ids.max() + 1` is the usual way to a vocabulary size; the stored value is a plain int, which JSON can hold."""
    config = GPTConfig(**{**GOOD, "vocab_size": np.array([3, 64]).max() + 1})
    assert type(config.vocab_size) is int


@pytest.mark.parametrize(
    ("n_embd", "n_head", "fits", "width"), [(128, 5, 4, 130), (100, 3, 2, 102), (7, 8, 7, 8), (64, 100, 64, 100)]
)
def test_head_width(n_embd, n_head, fits, width):
    """The two suggestions do fit."""
    with pytest.raises(mg.ConfigError) as caught:
        GPTConfig(**{**GOOD, "n_embd": n_embd, "n_head": n_head})
    message = str(caught.value)
    assert f"n_embd {n_embd} is not divisible by n_head {n_head}" in message
    assert f"n_head={fits} would fit, or n_embd={width}" in message
    GPTConfig(**{**GOOD, "n_embd": n_embd, "n_head": fits})
    GPTConfig(**{**GOOD, "n_embd": width, "n_head": n_head})


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5, float("nan"), True, "0.1", None])
def test_dropout(dropout):
    with pytest.raises(mg.ConfigError, match="dropout"):
        GPTConfig(**GOOD, dropout=dropout)


@pytest.mark.parametrize("eps", [-1e-5, float("nan"), "1e-5", None])
def test_layer_norm_eps(eps):
    with pytest.raises(mg.ConfigError, match="layer_norm_eps"):
        GPTConfig(**GOOD, layer_norm_eps=eps)


@pytest.mark.parametrize("bias", ["false", None, 2])
def test_bias(bias):
    """A word from a settings file would count as true."""
    with pytest.raises(mg.ConfigError, match="bias"):
        GPTConfig(**GOOD, bias=bias)


def test_from_dict_names_what_is_wrong():
    with pytest.raises(mg.ConfigError, match=r"unknown settings \['n_heads'\]; known are .*'n_head'"):
        GPTConfig.from_dict({**GOOD, "n_heads": 4})
    with pytest.raises(mg.ConfigError, match="n_layer"):
        GPTConfig.from_dict({name: value for name, value in GOOD.items() if name != "n_layer"})


def test_named_shapes():
    baby = GPTConfig.named("baby", 65)
    assert (baby.n_layer, baby.n_head, baby.n_embd, baby.block_size, baby.vocab_size) == (4, 4, 128, 64, 65)
    assert GPTConfig.named("baby", 65, n_layer=2, dropout=0.2).n_layer == 2
    for name in SHAPES:
        GPTConfig.named(name, 10)
    with pytest.raises(mg.ConfigError, match="there is no shape 'huge'; there are baby, char, gpt2"):
        GPTConfig.named("huge", 65)
    with pytest.raises(mg.ConfigError, match="n_heads"):
        GPTConfig.named("baby", 65, n_heads=4)
