"""Generators: what is taken for one, and models whose weights are about to be read from a file."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.randomness import Undrawn, as_generator


def test_what_a_generator_is_made_of():
    rng = np.random.default_rng(0)
    assert as_generator(rng) is rng
    assert as_generator(np.int64(3)).integers(100) == np.random.default_rng(3).integers(100)
    for wrong in (-1, True, 1.5, "0", np.random):
        with pytest.raises(mg.ArgumentError, match="rng is a"):
            as_generator(wrong)


def test_undrawn_leaves_weights_alone_and_draws_the_rest():
    rng = Undrawn(3)
    assert as_generator(rng) is rng
    state = rng.bit_generator.state
    layers = [nn.Linear(3, 4, rng=rng), nn.Linear(3, 4, rng=rng, init_std=0.02), nn.Embedding(3, 4, rng=rng)]
    assert rng.bit_generator.state == state  # nothing was drawn
    for layer in layers:
        assert layer.weight.shape == (3, 4)
        assert layer.weight.dtype == np.float32
        layer.weight.data[...] = 1  # writable
    assert layers[0].bias.numpy().tolist() == [0, 0, 0, 0]
    x = mg.Tensor(np.ones((50, 50)))
    dropped = nn.Dropout(0.5, rng=rng)(x).numpy()
    assert 0.3 < (dropped == 0).mean() < 0.7
    assert rng.integers(100) is not None
