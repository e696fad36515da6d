"""ex_kv_cache: keep the keys and values of tokens already read, and attend from the new ones."""

import numpy as np

from ... import functional as F
from ...backend import current_row
from ...decoding.cache import LayerCache
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("kv_cache", answer="KVCache", outputs=("result", "k", "v", "length"))


@exercise.runner
def run(KVCache, q, k, v, pieces, only_append=False):
    """Feed the tokens in pieces of these lengths. What append() gave last, as one array (2, B, H, length, D), or what
    attend() gave for all tokens, (B, H, T, D); and what is in the cache."""
    B, H, T, D = q.shape
    cache = KVCache(B, H, T + 2, D, q.dtype)
    given, start = [], 0
    for n in pieces:
        new = [x[:, :, start : start + n].copy() for x in (q, k, v)]  # (B, H, n, D)
        start += n
        given.append(_pair(cache.append(*new[1:])) if only_append else cache.attend(*new))
    return given[-1] if only_append else _joined(given), np.array(cache.k), np.array(cache.v), cache.length


def _pair(given):
    """The pair (keys, values) as one array; anything else as it is."""
    if not isinstance(given, tuple | list) or len(given) != 2 or np.shape(given[0]) != np.shape(given[1]):
        return given
    return np.stack(given)  # (2, B, H, length, D)


def _joined(given):
    if not all(isinstance(y, np.ndarray) and y.ndim == 4 for y in given):
        return given[0]
    return np.concatenate(given, axis=2)  # (B, H, T, D)


@exercise.reference
class LibraryCache:
    """The interface of the exercise over the library's cache of one layer."""

    def __init__(self, B, H, block_size, D, dtype=np.float64):
        self.layer = LayerCache(current_row(), B, H, block_size, D, dtype)

    def append(self, k, v):
        return self.layer.append(k, v)

    def attend(self, q, k, v):
        k, v = self.layer.append(k, v)
        return F.scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v), causal=True).numpy()

    @property
    def k(self):
        return self.layer.k

    @property
    def v(self):
        return self.layer.v

    @property
    def length(self):
        return self.layer.length


def _case(label, rng, pieces, B=1, H=1, D=2, dtype=np.float64, **settings):
    q, k, v = rng.normal(size=(3, B, H, sum(pieces), D)).astype(dtype)
    return Case(label, q, k, v, pieces, **settings)


@exercise.part("append: what is stored", points=2, of=["k", "v", "length"])
def stored(rng):
    yield _case("one token after another", rng, (1, 1, 1), only_append=True)
    yield _case("a prompt of two, then one", rng, (2, 1), only_append=True)
    yield _case("two sequences, two heads", rng, (2, 3), 2, 2, only_append=True)


@exercise.part("append: what comes back", points=2, of=["result"])
def returned(rng):
    yield _case("one token after another", rng, (1, 1, 1), only_append=True)
    yield _case("two sequences, two heads", rng, (2, 3), 2, 2, only_append=True)


@exercise.part("attend: one token after another", points=2)
def single_tokens(rng):
    yield _case("three tokens", rng, (1, 1, 1))
    yield _case("two sequences, two heads", rng, (1, 1, 1, 1), 2, 2, 3)


@exercise.part("attend: several tokens at once", points=3)
def chunks(rng):
    yield _case("a prompt of three", rng, (3,))
    yield _case("a prompt of two, then two more", rng, (2, 2))
    yield _case("pieces of 1, 3, 2, in two sequences of two heads", rng, (1, 3, 2), 2, 2, 3)


@exercise.part("float32 stays float32")
def float32(rng):
    yield _case("float32", rng, (2, 1), dtype=np.float32)


def _attention(q, k, v, mask):
    return F.scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v), mask=mask).numpy()


class _Right:
    """A right answer; each mistake changes one method."""

    def __init__(self, B, H, block_size, D, dtype=np.float64):
        self.k, self.v = np.zeros((2, B, H, block_size, D), dtype)
        self.length = 0

    def append(self, k, v):
        end = self.length + k.shape[2]
        self.k[:, :, self.length : end] = k
        self.v[:, :, self.length : end] = v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]

    def mask(self, Tq, Tk):
        return np.tri(Tq, Tk, Tk - Tq, dtype=bool)

    def attend(self, q, k, v):
        keys, values = self.append(k, v)
        return _attention(q, keys, values, self.mask(q.shape[2], keys.shape[2]))


@exercise.mistake(
    "New tokens are written over the first ones, from slot 0 on. They belong behind what is there: slots length … "
    "length + T - 1."
)
class AlwaysFromZero(_Right):
    def append(self, k, v):
        T = k.shape[2]
        self.k[:, :, :T], self.v[:, :, :T] = k, v
        self.length += T
        return self.k[:, :, : self.length], self.v[:, :, : self.length]


@exercise.mistake(
    "The length stays 0 in your cache, so each piece is written over the last one. Raise it by the number of new "
    "tokens."
)
class LengthForgotten(_Right):
    def append(self, k, v):
        k, v = super().append(k, v)
        self.length = 0
        return k, v


@exercise.mistake(
    "You set the length to the number of new tokens; it counts all tokens so far. Add the new ones to it."
)
class LengthOfThePiece(_Right):
    def append(self, k, v):
        given = super().append(k, v)
        self.length = k.shape[2]
        return given


@exercise.mistake(
    "The length rises by 1 whatever comes. A prompt brings all its tokens in one piece: raise it by k.shape[2]."
)
class LengthByOne(_Right):
    def append(self, k, v):
        start, end = self.length, self.length + k.shape[2]
        self.k[:, :, start:end], self.v[:, :, start:end] = k, v
        self.length += 1
        return self.k[:, :, :end], self.v[:, :, :end]


@exercise.mistake(
    "Length and slots part: the length is raised twice in each call, for keys and for values. A token takes one slot "
    "in both, so raise it once, after both are written."
)
class LengthTwice(_Right):
    def append(self, k, v):
        for whole, new in ((self.k, k), (self.v, v)):
            room = whole[:, :, self.length : self.length + k.shape[2]]
            room[...] = new[:, :, : room.shape[2]]
            self.length += k.shape[2]
        return self.k[:, :, : self.length], self.v[:, :, : self.length]


@exercise.mistake("Your cache stores the keys in both places; the values are lost. v goes into self.v.")
class KeysForValues(_Right):
    def append(self, k, v):
        return super().append(k, k)


@exercise.mistake(
    "You join the new tokens behind the whole array, behind its empty slots. The room is there already: write into it. "
    "Joining copies everything for each token, which the cache is meant to save."
)
class Joined(_Right):
    def append(self, k, v):
        self.k, self.v = np.concatenate([self.k, k], axis=2), np.concatenate([self.v, v], axis=2)
        self.length += k.shape[2]
        return self.k, self.v


@exercise.mistake(
    "You give back all slots, the empty ones too. An empty slot is a key of zeros, its score is 0, and exp(0) = 1: the "
    "token attends to nothing at all as if it was a word. Give back the first `length` slots."
)
class WholeBlock(_Right):
    def append(self, k, v):
        super().append(k, v)
        return self.k, self.v

    def mask(self, Tq, Tk):
        return None


@exercise.mistake(
    "You give back the new keys and values only. The new token must see all earlier ones; for that they were stored."
)
class NewOnly(_Right):
    def append(self, k, v):
        super().append(k, v)
        return k, v


@exercise.mistake(
    "You give back what was there before the new tokens. A token attends to itself as well: write first, raise the "
    "length, then cut."
)
class WithoutTheNew(_Right):
    def append(self, k, v):
        start = self.length
        super().append(k, v)
        return self.k[:, :, :start], self.v[:, :, :start]


@exercise.mistake(
    "There is no mask in your attend. With one new token none is needed; of several, the first must not see those that "
    "came with it and stand to its right."
)
class WithoutMask(_Right):
    def mask(self, Tq, Tk):
        return None


@exercise.mistake(
    "Your queries are counted from the first key. They are the last Tq of Tk tokens: query i is token i + Tk - Tq and "
    "sees all keys up to that one, so with one new token the mask is True throughout."
)
class AlignedAtTheStart(_Right):
    def mask(self, Tq, Tk):
        return np.tri(Tq, Tk, dtype=bool)


@exercise.mistake(
    "A token does not see itself in your mask: allowed are the keys j <= i + Tk - Tq, the equal one included."
)
class NotItself(_Right):
    def mask(self, Tq, Tk):
        return np.tri(Tq, Tk, Tk - Tq - 1, dtype=bool)


@exercise.mistake(
    "attend does not store its tokens. It is called once for each piece of the text, and the next piece needs these "
    "keys: begin with self.append(k, v)."
)
class NotStored(_Right):
    def attend(self, q, k, v):
        keys = np.concatenate([self.k[:, :, : self.length], k], axis=2)
        values = np.concatenate([self.v[:, :, : self.length], v], axis=2)
        return _attention(q, keys, values, self.mask(q.shape[2], keys.shape[2]))


@exercise.mistake(
    "Your arrays grow by each token. That copies everything that is stored for every new token; the room is reserved "
    "for block_size tokens, and self.k and self.v keep that shape."
)
class Grown(_Right):
    def append(self, k, v):
        old_k, old_v = self.k[:, :, : self.length], self.v[:, :, : self.length]
        self.k, self.v = np.concatenate([old_k, k], axis=2), np.concatenate([old_v, v], axis=2)
        self.length += k.shape[2]
        return self.k, self.v
