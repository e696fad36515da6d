"""Attention weights from anywhere, checked once: what the views of attention share.

Row i of a map is the query token i, column j the key token j; the weight w_ij is the share of value j in what query i
reads. Each row sums to 1. The mean entropy of a head in nats,
    mean_i  -sum_j w_ij ln w_ij
is 0 when every query looks at one token, ln(number of visible keys) when it looks at all of them alike.
"""

import numpy as np

from ..errors import ArgumentError, NumericsError, ShapeError
from . import html
from .base import View, only_strings

SUM_TOLERANCE = 1e-3
LARGEST_PAGE = 20_000_000  # weights; 16 layers × 16 heads × 128² are 4 million
UNITS = "attention weight, 0 to 1"


class AttentionView(View):
    """A view of attention weights, one text (or two) at a time.

    weights     (L, H, T, T) array, or a list over layers of (H, T, T): after the softmax, without batch axis
    tokens      T strings, one per position (a plain string counts as one token per character)
    title       str, or None for a default
    causal      True: grey out the keys after each query; False: never; None: do so if all of them are zero
    keys        None, or for cross-attention K strings, the tokens looked at: weights are then (L, H, T, K)
    query_mask  (T,) and
    key_mask    (K,) boolean, True for real tokens and False for padding, which is greyed out; None: no padding.
                Self-attention needs key_mask alone
    tolerance   how far a row's sum may be from 1 (or 0, a row that attends to nothing); None: any sum
    layers      L numbers, where only some layers of a model are shown: which ones; None: 0, 1, …

    Attributes, all plain: `weights` (L, H, T, K) float32 or float64, a read-only copy; `tokens`, `keys` lists of str,
    the same list without cross-attention; `seen` (T, K) bool, False where causality or padding hides a key;
    `entropy` (L, H) float64 in nats, mean over the rows that attend to something (NaN if none does); `causal` bool;
    `title` str; `layers` list of int.

    Raises ShapeError, ArgumentError or NumericsError when the weights are no attention weights.
    """

    default_title = "Attention"

    def __init__(
        self, weights, tokens, title=None, causal=None, keys=None, query_mask=None, key_mask=None,
        tolerance=SUM_TOLERANCE, layers=None,
    ):  # fmt: skip
        self.weights = _checked_weights(weights, square=keys is None)
        L, _, T, K = self.weights.shape
        self.layers = list(range(L)) if layers is None else [int(layer) for layer in layers]
        if len(self.layers) != L:
            raise ShapeError(f"layers needs one number for each of {L} layers of weights, got {self.layers}")
        self.tokens = _checked_tokens(tokens, T)
        self.keys = self.tokens if keys is None else _checked_tokens(keys, K, "keys", "key")
        if causal and keys is not None:
            raise ArgumentError("cross-attention looks at all of its keys: leave causal=True out, or keys")
        self.causal = keys is None and _checked_causal(self.weights, causal)
        if query_mask is None and keys is None:
            query_mask = key_mask  # the same tokens
        self.query_mask = _checked_mask("query_mask", query_mask, T)
        self.key_mask = _checked_mask("key_mask", key_mask, K)
        self.seen = self.query_mask[:, None] & self.key_mask & (np.tri(T, K, dtype=bool) | (not self.causal))
        _check_rows(self.weights, self.query_mask, self.key_mask, tolerance)
        self.entropy = mean_entropy(self.weights[:, :, self.query_mask])
        self.title = html.one_line(title) if title is not None else self.default_title

    def __repr__(self):
        L, H, T, K = self.weights.shape
        tokens = f"{T} tokens" if self.keys is self.tokens else f"{T} tokens on {K}"
        return f"{type(self).__name__}({L} layers × {H} heads × {tokens}, causal={self.causal})"

    def even_entropy(self):
        """The entropy in nats of a head that looks at all visible keys alike, the largest mean possible."""
        return float(np.log(self.seen.sum(axis=1)[self.query_mask]).mean())

    def caption(self, layer, head):
        """`layer 0, head 2: 1.23 nats` of one map of `weights`; layers and heads are counted from 0."""
        value = self.entropy[layer, head]
        return f"layer {self.layers[layer]}, head {head}: " + (
            f"{value:.2f} nats" if np.isfinite(value) else "no live rows"
        )

    def padding(self):
        """` Padding is grey.` if there is any."""
        return "" if self.query_mask.all() and self.key_mask.all() else " Padding is grey."

    def data(self):
        """What the page carries: weights in steps of 1/255, of a causal grid only the lower triangles."""
        from .figure import colour_table

        L, H, T, K = self.weights.shape
        if self.weights.size > LARGEST_PAGE:
            size = f"{T}²" if T == K else f"{T} × {K}"
            raise ArgumentError(
                f"a page of {L} × {H} heads × {size} weights would choke a browser: at most {LARGEST_PAGE:,}, "
                f"got {self.weights.size:,}. Show fewer layers or heads, or a shorter text, or draw the "
                "picture alone with .fig()."
            )
        steps = np.rint(self.weights * 255).clip(0, 255).astype(np.uint8)
        if self.causal:
            query, key = np.tril_indices(T)
            steps = steps[:, :, query, key]  # (L, H, T * (T + 1) / 2)
        return {
            "title": self.title,
            "shape": [L, H, T],
            "layers": self.layers,
            "causal": self.causal,
            "tokens": [html.visible(token) for token in self.tokens],
            "keys": None if self.keys is self.tokens else [html.visible(token) for token in self.keys],
            "padded": [np.flatnonzero(~mask).tolist() for mask in (self.query_mask, self.key_mask)],
            "entropy": [[_rounded(value) for value in row] for row in self.entropy],
            "colours": html.base64_text(colour_table()),
            "weights": html.base64_text(steps),
        }


def mean_entropy(weights):
    """Mean over query rows of -sum_j w_j ln w_j.  weights (L, H, T, K) -> (L, H) float64, nats.

    Rows of zeros (nothing to attend to) do not count; a head of nothing but such rows gives NaN.
    """
    w = np.asarray(weights, dtype=np.float64)
    log_w = np.log(np.where(w > 0, w, 1.0))  # w ln w -> 0 as w -> 0
    rows = -(w * log_w).sum(axis=-1)  # (L, H, T)
    alive = w.sum(axis=-1) > 0.5  # (L, H, T)
    count = alive.sum(axis=-1)  # (L, H)
    return np.where(count > 0, (rows * alive).sum(axis=-1) / np.maximum(count, 1), np.nan)


def _rounded(value):
    return round(float(value), 6) if np.isfinite(value) else None


def _as_array(values):
    """A numeric array, or an error that says what else was given."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # nested lists of unequal length
        raise ShapeError(f"weights need the same number of heads, queries and keys everywhere: {error}") from error
    except (TypeError, RuntimeError) as error:  # a tensor with gradients, on a GPU, or of a dtype NumPy lacks
        raise ArgumentError(
            f"weights cannot become a NumPy array: {error}. Of a tensor of PyTorch pass t.detach().float().cpu()."
        ) from error
    if array.dtype.kind not in "fiub":
        raise ArgumentError(
            f"weights need a float array; got {type(values).__name__} of dtype {array.dtype}. "
            "Of a Tensor pass t.numpy(), of a list of them [t.numpy() for t in layers]."
        )
    return array


def _checked_mask(name, mask, length):
    """(length,) bool, True for real tokens."""
    if mask is None:
        return np.ones(length, dtype=bool)
    mask = np.array(mask)
    if mask.dtype != bool or mask.shape != (length,):
        raise ShapeError(
            f"{name} needs {length} booleans, True for real tokens and False for padding; got {mask.dtype} "
            f"{mask.shape}. Of ids make ids != pad_id."
        )
    if not mask.any():
        raise ArgumentError(f"{name} is False everywhere: there is nothing but padding")
    return mask


def _checked_weights(weights, square):
    """A read-only (L, H, T, K) copy in float32 or float64."""
    if isinstance(weights, (list, tuple)):
        layers = [_as_array(layer) for layer in weights]
        shapes = [layer.shape for layer in layers]
        if len(set(shapes)) > 1:
            raise ShapeError(f"every layer needs the same shape (H, T, T); got {shapes}.")
        weights = np.stack(layers) if layers else np.zeros((0, 0, 0, 0))
    weights = _as_array(weights)
    if weights.ndim == 5:
        raise ShapeError(
            f"weights need 4 axes (L, H, T, T); got {weights.shape}. If the second axis is the batch, pick "
            "one example: [layer[0] for layer in weights]."
        )
    if weights.ndim != 4:
        raise ShapeError(
            "weights need 4 axes (layers, heads, queries, keys) or a list over layers of (H, T, T); got "
            f"shape {weights.shape}. For one layer of shape (H, T, T) pass [layer], for one head [[head]]."
        )
    if square and weights.shape[2] != weights.shape[3]:
        raise ShapeError(
            f"self-attention maps are square, (L, H, T, T); got {weights.shape}. With a key-value cache only "
            "the newest query is computed: run the whole text at once without the cache. Of cross-attention, pass "
            "the tokens looked at as keys=."
        )
    if 0 in weights.shape:
        raise ShapeError(f"weights need at least one layer, head and token; got shape {weights.shape}.")
    weights = np.array(weights, dtype=np.float64 if weights.dtype == np.float64 else np.float32)
    if not np.isfinite(weights).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(weights))[0])
        raise NumericsError(
            f"weights have {weights[where]} at [layer, head, query, key] = {list(where)}. A NaN often "
            "comes from a softmax over a row that is masked completely; such a row should be all zeros."
        )
    weights.flags.writeable = False
    return weights


def _checked_tokens(tokens, T, name="tokens", one="token"):
    tokens = only_strings(name, tokens)
    if len(tokens) != T:
        raise ShapeError(
            f"one {one} per position: weights have {'T' if one == 'token' else 'K'}={T}, got {len(tokens)} {name}. "
            "Did a start token, or "
            "the last token that was only a target, come in or fall out?"
        )
    return tokens


def _checked_causal(weights, causal):
    T = weights.shape[-1]
    later = np.triu(np.ones((T, T), dtype=bool), k=1)  # key after query
    if causal is None:
        return bool(T > 1 and not weights[..., later].any())
    if causal and np.abs(weights[..., later]).max(initial=0) > 1e-6:
        layer, head, query, key = (int(k) for k in np.argwhere(np.abs(weights) * later > 1e-6)[0])
        raise ArgumentError(
            f"causal=True greys out later keys, but layer {layer}, head {head} gives weight "
            f"{weights[layer, head, query, key]:.3g} from query {query} to the later key {key}. "
            "Leave causal=None for attention that looks both ways."
        )
    return bool(causal)


def _check_rows(weights, query_mask, key_mask, tolerance):
    """Each row of a real query is a probability distribution over the real keys, or all zeros."""
    real = np.array(weights) * query_mask[:, None]  # what stands in rows of padding means nothing
    if real.min() < -1e-6:
        raise ArgumentError(
            f"attention weights are not negative; the smallest here is {real.min():.3g}. These look "
            "like scores before the softmax: apply a softmax over the last axis."
        )
    if (real > 1e-6)[..., ~key_mask].any():
        layer, head, query, key = (int(k) for k in np.argwhere((real > 1e-6) & ~key_mask)[0])
        raise ArgumentError(
            f"key {key} is padding, but layer {layer}, head {head} gives it weight {real[layer, head, query, key]:.3g} "
            f"from query {query}. Was the mask passed to the model, and is it True for real tokens?"
        )
    if real.max() > 1 + 1e-2:
        raise ArgumentError(
            f"attention weights are at most 1; the largest here is {real.max():.4g}. Turn dropout off with "
            "model.eval(), or divide each row by its sum."
        )
    if tolerance is None:
        return
    sums = real.sum(axis=-1, dtype=np.float64)  # (L, H, T)
    wrong = (np.abs(sums - 1) > tolerance) & (np.abs(sums) > tolerance)
    if wrong.any():
        layer, head, query = (int(k) for k in np.argwhere(wrong)[0])
        hint = "Apply a softmax over the last axis, or turn dropout off with model.eval(); tolerance=None allows it."
        if np.allclose(real.sum(axis=-2), 1, atol=tolerance):
            hint = "The columns do: swap the last two axes (queries first), or softmax over axis -1."
        raise ArgumentError(
            f"each row of weights sums to 1 within {tolerance} (or to 0 where nothing may be seen); "
            f"layer {layer}, head {head}, query {query} sums to {sums[layer, head, query]:.4g}. {hint}"
        )
