"""ex_cross_entropy: the mean of -log softmax(logits)[target], and its gradient."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("cross_entropy", outputs=("loss", "dlogits"))


@exercise.reference
def cross_entropy(logits, targets):
    logits = Tensor(logits, requires_grad=True)
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    return loss.numpy(), logits.grad


def _batch(rng, N, V):
    return rng.normal(size=(N, V)), rng.integers(0, V, N)


@exercise.part("loss", points=2, of=["loss"])
def loss(rng):
    yield Case("three rows, four classes", rng.normal(size=(3, 4)), np.array([2, 0, 3]))
    yield Case("one row", rng.normal(size=(1, 3)), np.array([1]))
    yield Case("five rows", *_batch(rng, 5, 3))
    yield Case("not contiguous in memory", rng.normal(size=(4, 6)).T[::2], np.array([1, 3, 0]))


@exercise.part("gradient", points=2, of=["dlogits"])
def gradient(rng):
    yield Case("three rows, four classes", rng.normal(size=(3, 4)), np.array([2, 0, 3]))
    yield Case("one row", rng.normal(size=(1, 3)), np.array([1]))
    yield Case("five rows", *_batch(rng, 5, 3))


@exercise.part("large logits")
def large_logits(rng):
    yield Case("about 1000", 1000 + rng.normal(size=(2, 3)), np.array([0, 2]))
    yield Case("a target that is next to impossible", np.array([[0.0, 2000.0]]), np.array([0]))


@exercise.part("ignored rows", points=2)
def ignored_rows(rng):
    yield Case("one of three ignored", rng.normal(size=(3, 4)), np.array([2, -100, 3]))
    yield Case("three of five ignored", rng.normal(size=(5, 3)), np.array([-100, 1, -100, 0, -100]))


@exercise.part("float32 stays float32")
def single(rng):
    yield Case("float32", rng.normal(size=(3, 4)).astype(np.float32), np.array([0, 3, 1]))


def _log_softmax(x):
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _parts(logits, targets):
    """(log-probabilities, kept, targets with 0 for ignored ones, one-hot of the kept), as a right answer has them."""
    kept = targets != -100
    safe = np.where(kept, targets, 0)
    one_hot = np.eye(logits.shape[-1], dtype=logits.dtype)[safe]
    return _log_softmax(logits), kept, safe, one_hot


def _answer(logits, targets, loss_of=None, gradient_of=None):
    """The right answer, with one of its two formulas replaced."""
    log_p, kept, safe, one_hot = _parts(logits, targets)
    picked = log_p[np.arange(len(targets)), safe]
    loss = -(picked * kept).sum() / kept.sum() if loss_of is None else loss_of(picked, kept)
    gradient = (np.exp(log_p) - one_hot) * kept[:, None] / kept.sum()
    return loss, gradient if gradient_of is None else gradient_of(np.exp(log_p), one_hot, kept)


@exercise.mistake("You forgot the minus sign: log p is negative, the loss is -log p.")
def without_minus(logits, targets):
    return _answer(logits, targets, loss_of=lambda picked, kept: (picked * kept).sum() / kept.sum())


@exercise.mistake("You added the losses up; wanted is their mean over the rows that are not ignored.")
def sum_of_losses(logits, targets):
    return _answer(logits, targets, loss_of=lambda picked, kept: -(picked * kept).sum())


@exercise.mistake(
    "You divided by the number of logits, N times V. There is one loss per row: divide by the number of rows."
)
def mean_over_logits(logits, targets):
    return _answer(logits, targets, loss_of=lambda picked, kept: -(picked * kept).sum() / logits.size)


@exercise.mistake("This loss is in bits: you took the logarithm to base 2. np.log gives nats.")
def in_bits(logits, targets):
    return _answer(logits, targets, loss_of=lambda picked, kept: -(picked * kept).sum() / kept.sum() / np.log(2))


@exercise.mistake(
    "log_p[:, targets] takes all the target columns from every row, an N x N matrix. One element per row is "
    "log_p[np.arange(N), targets]."
)
def all_target_columns(logits, targets):
    return _answer(logits, targets, loss_of=lambda picked, kept: -_log_softmax(logits)[:, targets].mean())


@exercise.mistake(
    "exp overflows: exp(1000) is inf, and inf/inf is nan. Take the row's maximum from the logits first; it cancels."
)
def without_shift(logits, targets):
    _, kept, safe, one_hot = _parts(logits, targets)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    picked = np.where(kept, np.log(p[np.arange(len(targets)), safe]), 0)
    return -picked.sum() / kept.sum(), (p - one_hot) * kept[:, None] / kept.sum()


@exercise.mistake(
    "The probability became 0 before you took its logarithm. Take the logarithm in the formula, not of the result: "
    "log p = (x - m) - log sum exp(x - m) stays finite."
)
def log_of_zero(logits, targets):
    p = np.exp(_log_softmax(logits))
    return _answer(
        logits,
        targets,
        loss_of=lambda picked, kept: -np.log(p[np.arange(len(targets)), np.where(kept, targets, 0)])[kept].mean(),
    )


@exercise.mistake(
    "Your gradient is that of the sum of the losses. The loss is a mean over N rows, so each row's gradient is "
    "divided by N as well."
)
def gradient_of_the_sum(logits, targets):
    return _answer(logits, targets, gradient_of=lambda p, one_hot, kept: (p - one_hot) * kept[:, None])


@exercise.mistake(
    "Your gradient is the softmax alone. The target's logit also stands in -logit[target], which takes 1 away there."
)
def gradient_without_target(logits, targets):
    return _answer(logits, targets, gradient_of=lambda p, one_hot, kept: p * kept[:, None] / kept.sum())


@exercise.mistake(
    "The sign of your gradient is turned round: it is softmax minus target. A step against it must raise the target's"
    " logit."
)
def gradient_turned_round(logits, targets):
    return _answer(logits, targets, gradient_of=lambda p, one_hot, kept: (one_hot - p) * kept[:, None] / kept.sum())


@exercise.mistake(
    "Rows with target -100 do not count, in the number that you divide by either: divide by the rows that are kept."
)
def divided_by_all_rows(logits, targets):
    share = (targets != -100).mean()
    loss, gradient = _answer(logits, targets)
    return loss * share, gradient * share


@exercise.mistake("A row with target -100 is ignored, so its gradient is zero; yours is not.")
def gradient_in_ignored_rows(logits, targets):
    def gradient(p, one_hot, kept):
        return (p - one_hot * kept[:, None]) / kept.sum()

    return _answer(logits, targets, gradient_of=gradient)


@exercise.mistake(
    "The target -100 means `ignore this row`. You used it as an index: in Python -100 counts from the end, and the "
    "array is not that long. Use np.where(targets == -100, 0, targets) to pick, and set the picked losses to 0."
)
def index_minus_100(logits, targets):
    log_p, N = _log_softmax(logits), len(targets)
    loss = -log_p[np.arange(N), targets].mean()
    gradient = np.exp(log_p)
    gradient[np.arange(N), targets] -= 1
    return loss, gradient / N
