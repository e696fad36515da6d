"""ex_perplexity: how many tokens a language model hesitates between, on texts of different lengths."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("perplexity", outputs=("perplexity",))


@exercise.reference
def perplexity(logits, ids, lengths):
    targets = np.where(np.arange(1, ids.shape[1]) < lengths[:, None], ids[:, 1:], -100)  # (B, T - 1)
    return float(np.exp(F.cross_entropy(Tensor(logits[:, :-1]), targets).item()))


def _case(label, rng, lengths, V, spread=1.0, shift=0.0):
    B, T = len(lengths), max(lengths)
    logits = spread * rng.normal(size=(B, T, V)) + shift
    return Case(label, logits, rng.integers(0, V, size=(B, T)), np.array(lengths))


@exercise.part("one text", points=2)
def one(rng):
    yield _case("two tokens: one prediction", rng, [2], 3)
    yield _case("four tokens", rng, [4], 5)


@exercise.part("several texts of one length")
def several(rng):
    yield _case("two of four", rng, [4, 4], 5)


@exercise.part("texts of different lengths", points=2)
def lengths(rng):
    yield _case("two tokens and five", rng, [2, 5], 4)
    yield _case("three texts", rng, [4, 6, 3], 3)


@exercise.part("edges")
def edges(rng):
    yield Case("all tokens equally likely", np.full((1, 3, 7), 2.0), np.array([[1, 4, 6]]), np.array([3]))
    yield _case("a text of one token predicts nothing", rng, [1, 4], 3)


@exercise.part("logits in the thousands")
def large(rng):
    yield _case("about 1000", rng, [3, 4], 3, shift=1000.0)


def _losses(logits, targets):
    """-log p of each target, (B, T)"""
    m = logits.max(-1, keepdims=True)
    log_p = logits - m - np.log(np.exp(logits - m).sum(-1, keepdims=True))
    return -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]


def _parts(logits, ids, lengths):
    """Losses (B, T - 1), and which of them count."""
    return _losses(logits[:, :-1], ids[:, 1:]), np.arange(1, ids.shape[1]) < lengths[:, None]


def _exp(x):
    return float(np.exp(x))


@exercise.mistake(
    "Nothing is shifted: you asked for the probability of the token that the model has just read. The logits at t say "
    "what comes at t + 1."
)
def not_shifted(logits, ids, lengths):
    real = np.arange(ids.shape[1]) < lengths[:, None]
    return _exp(_losses(logits, ids)[real].mean())


@exercise.mistake(
    "Shifted the wrong way: the logits at t + 1 are set against the token at t, which lies before. Leave out the last "
    "logits and the first token."
)
def shifted_backward(logits, ids, lengths):
    _, counts = _parts(logits, ids, lengths)
    return _exp(_losses(logits[:, 1:], ids[:, :-1])[counts].mean())


@exercise.mistake("The padding is counted as well. What stands behind a text's length is no token and says nothing.")
def padding_counted(logits, ids, lengths):
    return _exp(_parts(logits, ids, lengths)[0].mean())


@exercise.mistake(
    "One prediction too many: the last token of a text has no successor in it, and what stands behind is padding. A "
    "text of n tokens has n - 1 predictions."
)
def one_too_many(logits, ids, lengths):
    losses, _ = _parts(logits, ids, lengths)
    return _exp(losses[np.arange(ids.shape[1] - 1) < lengths[:, None]].mean())


@exercise.mistake(
    "You took the mean of each text, and then the mean of these: a word of a short text then counts more than one of a "
    "long text. Add up all losses and divide by the number of all predictions."
)
def mean_of_means(logits, ids, lengths):
    losses, counts = _parts(logits, ids, lengths)
    means = [row[c].mean() for row, c in zip(losses, counts, strict=True) if c.any()]
    return _exp(np.mean(means))


@exercise.mistake(
    "The losses of the padding are set to 0, but it is still counted in the mean: divide by the number of predictions, "
    "not by the size of the array."
)
def divided_by_the_size(logits, ids, lengths):
    losses, counts = _parts(logits, ids, lengths)
    return _exp((losses * counts).mean())


@exercise.mistake(
    "The exponential comes before the mean: one unlikely token then outweighs everything. First the mean loss, then "
    "exp."
)
def mean_of_exponentials(logits, ids, lengths):
    losses, counts = _parts(logits, ids, lengths)
    return float(np.exp(losses[counts]).mean())


@exercise.mistake("This is the mean loss in nats; the perplexity is exp of it.")
def without_exp(logits, ids, lengths):
    losses, counts = _parts(logits, ids, lengths)
    return float(losses[counts].mean())


@exercise.mistake("exp of the sum grows with the length of the text; the perplexity is that of a token: take the mean.")
def of_the_sum(logits, ids, lengths):
    losses, counts = _parts(logits, ids, lengths)
    return _exp(losses[counts].sum())


@exercise.mistake(
    "2 to the power of a loss in nats: the two do not fit together. Natural logarithm and exp, or log2 and 2 ** loss."
)
def base_two(logits, ids, lengths):
    losses, counts = _parts(logits, ids, lengths)
    return float(2.0 ** losses[counts].mean())


@exercise.mistake(
    "This is 1 over the mean probability. The perplexity is 1 over the geometric mean: the mean is taken of the "
    "logarithms."
)
def of_the_mean_probability(logits, ids, lengths):
    losses, counts = _parts(logits, ids, lengths)
    return float(1 / np.exp(-losses[counts]).mean())


@exercise.mistake("The sign is missing: a loss is -log p. As it is, the perplexity is below 1, which none can be.")
def without_sign(logits, ids, lengths):
    losses, counts = _parts(logits, ids, lengths)
    return _exp(-losses[counts].mean())


@exercise.mistake("exp overflows and gives inf / inf = nan: take the largest logit of each position away first.")
def overflows(logits, ids, lengths):
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    losses = -np.log(np.take_along_axis(p[:, :-1], ids[:, 1:, None], axis=-1)[..., 0])
    return _exp(losses[np.arange(1, ids.shape[1]) < lengths[:, None]].mean())
