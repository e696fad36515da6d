"""Dropout on the simulated card: masks equal to the reference's, bit for bit."""

import numpy as np
import pytest

from kernels.cuda import device, dropout
from kernels.cuda.ladder import LADDERS
from kernels.reference import dropout as reference


@pytest.mark.parametrize("shape", [(1,), (3, 5), (4, 7, 8), (2, 300), (0, 4)], ids=str)
@pytest.mark.parametrize("p", [0.1, 0.5, 1.0, 1e-9, 1 - 1e-9])
def test_same_elements_dropped(shape, p, rng):
    x = rng.standard_normal(shape, dtype=np.float32) + 3
    key = int(rng.integers(0, 2**64, dtype=np.uint64))
    got = device.to_host(dropout.dropout_forward(device.from_host(x), p, key))
    np.testing.assert_array_equal(got, reference.dropout_forward(x, p, key))


def test_nothing_to_drop_gives_x_itself(rng):
    x = device.from_host(np.ones(3, np.float32))
    assert dropout.dropout_forward(x, 0.0) is x


@pytest.mark.parametrize("C", [3, 4])
@pytest.mark.parametrize("key", [0, 1, 2**64 - 1])
def test_half_a_batch_gets_the_masks_of_the_whole(key, C):
    whole = device.from_host(np.ones((6, 2, C), np.float32))
    both = device.to_host(dropout.dropout_forward(whole, 0.5, key))
    second = dropout.dropout_forward(device.view_of(whole, slice(3, 6)), 0.5, key, first_example=3)
    np.testing.assert_array_equal(device.to_host(second), both[3:])


def test_elements_are_counted_beyond_32_bits():
    """The six-billionth example: its number does not fit into the card's usual counters."""
    x = np.ones((2, 4), np.float32)
    got = dropout.dropout_forward(device.from_host(x), 0.5, 7, first_example=6 * 10**9)
    np.testing.assert_array_equal(device.to_host(got), reference.dropout_forward(x, 0.5, 7, 6 * 10**9))


def test_views(rng):
    x = rng.standard_normal((4, 6), dtype=np.float32)
    key = (slice(None, None, -1), slice(0, 6, 2))
    got = dropout.dropout_forward(device.view_of(device.from_host(x), key), 0.3, 5)
    np.testing.assert_array_equal(device.to_host(got), reference.dropout_forward(x[key], 0.3, 5))


@pytest.mark.parametrize("rung", LADDERS["dropout"], ids=lambda rung: f"v{rung.number}")
@pytest.mark.parametrize("n", [4, 1028])
def test_every_rung(rung, n, rng):
    x, y = rng.standard_normal(n, dtype=np.float32), np.empty(n, np.float32)
    blocks = -(-n // (dropout.THREADS if rung.number == 1 else 4 * dropout.THREADS))
    rung.function(blocks, dropout.THREADS, x, 2**33, 2**63 + 1, round(0.4 * 2**32), 1 / 0.6, y, n)
    keep = reference.random_bits(2**33, n, 2**63 + 1) >= round(0.4 * 2**32)
    np.testing.assert_array_equal(y, x * keep * np.float32(1 / 0.6))
