"""ex_weight_tying: the gradient of one matrix that reads words in at the bottom and writes them out at the top."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("weight_tying", outputs=("from_head", "from_embedding", "dweight"))


def _gradient(dlogits, ids, table, head):
    F.linear(F.embedding(ids, table).tanh(), head, transposed=True).backward(dlogits)


@exercise.reference
def weight_tying(dlogits, ids, weight):
    table, head, tied = (Tensor(weight, requires_grad=True) for _ in range(3))
    _gradient(dlogits, ids, table, head)
    _gradient(dlogits, ids, tied, tied)
    return head.grad, table.grad, tied.grad


def _case(label, rng, ids, V, C, dtype=np.float64):
    ids = np.array(ids, dtype=np.int64)
    return Case(label, rng.normal(size=(len(ids), V)).astype(dtype), ids, rng.normal(size=(V, C)).astype(dtype))


@exercise.part("from the head", points=2, of=["from_head"])
def from_head(rng):
    yield _case("two tokens", rng, [2, 0], 3, 2)
    yield _case("three tokens of four channels", rng, [1, 4, 0], 5, 4)
    yield _case("as many tokens as channels as words", rng, [2, 0, 1], 3, 3)


@exercise.part("from the embedding", points=2, of=["from_embedding"])
def from_embedding(rng):
    yield _case("two tokens", rng, [2, 0], 3, 2)
    yield _case("three tokens of four channels", rng, [1, 4, 0], 5, 4)
    yield _case("as many tokens as channels as words", rng, [2, 0, 1], 3, 3)


@exercise.part("both together", points=2, of=["dweight"])
def together(rng):
    yield _case("two tokens", rng, [2, 0], 3, 2)
    yield _case("three tokens of four channels", rng, [1, 4, 0], 5, 4)


@exercise.part("repeated tokens, and edges")
def repeated(rng):
    yield _case("one token twice", rng, [1, 0, 1], 3, 2)
    yield _case("one channel, one token", rng, [1], 2, 1)
    yield _case("no tokens at all", rng, [], 2, 2)


@exercise.part("float32 stays float32")
def single(rng):
    yield _case("float32", rng, [1, 2, 1], 3, 2, np.float32)


def _scatter(dx, ids, V):
    table = np.zeros((V, dx.shape[1]), dx.dtype)
    np.add.at(table, ids, dx)
    return table


def _answer(dlogits, ids, weight, head=None, dx=None, scatter=_scatter, total=np.add):
    """The right answer with one piece of it replaced. head(h), dx(dh, h): functions"""
    h = np.tanh(weight[ids])
    dh = dlogits @ weight
    from_head = dlogits.T @ h if head is None else head(h)
    from_embedding = scatter(dh * (1 - h * h) if dx is None else dx(dh, h), ids, len(weight))
    return from_head, from_embedding, total(from_head, from_embedding)


@exercise.mistake(
    "Your dweight is what comes from the head; the matrix was used at the bottom too. With that share missing, words "
    "learn to be said, and never to be read."
)
def head_only(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, total=lambda head, embedding: head)


@exercise.mistake(
    "Your dweight is what comes from the embedding; the matrix was used in the head too. The head's share reaches "
    "every word of the vocabulary, the embedding's only those that were read."
)
def embedding_only(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, total=lambda head, embedding: embedding)


@exercise.mistake(
    "You averaged the two shares. A change of the matrix acts in both places at once, and the effects on the loss add "
    "up: the gradient of what is used twice is a sum."
)
def mean_of_both(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, total=lambda head, embedding: (head + embedding) / 2)


@exercise.mistake(
    "In the rows of the words that were read, the embedding's share has replaced that of the head. `dweight[ids] = …` "
    "overwrites; both shares belong there."
)
def embedding_replaces_head(dlogits, ids, weight):
    def total(head, embedding):
        both = head.copy()
        both[ids] = embedding[ids]
        return both

    return _answer(dlogits, ids, weight, total=total)


@exercise.mistake("You multiplied the two shares. Two uses of one matrix are two ways to the loss, and ways add up.")
def product_of_both(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, total=np.multiply)


@exercise.mistake(
    "The head's share is taken with x, the row of the table. What the head multiplies is h = tanh(x): logits = h @ "
    "weight^T."
)
def head_sees_x(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, head=lambda h: dlogits.T @ weight[ids])


@exercise.mistake(
    "The head's share is transposed, (C, V). For logits = h @ weight^T it is dlogits^T @ h, of the shape of weight, "
    "(V, C)."
)
def head_transposed(dlogits, ids, weight):
    def total(head, embedding):
        return head.T + embedding

    return _answer(dlogits, ids, weight, head=lambda h: h.T @ dlogits, total=total)


@exercise.mistake(
    "tanh is left out on the way back to the embedding. What comes to h is multiplied by the slope of tanh, 1 - h², "
    "before it reaches x."
)
def without_tanh(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, dx=lambda dh, h: dh)


@exercise.mistake("The slope of tanh is 1 - h², with h = tanh(x) its result; you took 1 - x², with the input.")
def slope_of_input(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, dx=lambda dh, h: dh * (1 - weight[ids] ** 2))


@exercise.mistake("The slope of tanh is 1 - h², h times h; you took 1 - h.")
def slope_without_square(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, dx=lambda dh, h: dh * (1 - h))


@exercise.mistake(
    "A word that was read twice has only its last gradient in your embedding's share. `table[ids] = dx`, and "
    "`table[ids] += dx` too, write each row once; np.add.at adds every time."
)
def last_one_wins(dlogits, ids, weight):
    def scatter(dx, ids, V):
        table = np.zeros((V, dx.shape[1]), dx.dtype)
        table[ids] = dx
        return table

    return _answer(dlogits, ids, weight, scatter=scatter)


@exercise.mistake(
    "You left the embedding's share at its tokens, one row for each position of the text. It belongs into the rows of "
    "the words: dx[n] is added to row ids[n] of a table (V, C)."
)
def not_scattered(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, scatter=lambda dx, ids, V: dx, total=lambda head, embedding: head)


@exercise.mistake("Your slope takes tanh once more, 1 - tanh(h)². h is tanh(x) already, and the slope at x is 1 - h².")
def tanh_twice(dlogits, ids, weight):
    return _answer(dlogits, ids, weight, dx=lambda dh, h: dh * (1 - np.tanh(h) ** 2))
