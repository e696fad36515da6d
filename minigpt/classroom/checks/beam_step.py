"""ex_beam_step: from the likeliest beginnings of a text to the likeliest ones that are a token longer."""

import numpy as np

from ...decoding.beam import _best
from ...decoding.sampling import log_softmax
from ..exercise import Case, Exercise

exercise = Exercise("beam_step", outputs=("rows", "tokens", "totals"))


@exercise.reference  # the step inside of decoding.beam_search
def beam_step(logits, totals, beams):
    best = _best(totals[:, None] + log_softmax(logits), beams)
    rows, tokens, values = zip(*best, strict=True)
    return np.array(rows, np.int64), np.array(tokens, np.int64), np.array(values)


def _case(label, rng, R, V, beams, shift=0.0):
    """Beams whose logits differ in level: a softmax does not see it, who forgets the softmax does."""
    logits = 1.5 * rng.normal(size=(R, V)) + 3 * rng.normal(size=(R, 1)) + shift
    return Case(label, logits, -np.sort(rng.uniform(0.5, 4, size=R)), beams)


@exercise.part("the first step: one beginning", points=2)
def first(rng):
    yield _case("two of four tokens", rng, 1, 4, 2)
    yield _case("the best only: greedy", rng, 1, 5, 1)


@exercise.part("several beginnings", points=3)
def several(rng):
    yield _case("two beginnings, three tokens", rng, 2, 3, 2)
    yield _case("three beginnings, five tokens", rng, 3, 5, 3)
    yield Case("all of the best come from one beginning", np.array([[0.0, 0.1, 0.2], [2.0, 0.0, 0.0]]),
               np.array([-1.0, -9.0]), 2)  # fmt: skip
    unsure_and_sure = np.array([[1.0, 1.1, 0.9, 1.05], [9.0, 0.0, 0.0, 0.1]])
    yield Case("the second beginning is surer of its next token", unsure_and_sure, np.array([-1.0, -1.2]), 2)


@exercise.part("edges")
def edges(rng):
    yield _case("more beams than extensions", rng, 1, 3, 5)
    yield Case("tokens that are impossible", np.array([[0.0, -np.inf, 1.0], [-np.inf, 0.5, -np.inf]]),
               np.array([-1.0, -1.5]), 5)  # fmt: skip


@exercise.part("logits in the thousands")
def large(rng):
    yield _case("about 1000", rng, 2, 3, 2, shift=1000.0)


def _chosen(scores, beams, order=None):
    """The best of all scores (R, V), impossible ones left out."""
    flat = scores.reshape(-1)
    best = np.argsort(-flat, kind="stable")[:beams] if order is None else order(flat)[:beams]
    best = best[flat[best] > -np.inf]
    return best // scores.shape[1], best % scores.shape[1], flat[best]


@exercise.mistake(
    "You added the logits themselves. Each row has a level of its own, which means nothing: log-probabilities, logits"
    " - log(sum of exp(logits)), can be added up and compared."
)
def logits_added(logits, totals, beams):
    return _chosen(totals[:, None] + logits, beams)


@exercise.mistake(
    "The beginnings' own log-probabilities are forgotten: a likely word after an unlikely beginning then wins. The "
    "log-probability of a text is the sum over all its tokens."
)
def totals_forgotten(logits, totals, beams):
    return _chosen(log_softmax(logits), beams)


@exercise.mistake(
    "You added probabilities to log-probabilities. Probabilities are multiplied, and so their logarithms added."
)
def probabilities_added(logits, totals, beams):
    p = np.exp(log_softmax(logits))
    return _chosen(np.where(p > 0, totals[:, None] + p, -np.inf), beams)


@exercise.mistake("You multiplied the log-probabilities. The product of probabilities is the sum of their logarithms.")
def multiplied(logits, totals, beams):
    return _chosen(totals[:, None] * log_softmax(logits), beams)


@exercise.mistake(
    "Each beginning is extended by its own best token. The beams compete with each other: all may come from one "
    "beginning, and another may die out. Take the best of all R * V extensions."
)
def one_of_each(logits, totals, beams):
    scores = totals[:, None] + log_softmax(logits)
    tokens = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), tokens]
    order = np.argsort(-best, kind="stable")[:beams]
    return order, tokens[order], best[order]


@exercise.mistake(
    "The softmax runs over all beginnings together. Each row of logits is a distribution of its own, for what follows "
    "its beginning."
)
def one_softmax(logits, totals, beams):
    return _chosen(totals[:, None] + log_softmax(logits.reshape(1, -1)).reshape(logits.shape), beams)


@exercise.mistake("The best come last: sorted upwards, as np.argsort does. Wanted is the likeliest first.")
def upwards(logits, totals, beams):
    return tuple(x[::-1] for x in beam_step(logits, totals, beams))


@exercise.mistake("These are the unlikeliest extensions: log-probabilities are negative, and the best is the largest.")
def the_worst(logits, totals, beams):
    return _chosen(totals[:, None] + log_softmax(logits), beams, order=lambda flat: np.argsort(flat, kind="stable"))


@exercise.mistake(
    "Row and token are taken from the flat index by the number of beginnings. In an array (R, V) element n lies in row "
    "n // V, column n % V."
)
def divided_by_rows(logits, totals, beams):
    rows, tokens, values = beam_step(logits, totals, beams)
    n = rows * logits.shape[1] + tokens
    return n // len(logits), n % len(logits), values


@exercise.mistake("Rows and tokens have changed places: first which beginning, then which token.")
def changed_places(logits, totals, beams):
    rows, tokens, values = beam_step(logits, totals, beams)
    return tokens, rows, values


@exercise.mistake(
    "Extensions that are impossible, with a log-probability of -inf, are among the beams. Leave them out: there are "
    "then fewer beams than asked for."
)
def impossible_ones(logits, totals, beams):
    scores = totals[:, None] + log_softmax(logits)
    best = np.argsort(-scores.reshape(-1), kind="stable")[:beams]
    return best // scores.shape[1], best % scores.shape[1], scores.reshape(-1)[best]


@exercise.mistake("exp overflows for logits of 1000, and log(inf) is inf. Take each row's largest logit away first.")
def overflows(logits, totals, beams):
    return _chosen(totals[:, None] + logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), beams)
