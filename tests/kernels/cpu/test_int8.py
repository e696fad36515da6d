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


def test_the_number_of_threads_changes_no_bit(monkeypatch, rng):
    q, scale = weights(rng, 1500, 900)  # 1.35 MB, several pieces
    x = rng.normal(size=(3, 900)).astype(np.float32)
    results = []
    for count in (1, 2, 4):
        with monkeypatch.context() as patch:
            patch.setattr(threads.numba, "get_num_threads", lambda count=count: count)
            threads.helpers.cache_clear()
            assert threads.helpers()[1] == count - 1
            results.append(int8.int8_linear_forward(x, q, scale))
    threads.helpers.cache_clear()
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
