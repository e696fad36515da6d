"""The stored kernel of tiled_matmul, which everything else is compared with, beside NumPy's product."""

import numpy as np
import pytest

from minigpt.classroom import exercise

pytest.importorskip("greenlet")


@pytest.mark.parametrize(("M", "K", "N"), [(4, 4, 4), (5, 9, 3), (1, 1, 1), (8, 8, 12)])
def test_the_reference_is_the_product(M, K, N):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 10, size=size).astype(np.float32) for size in ((M, K), (K, N)))
    ex = exercise("tiled_matmul")
    y, reads = ex.run(ex.right, a, b)
    np.testing.assert_array_equal(y, a @ b)
    assert reads == M * K * -(-N // 4) + K * N * -(-M // 4)
