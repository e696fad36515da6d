"""clip_grad_norm_: one common norm, nothing touched below the limit, nothing touched when a gradient is broken."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn, optim


def parameters(*grads, dtype=np.float64):
    params = []
    for grad in grads:
        p = nn.Parameter(np.zeros(np.shape(grad) if grad is not None else 3, dtype))
        p.grad = None if grad is None else np.array(grad, dtype)
        params.append(p)
    return params


def test_norm_is_global():
    params = parameters([3.0, 0.0], None, [[4.0]], 12.0)
    norm = optim.clip_grad_norm_((p for p in params), 6.5)  # a generator is read once
    assert norm == pytest.approx(13.0, rel=1e-15)
    assert type(norm) is float
    grads = [p.grad for p in params if p.grad is not None]
    np.testing.assert_allclose([grads[0][0], grads[1][0, 0], grads[2]], [1.5, 2.0, 6.0], rtol=1e-6)
    assert params[1].grad is None
    assert np.sqrt(sum((g**2).sum() for g in grads)) <= 6.5


@pytest.mark.parametrize("limit", [13.1, 1e6, float("inf")])
def test_below_the_limit_nothing_changes(limit):
    params = parameters([3.0, 0.0], [4.0], [12.0])
    arrays = [p.grad for p in params]
    assert optim.clip_grad_norm_(params, limit) == pytest.approx(13.0)
    assert all(p.grad is array for p, array in zip(params, arrays, strict=True))
    assert [a.tolist() for a in arrays] == [[3.0, 0.0], [4.0], [12.0]]


def test_no_gradients_and_zero_gradients():
    assert optim.clip_grad_norm_(parameters(None), 1.0) == 0.0
    (p,) = parameters([0.0, 0.0])
    assert optim.clip_grad_norm_([p], 1.0) == 0.0
    assert p.grad.tolist() == [0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_broken_gradients_are_refused(bad, dtype):
    params = parameters([30.0, 1.0], [1.0, bad], [5.0], dtype=dtype)
    before = [p.grad.copy() for p in params]
    with pytest.raises(mg.NumericsError, match="some gradient is NaN or Inf"):
        optim.clip_grad_norm_(params, 1.0)
    for p, grad in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


@pytest.mark.parametrize("size", [1e-25, 1e-3, 1e15, 1e20, 1e30])
def test_float32_gradients_of_any_size(size):
    """The squares of large float32 numbers do not fit into float32; the norm, and the clipped gradients, do."""
    (p,) = parameters([3 * size, 4 * size], dtype=np.float32)
    assert optim.clip_grad_norm_([p], 5e-30) == pytest.approx(5 * size, rel=1e-5)
    assert p.grad.dtype == np.float32


def test_many_float32_numbers():
    """Summing two million squares loses few digits."""
    (p,) = parameters(np.full(2_000_000, 0.1), dtype=np.float32)
    assert optim.clip_grad_norm_([p], 1e9) == pytest.approx(np.float32(0.1) * 2_000_000**0.5, rel=1e-4)


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_wrong_limit(limit):
    with pytest.raises(mg.ArgumentError, match="max_norm must be positive"):
        optim.clip_grad_norm_(parameters([1.0]), limit)


def test_one_tensor_is_a_mistake_or_clipped():
    """Walking through a Tensor gives its rows, which have no gradients: the call must not quietly do nothing."""
    (p,) = parameters([3.0, 4.0])
    try:
        optim.clip_grad_norm_(p, 1.0)
    except mg.ArgumentError:
        return
    np.testing.assert_allclose(np.linalg.norm(p.grad), 1.0, rtol=1e-5)


def test_a_module_is_a_mistake():
    with pytest.raises(mg.ArgumentError, match="parameters"):
        optim.clip_grad_norm_(nn.Linear(2, 2), 1.0)
