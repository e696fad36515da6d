"""KVCache: what goes in comes out in order, and no more than fits."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.backend import load
from minigpt.decoding import KVCache

B, H, T, D = 2, 3, 5, 4


def keys(n, seed=0, batch=B):
    return np.random.default_rng(seed).normal(size=(2, batch, H, n, D)).astype(np.float32)


@pytest.mark.parametrize("pieces", [[5], [1, 1, 1, 1, 1], [2, 3], [4]], ids=str)
def test_append(pieces):
    cache = KVCache(load("numpy"), 1, B, H, T, D, np.float32).layers[0]
    k, v = keys(5)
    start = 0
    for n in pieces:
        all_k, all_v = cache.append(k[:, :, start : start + n], v[:, :, start : start + n])
        start += n
        np.testing.assert_array_equal(all_k, k[:, :, :start])
        np.testing.assert_array_equal(all_v, v[:, :, :start])
        assert cache.length == start
    assert all_k.dtype == np.float32


def test_later_tokens_do_not_change_what_was_handed_out():
    cache = KVCache(load("numpy"), 1, B, H, T, D, np.float32).layers[0]
    k, v = keys(5)
    first, _ = cache.append(k[:, :, :2], v[:, :, :2])
    before = first.copy()
    cache.append(k[:, :, 2:], v[:, :, 2:])
    np.testing.assert_array_equal(first, before)


def test_layers_are_separate():
    cache = KVCache(load("numpy"), 2, B, H, T, D, np.float64)
    k, v = keys(3)
    assert cache.length == 0
    cache.layers[0].append(k, v)
    assert cache.length == 0  # a token counts once the last layer has seen it
    cache.layers[1].append(k, v)
    assert cache.length == 3
    assert cache.layers[0].k.dtype == np.float64


@pytest.mark.parametrize(("n", "batch"), [(6, B), (1, 3), (1, 1)])
def test_what_does_not_fit(n, batch):
    cache = KVCache(load("numpy"), 1, B, H, T, D, np.float32).layers[0]
    with pytest.raises(mg.ShapeError, match=f"room for batch 2 and 5 tokens; {batch} rows up to token {n} do not fit"):
        cache.append(*keys(n, batch=batch))
    assert cache.length == 0
