"""The counter-based generator behind dropout, against SplitMix64's known output."""

import numpy as np
import pytest

from kernels.reference.dropout import dropout_forward, keep_mask, random_bits

MASK = 2**64 - 1


def splitmix64(seed):
    """The generator with Python's unbounded integers: one number after another."""
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def test_known_first_numbers_of_seed_zero():
    first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    np.testing.assert_array_equal(random_bits(0, 3, 0), [z >> 32 for z in first])


@pytest.mark.parametrize("key", [0, 1, 12345678901234567890, MASK])
@pytest.mark.parametrize("start", [0, 5])
def test_counting_equals_stepping(key, start):
    steps = splitmix64(key)
    expected = [next(steps) >> 32 for _ in range(start + 20)][start:]
    np.testing.assert_array_equal(random_bits(start, 20, key), expected)
    assert random_bits(start, 0, key).shape == (0,)


def test_threshold():
    """Kept where the 32 bits are at least p * 2^32: p = 0 keeps all, p = 1 none, and a larger p keeps a subset."""
    assert keep_mask((1000,), 0.0, key=3).all()
    assert not keep_mask((1000,), 1.0, key=3).any()
    assert (keep_mask((1000,), 0.7, key=3) <= keep_mask((1000,), 0.2, key=3)).all()
    assert keep_mask((), 0.0, key=3).shape == ()


def test_half_a_batch():
    whole = keep_mask((6, 3, 2), 0.5, key=8)
    np.testing.assert_array_equal(keep_mask((2, 3, 2), 0.5, 8, first_example=4), whole[4:])


def test_kept_elements_are_enlarged_by_the_share_that_is_left():
    x = np.arange(1.0, 101.0)
    y = dropout_forward(x, 0.2, key=1)
    keep = keep_mask((100,), 0.2, key=1)
    np.testing.assert_allclose(y, np.where(keep, x * 1.25, 0))
