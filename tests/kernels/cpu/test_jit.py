"""The two helpers that all kernels stand on: exp in a form that LLVM vectorises, and BLAS on strided tiles."""

import itertools

import numpy as np
import pytest

from kernels.cpu.jit import exp, gemm, kernel


@kernel
def exp_of(x, y):
    for i in range(x.size):
        y[i] = exp(x[i])


@kernel
def call_gemm(transpose_a, transpose_b, alpha, a, b, beta, c):
    gemm(transpose_a, transpose_b, alpha, a, b, beta, c)


def exp_array(x):
    y = np.full_like(x, -1)
    exp_of(x, y)
    return y


# --- exp --------------------------------------------------------------------------------------------------------


def test_exp_is_right_to_half_a_millionth_over_the_whole_range():
    lowest, highest = np.float32(-87.3365), np.float32(88.3762)  # smallest normal number, largest before the clamp
    steps = np.linspace(lowest, highest, 1_000_003).astype(np.float32)
    near_zero = np.float32([s * 2.0**-e for e in range(1, 149) for s in (1, -1)])
    halves = (np.arange(-125, 127) + 0.5) * np.log(2)  # where the rounding of n changes over
    edges = np.concatenate([np.nextafter(np.float32(halves), np.float32(s * 100)) for s in (1, -1)])
    x = np.concatenate([steps, near_zero, edges, [lowest, highest]]).astype(np.float32)
    x = x[(x >= lowest) & (x <= highest)]
    true = np.exp(x.astype(np.float64))
    error = np.abs(exp_array(x) - true) / true
    assert error.max() <= 5e-7, f"{error.max():.3g} at x = {x[error.argmax()]!r}"


def test_exp_of_nothing_is_exactly_one(dtype):
    np.testing.assert_array_equal(exp_array(np.array([0.0, -0.0], dtype)), 1)


def test_exp_below_the_range_is_zero_and_above_it_huge():
    y = exp_array(np.float32([-np.inf, -3e38, -1e4, -104, -87.34]))
    np.testing.assert_array_equal(y, 0)
    y = exp_array(np.float32([88.5, 89, 128, 1e4, 3e38, np.inf]))
    assert (y > 2.4e38).all()  # as jit.py says
    assert np.isfinite(y).all()


def test_exp_in_float64_is_the_library_function():
    x = np.array([-np.inf, -745.0, -708, -1, 1e-300, 3, 709, np.inf])
    np.testing.assert_allclose(exp_array(x), np.exp(x), rtol=4e-16)


def test_exp_of_nan_is_nan_and_spoils_no_neighbour(dtype):
    for place in range(17):  # wherever it stands in a vector of 16
        x = np.ones(17, dtype)
        x[place] = np.nan
        y = exp_array(x)
        assert np.isnan(y[place])
        np.testing.assert_allclose(np.delete(y, place), np.e, rtol=1e-6)


# --- gemm -------------------------------------------------------------------------------------------------------


def inside(array):
    """The same matrix as a piece of a larger one, between numbers that must not be read."""
    around = np.full((array.shape[0] + 3, array.shape[1] + 5), np.nan, array.dtype)
    around[2:-1, 3:-2] = array
    return around[2:-1, 3:-2]


def operands(rng, dtype, n, k, m, transpose_a, transpose_b):
    a = rng.normal(size=(k, n) if transpose_a else (n, k)).astype(dtype)
    b = rng.normal(size=(m, k) if transpose_b else (k, m)).astype(dtype)
    return a, b, (a.T if transpose_a else a) @ (b.T if transpose_b else b)


SIZES = [(1, 1, 1), (1, 7, 5), (5, 1, 7), (7, 5, 1), (64, 3, 65), (2, 130, 3)]
TRANSPOSED = list(itertools.product([False, True], repeat=2))


@pytest.mark.parametrize(("n", "k", "m"), SIZES)
@pytest.mark.parametrize("transposed", TRANSPOSED, ids=["NN", "NT", "TN", "TT"])
def test_gemm_in_all_transpositions(n, k, m, transposed, dtype, agree, rng):
    a, b, product = operands(rng, dtype, n, k, m, *transposed)
    before = rng.normal(size=(n, m)).astype(dtype)
    for place in (np.array, inside):
        for alpha, beta in [(1.0, 0.0), (-0.5, 1.0), (2.0, 0.25), (0.0, 1.0)]:
            c = place(before)
            call_gemm(*transposed, alpha, place(a), place(b), beta, c)
            agree(c, (alpha * product + beta * before).astype(dtype), 1e-5 if dtype == np.float32 else 1e-13)


def test_with_beta_zero_nothing_of_c_is_read(dtype, agree, rng):
    for n, k, m in SIZES:
        a, b, product = operands(rng, dtype, n, k, m, False, True)
        c = inside(np.full((n, m), np.nan, dtype))
        call_gemm(False, True, 3.0, a, b, 0.0, c)
        agree(c, 3 * product, 1e-5 if dtype == np.float32 else 1e-13)


def test_gemm_writes_only_into_c(dtype, rng):
    a, b, _ = operands(rng, dtype, 4, 3, 5, False, False)
    around = np.full((7, 10), 9.0, dtype)
    kept = a.copy(), b.copy()
    call_gemm(False, False, 1.0, a, b, 0.0, around[2:6, 3:8])
    np.testing.assert_array_equal(a, kept[0])
    np.testing.assert_array_equal(b, kept[1])
    around[2:6, 3:8] = 9
    np.testing.assert_array_equal(around, 9)


@pytest.mark.parametrize("transposed", TRANSPOSED, ids=["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize(("n", "k", "m"), [(3, 0, 4), (0, 2, 3), (3, 2, 0), (0, 0, 0), (1, 0, 1)])
def test_gemm_of_nothing(n, k, m, transposed, dtype, rng):
    """A sum over no terms is zero; beta still counts."""
    a, b, _ = operands(rng, dtype, n, k, m, *transposed)
    c = np.full((n, m), np.nan, dtype)
    call_gemm(*transposed, 1.0, a, b, 0.0, c)
    np.testing.assert_array_equal(c, 0)
    c = np.full((n, m), 3.0, dtype)
    call_gemm(*transposed, 1.0, a, b, 0.5, c)
    np.testing.assert_array_equal(c, 1.5)


def test_gemm_takes_a_single_row_with_whatever_stride(dtype, agree, rng):
    """NumPy gives an axis of length 1 any stride, 0 for x[None]; BLAS must not be told of it."""
    a, b, product = operands(rng, dtype, 1, 6, 4, False, False)
    row = np.lib.stride_tricks.as_strided(a, (1, 6), (0, a.itemsize))
    c = np.full((1, 4), np.nan, dtype)
    call_gemm(False, False, 1.0, row, b, 0.0, c)
    agree(c, product, 1e-5)


def test_gemm_outside_a_kernel_is_numpy(rng):
    for transposed in TRANSPOSED:
        a, b, product = operands(rng, np.float64, 3, 4, 5, *transposed)
        c = np.full((3, 5), np.nan)
        gemm(*transposed, 2.0, a, b, 0.0, c)
        np.testing.assert_allclose(c, 2 * product, rtol=1e-13)
        gemm(*transposed, 1.0, a, b, 0.5, c)
        np.testing.assert_allclose(c, 2 * product, rtol=1e-13)
