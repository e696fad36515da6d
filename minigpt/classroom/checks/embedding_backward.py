"""ex_embedding_backward: the gradient of a table of which rows were looked up, some of them more than once."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("embedding_backward", outputs=("dweight",))


@exercise.reference
def embedding_backward(dy, ids, V):
    weight = Tensor(np.zeros((V, dy.shape[-1]), dy.dtype), requires_grad=True)
    F.embedding(ids, weight).backward(dy)
    return weight.grad


def _case(label, rng, ids, V, C=2, dtype=np.float64):
    ids = np.array(ids, dtype=np.int64)
    return Case(label, rng.normal(size=(*ids.shape, C)).astype(dtype), ids, V)


@exercise.part("each token once", points=2)
def once(rng):
    yield _case("three tokens", rng, [2, 0, 3], 5)
    yield _case("one token", rng, [1], 3)


@exercise.part("repeated tokens", points=3)
def repeated(rng):
    yield _case("one token twice", rng, [2, 0, 2], 3)
    yield _case("one token three times, another twice", rng, [1, 3, 1, 1, 3, 0], 4)


@exercise.part("batches")
def batches(rng):
    yield _case("two sequences that share tokens", rng, [[0, 2, 1], [2, 2, 4]], 5)
    yield _case("as many sequences as tokens", rng, [[0, 1], [3, 1]], 4)
    yield _case("three axes of ids", rng, [[[0], [1]], [[1], [2]]], 3)


@exercise.part("edges")
def edges(rng):
    yield _case("one channel", rng, [0, 0], 2, C=1)
    yield _case("no tokens at all", rng, [], 3)
    dy = rng.normal(size=(2, 6)).T[::2]
    yield Case("not contiguous in memory, ids of 16 bits", dy, np.array([4, 1, 4], dtype=np.int16), 5)


@exercise.part("float32 stays float32")
def single(rng):
    yield _case("float32", rng, [[1, 0], [1, 2]], 3, dtype=np.float32)


def _flat(dy, ids):
    """One row per token, (N, C) and (N,)."""
    return dy.reshape(ids.size, dy.shape[-1]), ids.ravel()


def _table(V, dy):
    return np.zeros((V, dy.shape[-1]), dy.dtype)


def _add(dweight, dy, ids):
    np.add.at(dweight, ids, dy)
    return dweight


@exercise.mistake(
    "Where a token stands twice, only its last gradient is left. `dweight[ids] = dy` overwrites, and so does "
    "`dweight[ids] += dy`: NumPy reads all rows, adds, and writes them back, the last one last. Each use must add its "
    "share."
)
def last_one_wins(dy, ids, V):
    dweight = _table(V, dy)
    dy, ids = _flat(dy, ids)
    for i, row in zip(ids, dy, strict=True):
        dweight[i] = row
    return dweight


@exercise.mistake(
    "Where a token stands more than once, you kept its first gradient only. The row was used at every one of these "
    "places, so it gets the sum of what comes back from all of them."
)
def first_one_only(dy, ids, V):
    dweight = _table(V, dy)
    dy, ids = _flat(dy, ids)
    unique, first = np.unique(ids, return_index=True)
    dweight[unique] = dy[first]
    return dweight


@exercise.mistake(
    "You averaged over the places where a token stands. The loss feels every use of the row, so the gradients of the "
    "uses add up; a mean is right only where the loss took one, and then it is in dy already."
)
def averaged(dy, ids, V):
    flat = ids.ravel()
    return embedding_backward(dy, ids, V) / np.maximum(np.bincount(flat, minlength=V), 1)[:, None].astype(dy.dtype)


@exercise.mistake(
    "You divided by the number of tokens. If the loss is a mean over tokens, dy has been divided by their number "
    "already; looking up a row only copies it."
)
def divided_by_tokens(dy, ids, V):
    return embedding_backward(dy, ids, V) / max(ids.size, 1)


@exercise.mistake(
    "Your result has one row per position, filled in the order of the text: the ids have no effect. Row i belongs to "
    "token number i of the vocabulary; the gradient at position t goes to row ids[t]."
)
def by_position(dy, ids, V):
    dweight = _table(V, dy)
    dy, ids = _flat(dy, ids)
    return _add(dweight, dy, np.arange(len(ids)) % V)


@exercise.mistake(
    "You gathered where you should scatter: `dy[ids]` picks rows of dy. Forward picks rows of the table, "
    "y[t] = weight[ids[t]]; backward brings each row of dy home, into dweight[ids[t]]."
)
def gathered(dy, ids, V):
    dweight = _table(V, dy)
    dy, ids = _flat(dy, ids)
    picked = dy[ids % max(len(ids), 1)]
    return _add(dweight, picked, np.arange(len(ids)) % V)


@exercise.mistake(
    "Every row that was used got the sum over all tokens. A token sends its gradient to its own row only."
)
def the_same_for_all(dy, ids, V):
    dweight = _table(V, dy)
    dy, ids = _flat(dy, ids)
    dweight[ids] = dy.sum(axis=0)
    return dweight


@exercise.mistake(
    "Your table ends at the largest id of this batch. dweight has the shape of weight, (V, C); the rows of tokens that "
    "did not occur are zeros."
)
def only_the_rows_used(dy, ids, V):
    return embedding_backward(dy, ids, V)[: ids.max(initial=-1) + 1]


@exercise.mistake(
    "Rows that nobody looked up have a gradient of 1 in your table: it began with ones. What was not used has no "
    "influence on the loss, and its gradient is 0."
)
def began_with_ones(dy, ids, V):
    return embedding_backward(dy, ids, V) + np.ones(1, dy.dtype)


@exercise.mistake(
    "You took the gradient of the first sequence only. All sequences of the batch looked their rows up in the same "
    "table, so all of them send gradients to it."
)
def first_sequence_only(dy, ids, V):
    return embedding_backward(dy[0], ids[0], V) if ids.ndim > 1 else embedding_backward(dy, ids, V)


@exercise.mistake(
    "The tokens and their gradients have come out of step: one of the two was flattened by columns, the other by rows. "
    "`ids.reshape(-1)` and `dy.reshape(-1, C)` go through both in the same order, without a transpose."
)
def out_of_step(dy, ids, V):
    return embedding_backward(dy.reshape(-1, dy.shape[-1]), ids.T.ravel(), V)


@exercise.mistake(
    "Your loop takes one sequence at a time, and `dweight[ids[b]] += dy[b]` writes each row once: a token that stands "
    "twice in the same sequence loses a share. Flatten both, and go token by token."
)
def sequence_by_sequence(dy, ids, V):
    dweight = _table(V, dy)
    for i, t in enumerate(ids):
        dweight[t] += dy[i]
    return dweight
