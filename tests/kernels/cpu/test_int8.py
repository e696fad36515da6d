"""int8 products on the cpu row: few rows and many, shared by threads or not, are the same numbers."""

import numpy as np
import pytest

from kernels.cpu import int8, threads
from kernels.reference import int8 as reference


def weights(rng, out, inner):
    return reference.int8_quantize(rng.normal(size=(out, inner)).astype(np.float32))


@pytest.mark.parametrize("rows", [0, 1, 3, int8.FEW, int8.FEW + 1, 70])
@pytest.mark.parametrize("out", [1, int8.TILE - 1, int8.TILE, 2 * int8.TILE + 3])
def test_any_number_of_rows(rows, out, dtype, agree, rng):
    q, scale = weights(rng, out, 33)
    x, bias, residual = (rng.normal(size=s).astype(dtype) for s in [(rows, 33), (out,), (rows, out)])
    for more in ((), (bias,), (None, residual), (bias, residual)):
        agree(int8.int8_linear_forward(x, q, scale, *more), reference.int8_linear_forward(x, q, scale, *more))


@pytest.fixture
def with_threads(monkeypatch):
    """A function that sets how many threads share a product."""

    def set_count(count):
        end_crew()
        monkeypatch.setattr(threads.numba, "get_num_threads", lambda: count)

    def end_crew():
        if threads.crew.cache_info().currsize and (helpers := threads.crew(int8._help)):
            helpers.close()
        threads.crew.cache_clear()

    yield set_count
    end_crew()


@pytest.mark.parametrize("shape", [(1500, 900), (1501, 901), (2, 200_000), (3, 900_000), (131_073, 1)])
@pytest.mark.parametrize("rows", [0, 1, 3, 11])
def test_the_number_of_threads_changes_no_bit(shape, rows, with_threads, agree, rng):
    q, scale = rng.integers(-127, 128, shape).astype(np.int8), rng.random(shape[0], np.float32)
    x = rng.normal(size=(rows, shape[1])).astype(np.float32)
    results = []
    for count in (1, 2, 4):
        with_threads(count)
        for _ in range(3):  # the helpers asleep at first, then awake
            results.append(int8.int8_linear_forward(x, q, scale))
        helpers = threads.crew(int8._help)
        assert (0 if helpers is None else len(helpers._threads)) == count - 1
    agree(results[0], reference.int8_linear_forward(x.astype(np.float64), q, scale).astype(np.float32))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("rows", [1, 9])
def test_special_numbers_stay_where_they_are(count, rows, with_threads, agree, rng):
    q, scale = rng.integers(-127, 128, (400, 700)).astype(np.int8), np.ones(400, np.float32)
    q[7], q[8, 3] = 0, 0  # a row of zeros, and one zero that an infinity meets
    x = rng.normal(size=(rows, 700)).astype(np.float32)
    with_threads(count)
    for value in (np.nan, np.inf, 1e38, 0.0):
        x[0, 3] = value
        with np.errstate(all="ignore"):
            agree(int8.int8_linear_forward(x, q, scale), reference.int8_linear_forward(x, q, scale))
    x[:] = 0
    np.testing.assert_array_equal(int8.int8_linear_forward(x, q, scale), np.zeros((rows, 400), np.float32))
