"""The gradient checker itself: it must find what is wrong, and say where."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F


class Scaled(mg.Op):
    """y = 3 x, whose backward multiplies by whatever factors are given: wrong wherever they are not 3."""

    @staticmethod
    def forward(ctx, x, factors=3.0):
        ctx.factors = factors
        return x * 3.0

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.factors


def test_a_right_backward_passes():
    assert mg.gradcheck(Scaled.apply, np.ones((2, 3))) is True
    assert mg.gradcheck(lambda a, b: (a @ b, a.sum()), [np.ones((2, 3)), np.ones((3, 2), np.float32)]) is True


def test_a_wrong_backward_is_named_with_both_values():
    with pytest.raises(mg.GradcheckError) as caught:
        mg.gradcheck(lambda x: Scaled.apply(x, factors=2.0).sum(), [mg.Tensor([1.0], name="weight")])
    # the sum is weighted with a number of size 0.5 to 1.5, the same in both values
    words = str(caught.value).replace(",", "").split()
    analytic, numeric = float(words[words.index("gave") + 1]), float(words[words.index("differences") + 1])
    assert "input 0 (weight) at index (0,)" in str(caught.value)
    assert analytic / numeric == pytest.approx(2 / 3, rel=1e-5)
    assert isinstance(caught.value, AssertionError), "so that a test that only calls gradcheck fails as a test"


@pytest.mark.parametrize("place", [(0, 0), (3, 2), (6, 4)])
def test_one_wrong_element_of_many_is_found(place):
    factors = np.full((7, 5), 3.0)
    factors[place] = 3.01
    with pytest.raises(mg.GradcheckError, match=rf"input 1 at index \({place[0]}, {place[1]}\)"):
        mg.gradcheck(lambda a, x: a + Scaled.apply(x, factors=factors), [np.ones(5), np.ones((7, 5))])


def test_the_worst_of_several_wrong_elements_is_named():
    factors = np.array([3.0, 3.1, 9.0, 3.2])
    with pytest.raises(mg.GradcheckError, match=r"index \(2,\).*worst"):
        mg.gradcheck(lambda x: Scaled.apply(x, factors=factors), np.ones(4))


def test_errors_that_cancel_in_the_sum_are_found():
    """Gradients swapped between two elements: a check of the plain sum would see nothing."""

    class Swapped(mg.Op):
        @staticmethod
        def forward(ctx, x):
            return x * np.array([2.0, 2.0])

        @staticmethod
        def backward(ctx, dy):
            return dy[::-1] * 2.0

    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(Swapped.apply, np.ones(2))


def test_a_wrong_gradient_of_the_second_output_only():
    class Pair(mg.Op):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0, x * 5.0

        @staticmethod
        def backward(ctx, da, db):
            return da * 2.0 + db * 4.0

    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(Pair.apply, np.ones(2))
    assert mg.gradcheck(lambda x: Pair.apply(x)[0], np.ones(2))


def test_a_gradient_that_is_missing_nan_or_too_small_to_see():
    for factors in (0.0, np.nan, np.inf):
        with pytest.raises(mg.GradcheckError):
            mg.gradcheck(lambda x, f=factors: Scaled.apply(x, factors=f), np.ones(2))
    with pytest.raises(mg.GradcheckError, match="does not depend on its inputs"):
        mg.gradcheck(lambda x: x.detach() * 2.0, np.ones(2))
    with pytest.raises(mg.GradcheckError, match="input 1"):
        mg.gradcheck(lambda a, b: a * b.detach(), [np.ones(2), np.ones(2)])


def test_tolerances():
    def nearly(x):
        return Scaled.apply(x, factors=3.003)  # wrong by one part in a thousand

    assert mg.gradcheck(nearly, np.ones(2), rtol=1e-2)
    assert mg.gradcheck(nearly, np.ones(2), atol=1e-2)
    with pytest.raises(mg.GradcheckError, match=r"rtol 0\.0001, atol 1e-06"):
        mg.gradcheck(nearly, np.ones(2))


def test_random_functions_are_refused(rng):
    with pytest.raises(mg.ArgumentError, match=r"must not be random.*fixed int seed"):
        mg.gradcheck(lambda x: F.dropout(x, 0.5, rng=rng), np.ones(50))
    assert mg.gradcheck(lambda x: F.dropout(x, 0.5, rng=1), np.ones(50))


def test_nothing_to_check():
    with pytest.raises(mg.ArgumentError, match="no input is a float array"):
        mg.gradcheck(lambda ids: ids, [np.arange(3)])
    with pytest.raises(mg.ArgumentError, match="fn returned no float tensor"):
        mg.gradcheck(lambda x: x > 0, np.ones(3))
    assert mg.gradcheck(lambda x: x.sum(), np.zeros((0, 3)))


def test_integers_and_booleans_are_passed_on_as_they_are():
    seen = []

    def choose(ids, mask, weight):
        seen.append((ids.dtype, mask.dtype, weight.dtype))
        return mg.where(mask, F.embedding(ids, weight), 0.0)

    assert mg.gradcheck(choose, [np.array([1, 0], np.int32), np.array([[True], [False]]), np.ones((2, 2), np.float32)])
    assert set(seen) == {(np.dtype(np.int32), np.dtype(bool), np.dtype(np.float64))}


def test_inputs_are_left_as_they_were():
    """Checked in float64 on copies: neither values nor gradients of what was passed change."""
    array, tensor = np.linspace(0, 1, 5), mg.Tensor(np.ones(5, np.float32), requires_grad=True)
    before = array.copy()
    assert mg.gradcheck(lambda a, b: (a * b).exp(), [array, tensor])
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(tensor.numpy(), 1)
    assert tensor.grad is None
    assert tensor.dtype == np.float32


def test_single_numbers_and_single_inputs():
    assert mg.gradcheck(lambda x: x * x, 3.0)
    assert mg.gradcheck(lambda x: x.exp(), mg.Tensor(0.5))
    with pytest.raises(mg.GradcheckError, match=r"input 0: backward gave"):
        mg.gradcheck(lambda x: Scaled.apply(x, factors=1.0), 3.0)
