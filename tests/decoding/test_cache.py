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


def test_rewind():
    """What follows a rewound cache is as if the forgotten tokens had never been there."""
    cache, fresh = (KVCache(load("numpy"), 2, B, H, T, D, np.float32) for _ in range(2))
    k, v = keys(5)
    new_k, new_v = keys(2, seed=1)
    for layer in cache.layers:
        layer.append(k, v)
    cache.rewind(3)
    assert cache.length == 3
    for layer, other in zip(cache.layers, fresh.layers, strict=True):
        other.append(k[:, :, :3], v[:, :, :3])
        for found, wanted in zip(layer.append(new_k, new_v), other.append(new_k, new_v), strict=True):
            np.testing.assert_array_equal(found, wanted)
    for wrong in (6, -1):
        with pytest.raises(mg.ArgumentError, match=f"holds 5 tokens and cannot go back to {wrong}"):
            cache.rewind(wrong)


def test_rewind_after_a_step_that_was_interrupted():
    """The first layer has seen more than the last: what counts is the last."""
    cache = KVCache(load("numpy"), 2, B, H, T, D, np.float32)
    k, v = keys(3)
    for layer in cache.layers:
        layer.append(k[:, :, :2], v[:, :, :2])
    cache.layers[0].append(k[:, :, 2:], v[:, :, 2:])
    cache.rewind(cache.length)
    assert [layer.length for layer in cache.layers] == [2, 2]


@pytest.mark.parametrize(("n", "batch"), [(6, B), (1, 3), (1, 1)])
def test_what_does_not_fit(n, batch):
    cache = KVCache(load("numpy"), 1, B, H, T, D, np.float32).layers[0]
    with pytest.raises(mg.ShapeError, match=f"room for batch 2 and 5 tokens; {batch} rows up to token {n} do not fit"):
        cache.append(*keys(n, batch=batch))
    assert cache.length == 0


# ---- rows


@pytest.mark.parametrize("rows", [[0, 0, 1], [1], [1, 0], [0, 1], [1, 1]], ids=str)
def test_select(rows):
    """Rows are repeated, dropped and reordered, and go on from there."""
    cache = KVCache(load("numpy"), 2, B, H, T, D, np.float32)
    k, v = keys(3)
    for layer in cache.layers:
        layer.append(k, v)
    cache.select(np.array(rows))
    more_k, more_v = keys(1, seed=1, batch=len(rows))
    for layer in cache.layers:
        all_k, all_v = layer.append(more_k, more_v)
        np.testing.assert_array_equal(all_k, np.concatenate([k[rows], more_k], axis=2))
        np.testing.assert_array_equal(all_v, np.concatenate([v[rows], more_v], axis=2))
    assert cache.length == 4
    assert cache.lengths.tolist() == [4] * len(rows)


def test_selected_rows_share_nothing():
    cache = KVCache(load("numpy"), 1, B, H, T, D, np.float32).layers[0]
    cache.append(*keys(2))
    cache.select(np.array([0, 0]))
    cache.k[0] = 7.0
    assert not np.any(cache.k[1] == 7.0)


def test_padding():
    cache = KVCache(load("numpy"), 1, B, H, T, D, np.float32)
    assert cache.mask(3) is None
    assert cache.positions(3).tolist() == [0, 1, 2]
    cache.pad([2, 0])
    assert cache.positions(3).tolist() == [[0, 0, 0], [0, 1, 2]]
    assert cache.mask(3)[:, 0, 0].tolist() == [[False, False, True], [True, True, True]]
    cache.layers[0].append(*keys(3))
    assert cache.positions(1).tolist() == [[1], [3]]
    assert cache.lengths.tolist() == [1, 3]
    cache.select(np.array([1, 0, 0]))
    assert cache.lengths.tolist() == [3, 1, 1]
    assert cache.mask(1).shape == (3, 1, 1, 4)
