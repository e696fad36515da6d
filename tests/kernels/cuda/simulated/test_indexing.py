"""Indexing by arrays on the simulated card: gather, and scatter_add without atomic additions."""

import numpy as np
import pytest

from kernels.cuda import device, indexing
from kernels.cuda.errors import DeviceError
from kernels.reference import shape as reference


def on_card(key):
    """The key with its arrays on the card."""
    if isinstance(key, tuple):
        return tuple(on_card(part) for part in key)
    return device.from_host(key) if isinstance(key, np.ndarray) else key


def check(x, key, rng):
    """x[key], and its transpose, with the key's arrays on the host and on the card."""
    wanted = x[key]
    dy = np.asarray(rng.standard_normal(wanted.shape).astype(np.float32))
    dx = reference.scatter_add(dy, key, x.shape)
    for given in (key, on_card(key)):
        y = indexing.gather(device.from_host(x), given)
        assert (y.shape, y.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_array_equal(device.to_host(y), wanted)
        got = device.to_host(indexing.scatter_add(device.from_host(dy), given, x.shape))
        np.testing.assert_allclose(got, dx, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(7, 5), (7,), (7, 2, 3), (7, 1)], ids=str)
@pytest.mark.parametrize("ids", [[0], [3, 3, 3], [6, 0, 6, 2, 0], [[1, -1], [-7, 1]], []], ids=str)
def test_rows(shape, ids, rng):
    check(rng.standard_normal(shape, dtype=np.float32), np.array(ids, np.int64), rng)


@pytest.mark.parametrize("type_", [np.int32, np.uint8])
def test_ids_of_other_types(type_, rng):
    check(rng.standard_normal((7, 2), dtype=np.float32), np.array([1, 6, 1], type_), rng)


def test_more_ids_than_lanes_and_more_columns_than_a_warp_adds(rng):
    """70 ids: three glances of 32; 130 columns: two pieces, the second of two columns."""
    check(rng.standard_normal((5, 130), dtype=np.float32), rng.integers(-5, 5, 70), rng)
    check(rng.standard_normal((90, 2), dtype=np.float32), rng.integers(0, 90, 70), rng)


def test_keys_of_other_forms(rng):
    x = rng.standard_normal((4, 3, 5), dtype=np.float32)
    ids, other = np.array([2, 0, 2]), np.array([1, 1, -1])
    for key in [(ids,), (slice(None), ids), (Ellipsis, ids), (ids, Ellipsis), (ids, other), (slice(None), ids, other),
                (ids[:, None], other), (ids, 1), (3, other), (ids, other, ids), (Ellipsis, other, ids)]:  # fmt: skip
        check(x, key, rng)
    np.testing.assert_array_equal(device.to_host(indexing.gather(device.from_host(x), [2, 0])), x[[2, 0]])


def test_masks(rng):
    x = rng.standard_normal((4, 3, 5), dtype=np.float32)
    check(x, x > 0, rng)
    check(x, x[:, :, 0] > 0, rng)
    check(x, np.array([True, False, False, True]), rng)
    check(x, (slice(None), np.array([True, False, True])), rng)
    check(x, (Ellipsis, x[0] > 0), rng)
    check(x, np.zeros(4, bool), rng)


@pytest.mark.parametrize("dtype", [np.int64, bool, np.int32])
def test_gather_of_other_types(dtype, rng):
    x = rng.integers(0, 2, (6, 3)).astype(dtype)
    y = indexing.gather(device.from_host(x), np.array([5, 0, 5]))
    assert y.dtype == dtype
    np.testing.assert_array_equal(device.to_host(y), x[[5, 0, 5]])


def test_views(rng):
    x = rng.standard_normal((6, 4), dtype=np.float32)
    ids = np.array([0, 9, 2, 9, 1, 9, 2])
    view = device.view_of(device.from_host(x), (slice(1, None), slice(None, None, -1)))
    every_other = device.view_of(device.from_host(ids), slice(None, None, 2))
    np.testing.assert_array_equal(device.to_host(indexing.gather(view, every_other)), x[1:, ::-1][ids[::2]])
    row = device.view_of(device.from_host(x), 3)
    np.testing.assert_array_equal(device.to_host(indexing.gather(row, every_other)), x[3][ids[::2]])
    dx = indexing.scatter_add(device.view_of(device.from_host(x), slice(2, 6)), every_other, (3, 4))
    np.testing.assert_allclose(device.to_host(dx), reference.scatter_add(x[2:], ids[::2], (3, 4)), atol=1e-6)


def test_ids_outside():
    """On the host they are an IndexError. On the card nobody looks: NaN comes out, and no other memory is touched."""
    x = np.ones((3, 2), np.float32)
    for key in (np.array([0, 3]), np.array([-4]), (np.array([0]), np.array([2]))):
        with pytest.raises(IndexError, match="out of bounds"):
            indexing.gather(device.from_host(x), key)
        with pytest.raises(IndexError, match="out of bounds"):
            indexing.scatter_add(device.from_host(x), key, (3, 2))
    ids = device.from_host(np.array([0, 3, -4, 2**40]))
    y = device.to_host(indexing.gather(device.from_host(x), ids))
    np.testing.assert_array_equal(y, [[1, 1], [np.nan] * 2, [np.nan] * 2, [np.nan] * 2])
    dx = device.to_host(indexing.scatter_add(device.from_host(np.ones((4, 2), np.float32)), ids, (3, 2)))
    np.testing.assert_array_equal(dx, [[1, 1], [0, 0], [0, 0]])


def test_same_bits_every_time(rng):
    dy, ids = device.from_host(rng.standard_normal((60, 3), dtype=np.float32)), device.from_host(rng.integers(0, 4, 60))
    first, second = (device.to_host(indexing.scatter_add(dy, ids, (4, 3))) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_what_is_missing_is_said_in_words():
    x, ids = device.from_host(np.ones((3, 4, 5), np.float32)), np.array([0, 1])
    for key in [(ids, slice(0, 2)), (ids, slice(None), ids), (None, ids), (x.shape[0] > 2, ids), np.array(True),
                (np.array([True, False, True]), ids), np.array([0.0])]:  # fmt: skip
        for function in (lambda key: indexing.gather(x, key), lambda key: indexing.scatter_add(x, key, (3, 4, 5))):
            with pytest.raises(DeviceError, match="one array of integers or of booleans, or by several"):
                function(key)
    with pytest.raises(IndexError, match="mask of shape"):
        indexing.gather(x, np.array([True, False]))
    for key in [(ids, ids, ids, ids), (ids, slice(None), slice(None), slice(None))]:
        with pytest.raises(IndexError, match="too many indices"):
            indexing.gather(x, key)
    with pytest.raises(DeviceError, match="scatter_add of float32 arrays only, not of int64"):
        indexing.scatter_add(device.from_host(np.ones(2, np.int64)), ids, (3,))
