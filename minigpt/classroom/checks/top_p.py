"""ex_top_p: keep the fewest likeliest tokens that have at least p together, and share 1 among them."""

import numpy as np

from ...decoding.sampling import filter_logits, softmax
from ..exercise import Case, Exercise

exercise = Exercise("top_p", outputs=("probabilities",))


@exercise.reference
def top_p(logits, p):
    return softmax(filter_logits(logits, top_p=p))


def _logits(*probabilities):
    return np.log(np.array([probabilities]))


@exercise.part("one row", points=3)
def one_row(rng):
    yield Case("0.4, 0.3, 0.2 and 0.1, in order", _logits(0.4, 0.3, 0.2, 0.1), 0.6)
    yield Case("the same in another order", _logits(0.1, 0.4, 0.2, 0.3), 0.8)
    yield Case("random logits", 2 * rng.normal(size=(1, 6)), 0.7)


@exercise.part("several rows", points=2)
def rows(rng):
    yield Case("a sure row and an unsure one", np.concatenate([_logits(0.05, 0.9, 0.05), _logits(0.3, 0.3, 0.4)]), 0.65)
    yield Case("four random rows", 2 * rng.normal(size=(4, 4)), 0.8)


@exercise.part("very small and very large p", points=2)
def extreme_p(rng):
    yield Case("the first one has more than p", _logits(0.1, 0.7, 0.2), 0.5)
    yield Case("p next to 0 leaves the likeliest", rng.normal(size=(2, 4)), 1e-6)
    yield Case("p = 1 leaves all", rng.normal(size=(2, 3)), 1.0)
    yield Case("one token in all", np.array([[3.0]]), 0.5)


@exercise.part("large logits, and -inf")
def large(rng):
    yield Case("about 1000", 1000 + rng.normal(size=(2, 4)), 0.7)
    yield Case("one is ruled out before", np.array([[0.5, -np.inf, 0.1, 0.3]]), 0.99)


@exercise.part("equal logits")
def equal(rng):
    yield Case("two of four equal ones", np.zeros((1, 4)), 0.5)
    yield Case("equal ones at the border", np.array([[1.0, 0.0, 2.0, 0.0, 0.0]]), 0.85)


def _kept(logits, p, keep, order=None, finish=None):
    """keep(sorted probabilities, p) says which of them stay; each row by itself."""
    result = np.zeros_like(logits)
    for row, x in enumerate(logits):
        probabilities = softmax(x)
        ids = np.argsort(-x, kind="stable") if order is None else order(x)
        stay = ids[keep(probabilities[ids], p)]
        result[row, stay] = probabilities[stay]
        result[row] = result[row] / result[row].sum() if finish is None else finish(x, result[row])
    return result


def _right(sorted_probabilities, p):
    return np.cumsum(sorted_probabilities) - sorted_probabilities < p


@exercise.mistake(
    "You leave out the token with which the sum reaches p. The kept ones must have at least p together, so it belongs"
    " to them; without it a first token that has p by itself leaves nothing at all."
)
def crossing_left_out(logits, p):
    return _kept(logits, p, lambda q, p: np.cumsum(q) <= p)


@exercise.mistake(
    "You keep one token too many: the first one after the sum has reached p. Keep a token if what lies *before* it is "
    "less than p."
)
def one_too_many(logits, p):
    return _kept(logits, p, lambda q, p: np.concatenate([[True], _right(q, p)[:-1]]))


@exercise.mistake(
    "You did not divide by the sum of what is kept: the row adds up to less than 1. The tokens that stay share the "
    "whole probability."
)
def not_normalised(logits, p):
    return _kept(logits, p, _right, finish=lambda x, kept: kept)


@exercise.mistake(
    "Your probabilities stand in order of size. Each must go back to its token: position i of the result belongs to "
    "token i."
)
def left_sorted(logits, p):
    return -np.sort(-top_p(logits, p), axis=-1)


@exercise.mistake(
    "You add up from the smallest and keep those that make up p: the unlikely ones. Sort the other way round; top-p "
    "cuts the tail off."
)
def tail_kept(logits, p):
    return _kept(logits, p, _right, order=lambda x: np.argsort(x, kind="stable"))


@exercise.mistake(
    "You keep the tokens whose own probability is at least p. What must reach p is the sum over the likeliest; where "
    "no token has as much as p, yours keeps none."
)
def threshold(logits, p):
    return _kept(logits, p, lambda q, p: q >= p)


@exercise.mistake(
    "You keep a share p of the vocabulary, however likely. That is top-k; top-p counts probability, and keeps few "
    "tokens where the model is sure, many where it is not."
)
def share_of_vocabulary(logits, p):
    return _kept(logits, p, lambda q, p: np.arange(len(q)) < max(1, round(p * len(q))))


@exercise.mistake(
    "The tokens that are cut have got the logit 0 rather than -inf. exp(0) is 1: they are still drawn, and may be the "
    "likeliest of all."
)
def zero_logits(logits, p):
    return _kept(logits, p, _right, finish=lambda x, kept: softmax(np.where(kept > 0, x, 0.0)))


@exercise.mistake(
    "You cut all rows after the same number of tokens, as many as the first row needs. Each row has its own sum, and "
    "keeps as many as it needs itself."
)
def as_the_first_row(logits, p):
    count = np.count_nonzero(top_p(logits[:1], p))
    return _kept(logits, p, lambda q, p: np.arange(len(q)) < count)


@exercise.mistake(
    "The softmax and the sums run over all rows together. Each row is a distribution of its own: axis=-1."
)
def over_all_rows(logits, p):
    together = top_p(logits.reshape(1, -1), p).reshape(logits.shape)
    return together if len(logits) == 1 else together / together.sum()


@exercise.mistake(
    "You added up the logits, not the probabilities. Logits may be negative and add up to anything; take the softmax "
    "first."
)
def logits_added(logits, p):
    def stay(x):
        ids = np.argsort(-x, kind="stable")
        kept = np.zeros(len(x), bool)
        kept[ids] = np.cumsum(x[ids]) - x[ids] < p
        return kept

    return _kept(logits, p, _right, finish=lambda x, kept: softmax(np.where(stay(x), x, -np.inf)))


@exercise.mistake(
    "exp overflows: exp(1000) is inf, and inf/inf is nan. Take the row's maximum from the logits before the "
    "exponential."
)
def without_shift(logits, p):
    e = np.exp(logits)
    q = e / e.sum(axis=-1, keepdims=True)
    order = np.argsort(-q, axis=-1, kind="stable")
    largest_first = np.take_along_axis(q, order, axis=-1)
    kept = np.zeros_like(q)
    stay = np.cumsum(largest_first, axis=-1) - largest_first < p
    np.put_along_axis(kept, order, np.where(stay, largest_first, 0 * largest_first), axis=-1)
    return kept / kept.sum(axis=-1, keepdims=True)


@exercise.mistake(
    "Of equal tokens you keep the last ones: a sorted list that is reversed has equal ones in reverse as well. Sort -x "
    'instead, with kind="stable".'
)
def last_of_equals(logits, p):
    return _kept(logits, p, _right, order=lambda x: np.argsort(x, kind="stable")[::-1])


@exercise.mistake(
    "You put the values back by the order itself. order[i] says which token stands at place i; the way back asks at "
    "which place a token stands, which is np.argsort(order). np.put_along_axis writes the right way by itself."
)
def put_back_by_the_order(logits, p):
    order = np.argsort(-logits, axis=-1, kind="stable")
    return np.take_along_axis(left_sorted(logits, p), order, axis=-1)
