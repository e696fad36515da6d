"""ex_induction_head: two layers of attention, their matrices set by hand, that copy what came after last time."""

import numpy as np

from ... import functional as F
from ...errors import ShapeError
from ...inspect import repeated_tokens, scores_of
from ...inspect.head_scores import habit_keys
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("induction_head", outputs=("weights_0", "weights_1", "copied", "scores"), tolerance=0.02)
NAMES = ("W_Q", "W_K", "W_V", "W_O")


@exercise.runner
def run(answer, V, T, ids):
    """Attention of both layers (the second: of tokens seen before), the ids predicted there, the heads' scores."""
    layers = answer(V, T)
    if not isinstance(layers, list | tuple) or len(layers) != 2:
        kind = f"{len(layers)} things" if isinstance(layers, list | tuple) else f"a {type(layers).__name__}"
        raise ShapeError(f"induction_head returned {kind}; wanted are two layers, (W_Q, W_K, W_V, W_O) each")
    n = len(ids)
    stream = np.concatenate([np.eye(V)[ids], np.eye(T)[:n], np.zeros((n, 2 * V))], axis=1)  # (n, 3V + T)
    weights: list = []
    for number, layer in enumerate(layers):
        pattern = None
        if layer is not None:
            W_Q, W_K, W_V, W_O = _checked(layer, number, 3 * V + T)
            q, k = (Tensor((stream @ W)[None, None]) for W in (W_Q, W_K))  # (1, 1, n, D)
            _, w = F.attention_with_weights(q, k, k, causal=True)
            pattern = w.numpy()[0, 0]  # (n, n)
            stream = stream + pattern @ (stream @ W_V) @ W_O  # (n, 3V + T)
        weights.append(pattern)
    again = habit_keys(ids)["induction"].any(axis=1)  # (n,): tokens that have been here before
    copied = stream[again, 2 * V + T :].argmax(axis=-1)
    if weights[0] is None or weights[1] is None:
        return weights[0], weights[1], None, None  # not written yet: nothing to copy with
    found = scores_of(np.stack(weights)[:, None], ids)
    return weights[0], weights[1][again], copied, np.array([found.previous_token[0, 0], found.induction[1, 0]])


def _checked(layer, number, C):
    """The four matrices of a layer as arrays. Raises ShapeError that says which does not fit."""
    if not isinstance(layer, list | tuple) or len(layer) != 4:
        raise ShapeError(f"layer {number} must be the four matrices W_Q, W_K, W_V, W_O")
    arrays = [np.asarray(W, dtype=np.float64) for W in layer]
    for name, W in zip(NAMES, arrays, strict=True):
        axis = 1 if name == "W_O" else 0
        if W.ndim != 2 or W.shape[axis] != C:
            wanted = f"(D, C) = (D, {C})" if axis else f"(C, D) = ({C}, D)"
            raise ShapeError(f"{name} of layer {number} has shape {W.shape}, needs {wanted}, with C = 3 V + T")
    for a, b in ((0, 1), (2, 3)):
        if arrays[a].shape[1] != arrays[b].shape[1 - b // 2]:
            raise ShapeError(
                f"layer {number}: {NAMES[a]} {arrays[a].shape} and {NAMES[b]} {arrays[b].shape} differ in D"
            )
    return arrays


def _places(V, T):
    """Slices of the residual stream: token, position, the token before, the answer."""
    return slice(V), slice(V, V + T), slice(V + T, 2 * V + T), slice(2 * V + T, 3 * V + T)


def _put(C, place, matrix):
    """A matrix (C, D) that has the given rows at a place, and zeros elsewhere."""
    W = np.zeros((C, matrix.shape[1]))
    W[place] = matrix
    return W


def _previous(V, T, strength=1e5, shift=1, write="previous"):
    token, position, previous, answer = _places(V, T)
    C, places = 3 * V + T, {"token": token, "previous": previous, "answer": answer}
    return (_put(C, position, strength * np.eye(T, k=-shift)), _put(C, position, np.eye(T)),
            _put(C, token, np.eye(V)), _put(C, places[write], np.eye(V)).T)  # fmt: skip


def _induction(V, T, strength=1e5, query=0, key=2, value=0, write=3):
    """query, key, value, write: numbers of places"""
    places, C = _places(V, T), 3 * V + T
    return (_put(C, places[query], strength * np.eye(V)), _put(C, places[key], np.eye(V)),
            _put(C, places[value], np.eye(V)), _put(C, places[write], np.eye(V)).T)  # fmt: skip


@exercise.reference
def induction_head(V, T):
    return _previous(V, T), _induction(V, T)


def _repeated(rng, V, half):
    return np.append(0, repeated_tokens(np.arange(1, V), half, seed=rng)[0])


@exercise.part("layer 0 looks at the token before", points=2, of=["weights_0"])
def before(rng):
    yield Case("four tokens, repeated", 6, 9, _repeated(rng, 6, 4))
    yield Case("a shorter text", 5, 9, _repeated(rng, 5, 2))


@exercise.part("layer 1 looks behind the earlier place", points=3, of=["weights_1"])
def behind(rng):
    yield Case("four tokens, repeated", 6, 9, _repeated(rng, 6, 4))
    yield Case("three tokens, repeated, and the text ends before the block", 6, 12, _repeated(rng, 6, 3))
    yield Case("one token, twice", 4, 5, _repeated(rng, 4, 1))
    a, b, c, d = 1 + rng.permutation(4)
    yield Case("only one token comes again", 6, 8, np.array([0, a, b, c, d, b]))


@exercise.part("it copies", points=2, of=["copied"])
def copies(rng):
    yield Case("four tokens, repeated", 6, 9, _repeated(rng, 6, 4))
    yield Case("three tokens, repeated, and the text ends before the block", 6, 12, _repeated(rng, 6, 3))


@exercise.part("other sizes: still sharp")
def sizes(rng):
    yield Case("more tokens than places", 30, 7, _repeated(rng, 30, 3))
    yield Case("long", 25, 41, _repeated(rng, 25, 20))


@exercise.mistake(
    "The heads look the right way, but softly: with scores of 0 and about 1 the softmax still gives the other keys "
    "most of the weight. Make the scores large: the wanted key must be ahead by 10 or more after the division by "
    "sqrt(D)."
)
def soft(V, T):
    return _previous(V, T, 1.0), _induction(V, T, 1.0)


@exercise.mistake(
    "Sharp in small models only. The scores are divided by sqrt(D), and there are the more other keys the longer the "
    "text; a strength that just suffices for 9 tokens is too weak for 41."
)
def sharp_when_small(V, T):
    return _previous(V, T, 25.0), _induction(V, T, 25.0)


@exercise.mistake(
    "Layer 0 asks for the position after its own, not before. That key is in the future and hidden by the causal mask, "
    "so all visible scores are 0 and the head looks everywhere alike. Row i of W_Q's part for positions must have its "
    "number in column i - 1."
)
def next_position(V, T):
    return _previous(V, T, shift=-1), _induction(V, T)


@exercise.mistake(
    "In layer 0 each token looks at itself: query and key say the same position. The query of position i must fit the "
    "key of position i - 1."
)
def itself(V, T):
    return _previous(V, T, shift=0), _induction(V, T)


@exercise.mistake(
    "Layer 0 writes the token before into the token's own place, where the two are added up: nobody can tell any more "
    "which is which, and the place for the token before stays empty."
)
def into_the_token(V, T):
    return _previous(V, T, write="token"), _induction(V, T)


@exercise.mistake(
    "Layer 1 compares tokens with tokens, and so looks at itself and at the earlier place of the same token: a "
    "duplicate-token head. The token to be copied stands one further; its key is what stood before it, which layer 0 "
    "wrote."
)
def duplicate(V, T):
    return _previous(V, T), _induction(V, T, key=0)


@exercise.mistake(
    "Query and key of layer 1 have changed places: yours asks with the token before for that token itself. Ask with "
    "the token (what am I?), and let the key say what stood before it (whom did I follow?)."
)
def turned_round(V, T):
    return _previous(V, T), _induction(V, T, query=2, key=0)


@exercise.mistake(
    "Layer 1 looks at the right key, but copies what stood before that key, which is the token one has just read. "
    "W_V must take the key's own token."
)
def copies_the_token_before(V, T):
    return _previous(V, T), _induction(V, T, value=2)


@exercise.mistake(
    "Layer 1 does not write into the answer's place, from where the prediction is read; it stays 0 there. W_O of layer "
    "1 must lead to the last V channels."
)
def nothing_in_the_answer(V, T):
    return _previous(V, T), _induction(V, T, write=0)


@exercise.mistake(
    "Layer 1 counts places back, a fixed number of them. That fits one length of the repeated text and no other; an "
    "induction head finds the place by its content."
)
def by_distance(V, T):
    C, back = 3 * V + T, (T - 1) // 2 - 1
    position = _places(V, T)[1]
    _, _, W_V, W_O = _induction(V, T)
    return _previous(V, T), (_put(C, position, 1e5 * np.eye(T, k=-back)), _put(C, position, np.eye(T)), W_V, W_O)


@exercise.mistake(
    "Your matrices are transposed. A row of the stream is multiplied from the left, q = stream @ W_Q: W_Q, W_K, W_V "
    "are (C, D), and W_O, which leads back, (D, C)."
)
def transposed(V, T):
    return [tuple(W.T for W in layer) for layer in induction_head(V, T)]
