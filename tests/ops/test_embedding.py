"""Looking rows up, and adding gradients up where an id repeats."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F


@pytest.mark.parametrize("ids", [np.array([[2, 0], [2, 2]]), np.array(1), np.zeros((0, 3), int), np.array([3, 3, 3])])
def test_gradient(ids, rng):
    assert mg.gradcheck(lambda weight: F.embedding(ids, weight), [rng.normal(size=(4, 3))])
    assert mg.gradcheck(lambda weight: F.embedding(ids, weight.T), [rng.normal(size=(2, 4))])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16, np.int32, np.uint64])
def test_any_integer_dtype(dtype):
    weight = mg.Tensor(np.arange(6, dtype=np.float32).reshape(3, 2), requires_grad=True)
    y = F.embedding(np.array([2, 0, 2], dtype)[::-1], weight)
    y.sum().backward()
    np.testing.assert_array_equal(y.numpy(), [[4, 5], [0, 1], [4, 5]])
    np.testing.assert_array_equal(weight.grad, [[1, 1], [0, 0], [2, 2]])
    assert y.dtype == weight.grad.dtype == np.float32


def test_lists_and_tensors_of_ids():
    weight = mg.Tensor(np.eye(3))
    for ids in ([1, 1], mg.Tensor([1, 1])):
        np.testing.assert_array_equal(F.embedding(ids, weight).numpy(), np.eye(3)[[1, 1]])


def test_a_table_of_one_row_used_twice_in_a_graph(rng):
    assert mg.gradcheck(lambda w: F.embedding([0, 0], w) * F.embedding([[0]], w), [rng.normal(size=(1, 3))])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 3, 1], r"id 3 at index \(1,\) is outside 0 … 2"),
        ([[0, 1], [-1, 5]], r"id -1 at index \(1, 0\)"),
        ([0.0, 1.0], r"must be integers, got dtype float32; ids come from a tokenizer"),
        ([True], "must be integers, got dtype bool"),
    ],
)
def test_wrong_ids(ids, message):
    with pytest.raises(mg.ArgumentError, match=message):
        F.embedding(ids, np.ones((3, 2)))


def test_the_table_has_two_axes():
    with pytest.raises(mg.ShapeError, match=r"weight has shape \(3,\), needs two axes"):
        F.embedding([0], np.ones(3))


@pytest.mark.parametrize("row", ["numpy", "cpu"])
def test_rows_are_added_to_a_gradient_that_is_there(row, rng):
    """A table that is read and multiplied with, as GPT's tied head is: in one pass, over two, and as no leaf."""
    start = rng.normal(size=(4, 3))
    ids = np.array([1, 3, 1])
    with mg.use(row):
        w = mg.Tensor(start, requires_grad=True)
        for times in (1, 2):
            (F.linear(F.embedding(ids, w), w, transposed=True)).sum().backward()
            whole = np.ones((3, 4)).T @ start[ids]  # of the head
            np.add.at(whole, ids, np.ones((3, 4)) @ start)  # of the rows that were read
            np.testing.assert_allclose(w.grad, times * whole, rtol=1e-12)
        inner = mg.Tensor(start, requires_grad=True)
        table = inner * 2.0
        (F.embedding(ids, table) * 3.0 + F.embedding(ids, table)).sum().backward()
        expected = np.zeros((4, 3))
        np.add.at(expected, ids, 8.0)
        np.testing.assert_array_equal(inner.grad, expected)
