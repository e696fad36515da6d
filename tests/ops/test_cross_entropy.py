"""Cross entropy: against log-softmax, ignored targets, smoothing, extremes."""

import math

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F

SHAPES = [(5,), (3, 5), (2, 3, 4), (3, 1), (0, 4), (2, 0, 4)]


def targets_for(rng, shape, ignored=None):
    targets = rng.integers(0, shape[-1], shape[:-1])
    if ignored is not None and targets.size > 1:
        targets = np.where(np.arange(targets.size).reshape(targets.shape) % 2 == 1, ignored, targets)
    return targets


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_and_definition(shape, reduction, smoothing, rng):
    logits, targets = rng.normal(size=shape), targets_for(rng, shape, ignored=-100)
    if targets.size == 0 and reduction == "mean":
        with pytest.raises(mg.ArgumentError, match="all 0 targets are ignore_index"):
            F.cross_entropy(logits, targets)
        return
    settings = {"reduction": reduction, "label_smoothing": smoothing}
    assert mg.gradcheck(lambda logits: F.cross_entropy(logits, targets, **settings), [logits])

    kept = targets != -100
    log_p = F.log_softmax(logits).numpy()
    right = np.take_along_axis(log_p, np.where(kept, targets, 0)[..., None], axis=-1)[..., 0]
    losses = np.where(kept, -(1 - smoothing) * right - smoothing * log_p.mean(axis=-1), 0)
    expected = {"none": losses, "sum": losses.sum(), "mean": losses.sum() / max(kept.sum(), 1)}[reduction]
    actual = F.cross_entropy(logits, targets, **settings)
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12, atol=1e-14)


def test_gradient_through_a_view(rng):
    logits, targets = rng.normal(size=(4, 6)), rng.integers(0, 4, 3)
    assert mg.gradcheck(lambda x: F.cross_entropy(x.T[::2], targets), [logits])


def test_knowing_nothing_costs_the_logarithm_of_the_vocabulary():
    assert F.cross_entropy(np.zeros((2, 65)), [3, 64]).item() == pytest.approx(math.log(65), rel=1e-14)
    assert F.cross_entropy([[0.0, math.log(3)]], [1]).item() == pytest.approx(math.log(4 / 3), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_any_integer_dtype_of_targets(dtype, rng):
    """An unsigned dtype cannot hold ignore_index -100, which must neither match 156 nor raise."""
    logits = rng.normal(size=(3, 200 if dtype is np.uint8 else 5))
    targets = np.array([156, 1, 0] if dtype is np.uint8 else [4, 1, 0], dtype)
    expected = -np.mean([F.log_softmax(logits).numpy()[i, int(t)] for i, t in enumerate(targets)])
    assert F.cross_entropy(logits, targets).item() == pytest.approx(expected, rel=1e-12)


def test_ignored_rows_have_neither_loss_nor_gradient(rng):
    logits = mg.Tensor(rng.normal(size=(4, 3)), requires_grad=True)
    losses = F.cross_entropy(logits, [1, 7, 2, 7], ignore_index=7, reduction="none")
    losses.backward(np.ones(4))
    np.testing.assert_array_equal(losses.numpy() == 0, [False, True, False, True])
    np.testing.assert_array_equal(logits.grad[[1, 3]], 0)
    np.testing.assert_allclose(logits.grad.sum(axis=-1), 0, atol=1e-15)  # probabilities minus targets


def test_an_ignore_index_inside_the_vocabulary(rng):
    """Padding with id 0: those rows count for nothing, though 0 is a class."""
    logits, targets = rng.normal(size=(3, 4)), np.array([0, 2, 0])
    expected = F.cross_entropy(logits[1:2], targets[1:2]).item()
    assert F.cross_entropy(logits, targets, ignore_index=0).item() == pytest.approx(expected)
    assert mg.gradcheck(lambda x: F.cross_entropy(x, targets, ignore_index=0), [logits])


def test_every_target_ignored():
    logits = mg.Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(mg.ArgumentError, match=r"all 2 targets are ignore_index \(-100\)"):
        F.cross_entropy(logits, [-100, -100])
    loss = F.cross_entropy(logits, [-100, -100], reduction="sum")
    loss.backward()
    assert loss.item() == 0
    np.testing.assert_array_equal(logits.grad, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits(dtype):
    logits = mg.Tensor(np.array([[1e4, -1e4, 0], [-1e30, 1e30, 0]], dtype), requires_grad=True)
    loss = F.cross_entropy(logits, [1, 1], reduction="none")
    np.testing.assert_array_equal(loss.numpy(), [2e4, 0])
    loss.sum().backward()
    np.testing.assert_array_equal(logits.grad, [[1, -1, 0], [0, 0, 0]])
    assert loss.dtype == dtype


def test_classes_ruled_out_by_minus_infinity():
    logits = mg.Tensor([[0.0, -np.inf, 0.0]], requires_grad=True)
    loss = F.cross_entropy(logits, [0])
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    np.testing.assert_array_equal(logits.grad, [[-0.5, 0, 0.5]])


LOGITS = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.cross_entropy(LOGITS, [0, 3]), mg.ArgumentError, r"target 3 at index \(1,\) is outside 0 … 2 \(V"),
        (lambda: F.cross_entropy(LOGITS, [-1, 0]), mg.ArgumentError, "target -1 at index"),
        (lambda: F.cross_entropy(LOGITS, [0.0, 1.0]), mg.ArgumentError, "must be integers"),
        (lambda: F.cross_entropy(LOGITS, [0]), mg.ShapeError, r"logits \(N=2, V=3\) need targets \(N=2,\).*got \(1,\)"),
        (lambda: F.cross_entropy(np.zeros((2, 0)), [0, 0]), mg.ShapeError, "must be"),
        (lambda: F.cross_entropy(np.float64(1), 0), mg.ShapeError, "must be"),
        (lambda: F.cross_entropy(LOGITS, [0, 1], reduction="avg"), mg.ArgumentError, "'sum' or 'none', got 'avg'"),
        (lambda: F.cross_entropy(LOGITS, [0, 1], label_smoothing=1.1), mg.ArgumentError, r"0 … 1, got 1\.1"),
    ],
)  # fmt: skip
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
