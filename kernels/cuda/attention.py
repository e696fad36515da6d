"""Attention: the functions of the row. They choose kernel and tiles, and say how the arrays lie.

    attention_forward.py     the ladder of the forward kernel
    attention_backward.py    that of the backward kernels
    attention_tiles.py       products of tiles, of which the last rungs are made

Kernels take heads of any strides, so q, k, v may be thirds of a packed qkv, and dq, dk, dv are written into one.
"""

import numpy as np

from .array import DeviceArray, broadcast_view, contiguous, copied, copy_into, empty, view_of
from .attention_backward import attention_delta, attention_dkdv, attention_dq
from .attention_forward import attention_by_patches
from .device import zeros
from .dropout import GOLDEN
from .errors import DeviceError
from .ladder import rung

# Head width -> sizes of the tiles and of the grid of threads: (QUERIES, KEYS, DOWN, ACROSS) or, for dk and dv,
# (KEYS, QUERIES, DOWN, ACROSS). The wider a head, the fewer rows fit into shared memory.
FORWARD = {16: (32, 16, 16, 4), 32: (32, 32, 8, 8), 64: (64, 32, 8, 8), 128: (32, 16, 8, 8)}
FORWARD_FEW = {16: (32, 16, 16, 4), 32: (32, 32, 8, 8), 64: (32, 32, 8, 8), 128: (32, 16, 8, 8)}
DECODING = {16: (8, 16, 8, 4), 32: (8, 32, 8, 8), 64: (8, 32, 8, 8), 128: (8, 16, 8, 8)}  # at most 8 queries
BACKWARD = {16: (32, 16, 16, 4), 32: (32, 32, 8, 8), 64: (32, 32, 8, 8), 128: (16, 16, 8, 8)}
MANY = 264  # blocks: two for each of the 132 multiprocessors of an H200; with fewer, smaller tiles make more blocks

PLAIN, MASK_AND_DROPOUT = (False, False), (True, True)
for D in FORWARD:  # made now, so that the tests compile them; what is missing here is made when it is asked for
    attention_by_patches(D, *FORWARD[D], *PLAIN)
    attention_dq(D, *BACKWARD[D], *PLAIN)
    attention_dkdv(D, *BACKWARD[D], *PLAIN)
attention_by_patches(64, *FORWARD_FEW[64], *PLAIN)
attention_by_patches(64, *DECODING[64], *PLAIN)
attention_by_patches(64, *FORWARD[64], *MASK_AND_DROPOUT)
attention_dq(64, *BACKWARD[64], *MASK_AND_DROPOUT)
attention_dkdv(64, *BACKWARD[64], *MASK_AND_DROPOUT)

rung("attention_forward", 3, "each thread a patch of the scores and of y in registers; masks, dropout, any strides")(
    attention_by_patches(64, *FORWARD[64], *PLAIN)
)
rung("attention_backward", 2, "tiles of keys, then of queries, by patches; scores computed anew in both")(
    attention_dkdv(64, *BACKWARD[64], *PLAIN)
)


def attention_forward(q, k, v, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):  # (B, H, T, D)
    y, lse = empty(q.shape), empty(q.shape[:3])
    _forward(q, k, v, y, lse, mask, causal, scale, dropout)
    return y, lse


def attention_backward(dy, q, k, v, y, lse, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    dq, dk, dv = (empty(x.shape) for x in (q, k, v))
    _backward(dy, q, k, v, y, lse, dq, dk, dv, mask, causal, scale, dropout)
    return dq, dk, dv


def attention_qkv_forward(qkv, n_head, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):  # (B, T, 3C)
    B, T, C3 = qkv.shape
    y, lse = empty((B, T, C3 // 3)), empty((B, n_head, T))
    _forward(*_thirds(qkv, n_head), _heads(y, n_head), lse, mask, causal, scale, dropout)
    return y, lse


def attention_qkv_backward(dy, qkv, y, lse, n_head, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    dqkv = empty(qkv.shape)
    _backward(_heads(dy, n_head), *_thirds(qkv, n_head), _heads(y, n_head), lse, *_thirds(dqkv, n_head),
              mask, causal, scale, dropout)  # fmt: skip
    return dqkv


# --- launches ---------------------------------------------------------------------------------------------------


def _forward(q, k, v, y, lse, mask, causal, scale, dropout):
    """y, lse are written; all but lse may have any strides."""
    B, H, Tq, D = q.shape
    if D % 4:
        wide = empty((B, H, Tq, D + -D % 4))
        _forward(*(_widened(x) for x in (q, k, v)), wide, lse, mask, causal, scale, dropout)
        copy_into(y, view_of(wide, (..., slice(D))))
        return
    q, k, v = (_ready(x) for x in (q, k, v))  # copies, of the mask too, must live until the launch
    mask = None if mask is None else _spread(mask, (B, H, Tq, k.shape[2]))
    width, flags = _width(D), (mask is not None, dropout[0] > 0)
    sizes = FORWARD if B * H * -(-Tq // FORWARD[width][0]) >= MANY else FORWARD_FEW
    if Tq <= 8:
        sizes = DECODING
    version, rows = attention_by_patches(width, *sizes[width], *flags), sizes[width][0]
    with np.errstate(over="ignore"):  # on the simulator, NumPy warns of the overflow that dropout's hashing is made of
        version(
            B * H * -(-Tq // rows), version.threads, *_place(q), *_place(k), *_place(v), *_place(y), lse.whole,
            H, Tq, k.shape[2], D, causal, scale, *_options(mask, dropout, lse, k.shape[2]),
        )  # fmt: skip


def _backward(dy, q, k, v, y, lse, dq, dk, dv, mask, causal, scale, dropout):
    """dq, dk, dv are written; all but lse may have any strides."""
    B, H, Tq, D = q.shape
    Tk = k.shape[2]
    if D % 4:
        wide = [empty((*x.shape[:3], D + -D % 4)) for x in (dq, dk, dv)]
        inputs = [_widened(x) for x in (dy, q, k, v, y)]
        _backward(*inputs, lse, *wide, mask, causal, scale, dropout)
        for out, x in zip((dq, dk, dv), wide, strict=True):
            copy_into(out, view_of(x, (..., slice(D))))
        return
    dy, q, k, v, y = (_ready(x) for x in (dy, q, k, v, y))  # copies, of the mask too, must live until the launches
    mask = None if mask is None else _spread(mask, (B, H, Tq, Tk))
    width, flags = _width(D), (mask is not None, dropout[0] > 0)
    lse, delta = contiguous(lse), empty((B, H, Tq))
    rows = B * H * Tq
    attention_delta(-(-rows // 8), 256, *_place(dy), *_place(y), delta.whole, H, Tq, D, rows)
    inputs = [*_place(q), *_place(k), *_place(v), *_place(dy)]
    settings = [lse.flat, delta.whole, H, Tq, Tk, D, causal, scale, *_options(mask, dropout, lse, Tk)]
    for_queries, for_keys = (make(width, *BACKWARD[width], *flags) for make in (attention_dq, attention_dkdv))
    with np.errstate(over="ignore"):
        for_keys(B * H * -(-Tk // BACKWARD[width][0]), for_keys.threads, *inputs, *_place(dk), *_place(dv), *settings)
        for_queries(B * H * -(-Tq // BACKWARD[width][0]), for_queries.threads, *inputs, *_place(dq), *settings)


def _width(D: int) -> int:
    """The width that kernels are made for: D, or the next larger one, whose last columns are then zeros."""
    for width in FORWARD:
        if width >= D:
            return width
    raise DeviceError(
        f"attention on the card takes heads up to {max(FORWARD)} wide, got D = {D}; "
        "more heads (n_head) make them narrower, and the rows 'cpu' and 'numpy' take any width"
    )


def _options(mask, dropout, lse, Tk):
    """Mask and dropout as kernels take them. What a kernel made without them gets in their place, it does not read."""
    p, key, first_example = dropout
    _, H, Tq = lse.shape
    nothing = (lse.lease.block.view(np.dtype(np.uint8)), 0, 0, 0, 0, 0)
    place = nothing if mask is None else (mask.whole, mask.offset, *mask.strides)
    first = int(key) + (first_example * H * Tq * Tk + 1) * int(GOLDEN)  # counter of the first weight: see dropout.py
    return (*place, first % 2**64, round(p * 2**32), 0.0 if p == 1.0 else 1.0 / (1.0 - p))


# --- layouts ----------------------------------------------------------------------------------------------------


def _ready(x):
    """x (B, H, T, D), or a copy if its elements do not lie side by side or a row begins at no multiple of four."""
    steps = _steps(x)
    apart = steps[3] > 1 or min(steps) < 0 or any(n % 4 for n in (x.offset, *steps[:3]))
    return copied(x) if apart else x


def _spread(mask, shape):
    """The mask as a view (B, H, Tq, Tk), or a copy if it runs backwards."""
    mask = broadcast_view(mask, shape)
    return copied(mask) if min(mask.strides) < 0 else mask


def _place(x):
    """x (B, H, T, D) as kernels take it: memory, first element, strides of B, H, T."""
    return x.whole, x.offset, *_steps(x)[:3]


def _steps(x):
    return [0 if n == 1 else step for n, step in zip(x.shape, x.strides, strict=True)]


def _heads(x, n_head, third=0, thirds=1):
    """A view (B, H, T, D) of x (B, T, C), or of a third of it."""
    B, T, C = x.shape
    x = x if x.strides[2] == 1 else contiguous(x)
    D = C // (thirds * n_head)
    offset = x.offset + third * n_head * D
    return DeviceArray(x.lease, x.dtype, (B, n_head, T, D), (x.strides[0], D, x.strides[1], 1), offset)


def _thirds(qkv, n_head):
    return [_heads(qkv, n_head, n, 3) for n in range(3)]


def _widened(x):
    """x (B, H, T, D) with zeros behind, so that D is divisible by 4."""
    D = x.shape[3]
    wide = zeros((*x.shape[:3], D + -D % 4), np.float32)
    copy_into(view_of(wide, (..., slice(D))), x)
    return wide
