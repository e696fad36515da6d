"""Fused attention of the cpu row: tiles, masks, dropout, lengths that differ, and the strides that views have."""

import itertools

import numpy as np
import pytest

import minigpt as mg
from kernels.cpu.attention import TILE
from minigpt import functional as F
from minigpt.backend import load

CPU, NUMPY = load("cpu"), load("numpy")
FLOAT = np.float32  # where nothing else is said: each type and memory layout takes seconds to compile


def heads(rng, dtype, B, H, Tq, Tk, D):
    """q, k, v, dy"""
    return [rng.normal(size=(B, H, T, D)).astype(dtype) for T in (Tq, Tk, Tk, Tq)]


def compare(agree, q, k, v, dy, *settings, what="", times=1):
    """Forward and backward against the reference; backward of both from the reference's y and lse.

    times: how much larger than dy the numbers are whose difference a gradient may be.
    """
    y, lse = NUMPY.attention_forward(q, k, v, *settings)
    agree(CPU.attention_forward(q, k, v, *settings), (y, lse), what=f"{what} forward", floor=1.0)
    wanted = NUMPY.attention_backward(dy, q, k, v, y, lse, *settings)
    floor = times * float(np.abs(dy).max(initial=0))
    agree(CPU.attention_backward(dy, q, k, v, y, lse, *settings), wanted, what=f"{what} backward", floor=floor)


LENGTHS = [1, 2, TILE - 1, TILE, TILE + 1, 2 * TILE + 1]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("Tq", LENGTHS)
def test_lengths_around_the_tile(Tq, causal, agree, rng):
    for Tk in LENGTHS:
        compare(agree, *heads(rng, FLOAT, 2, 2, Tq, Tk, 3), None, causal, 0.6, what=f"Tk={Tk}")


@pytest.mark.parametrize("causal", [False, True])
def test_float64_has_its_digits(causal, agree, rng):
    mask = rng.random((TILE + 1, 2 * TILE + 1)) < 0.8
    for m in (None, mask):
        compare(agree, *heads(rng, np.float64, 2, 2, TILE + 1, 2 * TILE + 1, 3), m, causal, 0.6, (0.1, 3, 0))


@pytest.mark.parametrize(("B", "H", "D"), [(1, 1, 1), (1, 5, 1), (2, 3, 64)])
def test_sizes_of_one(B, H, D, agree, rng):
    compare(agree, *heads(rng, FLOAT, B, H, 3, 4, D), None, True, 1 / D**0.5)


MASK_SHAPES = [shape for shape in itertools.product((1, 2), (1, 3), (1, 70), (1, 66))]


@pytest.mark.parametrize("causal", [False, True])
def test_masks_of_all_shapes_that_broadcast(causal, agree, rng):
    arrays = heads(rng, FLOAT, 2, 3, 70, 66, 4)
    for shape in [*MASK_SHAPES, (), (66,), (70, 66), (70, 1), (3, 1, 66)]:
        mask = rng.random(shape) < 0.7
        compare(agree, *arrays, mask, causal, 0.5, what=f"mask {shape}")


@pytest.mark.parametrize("causal", [False, True])
def test_queries_that_see_nothing(causal, agree, rng):
    q, k, v, dy = heads(rng, FLOAT, 1, 2, 5, 5, 4)
    mask = np.ones((5, 5), bool)
    mask[0] = mask[3] = False
    mask[:, 4] = False  # and a key that nobody sees
    compare(agree, q, k, v, dy, mask, causal, 0.5)
    y, lse = CPU.attention_forward(q, k, v, mask, causal, 0.5)
    assert not y[:, :, [0, 3]].any()
    dq, dk, dv = CPU.attention_backward(dy, q, k, v, y, lse, mask, causal, 0.5)
    assert not dq[:, :, [0, 3]].any()
    assert not dk[:, :, 4].any()
    assert not dv[:, :, 4].any()
    compare(agree, q, k, v, dy, np.zeros((5, 5), bool), causal, 0.5)


def test_a_causal_mask_leaves_tiles_of_early_queries_without_keys(agree, rng):
    for Tq, Tk in [(3 * TILE, 1), (3 * TILE, TILE), (2 * TILE + 5, 7), (TILE + 1, 1)]:
        compare(agree, *heads(rng, FLOAT, 1, 2, Tq, Tk, 2), None, True, 0.5, what=f"{Tq} queries, {Tk} keys")


def test_no_queries_no_keys_no_examples(agree, rng):
    for B, H, Tq, Tk in [(2, 2, 0, 3), (2, 2, 3, 0), (0, 2, 3, 3), (2, 0, 3, 3), (1, 1, 0, 0)]:
        for causal in (False, True):
            compare(agree, *heads(rng, FLOAT, B, H, Tq, Tk, 2), None, causal, 0.5, what=f"{B, H, Tq, Tk}")
    for B, T_ in [(0, 3), (2, 0)]:
        qkv = np.zeros((B, T_, 12), FLOAT)
        agree(CPU.attention_qkv_forward(qkv, 2), (np.zeros((B, T_, 4), FLOAT), np.zeros((B, 2, T_), FLOAT)))


def test_scores_of_tens_of_thousands(agree, rng):
    q, k = rng.integers(-60, 61, (2, 1, 2, 70, 4)).astype(FLOAT)  # products that float32 holds exactly
    _, _, v, dy = heads(rng, FLOAT, 1, 2, 70, 70, 4)
    for scale in (2.0, -2.0, 0.0):
        compare(agree, q, k, v, dy, None, True, scale, times=2 * 60)  # scale * q


# --- dropout ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_example", [0, 3])
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_dropout_equals_the_reference(p, first_example, dtype, agree, rng):
    for Tq, Tk, causal in [(5, 5, True), (3, 8, False), (TILE + 3, TILE + 5, True), (TILE + 3, 4, True)]:
        mask = rng.random((Tq, Tk)) < 0.8
        arrays = heads(rng, dtype, 2, 3, Tq, Tk, 4)
        for m in (None, mask):
            compare(agree, *arrays, m, causal, 0.5, (p, 2**64 - 5, first_example), what=f"Tq={Tq} Tk={Tk}")


def test_dropout_masks_are_the_reference_ones_bit_for_bit():
    """With equal scores and v the identity, y is the weights themselves: 0 where dropped."""
    B, H, T_ = 3, 2, TILE + 7
    q = np.zeros((B, H, T_, T_), np.float32)
    v = np.broadcast_to(np.eye(T_, dtype=np.float32), q.shape)
    for first_example in (0, 1, 2**20):
        dropout = (0.3, 987654321987654321, first_example)
        ours, reference = (row.attention_forward(q, q, v, None, False, 1.0, dropout)[0] for row in (CPU, NUMPY))
        np.testing.assert_array_equal(ours != 0, reference != 0)
        part, _ = CPU.attention_forward(q[1:], q[1:], v[1:], None, False, 1.0, (*dropout[:2], first_example + 1))
        np.testing.assert_array_equal(part, ours[1:])


def test_the_packed_form_is_the_same_as_three_arrays(rng):
    B, H, T_, D = 2, 3, TILE + 2, 4
    qkv = rng.normal(size=(B, T_, 3 * H * D)).astype(FLOAT)
    dy = rng.normal(size=(B, T_, H * D)).astype(FLOAT)
    split = [p.reshape(B, T_, H, D).transpose(0, 2, 1, 3) for p in (*np.split(qkv, 3, -1), dy)]
    settings = (rng.random((B, 1, T_, T_)) < 0.9, True, 0.3, (0.2, 5, 1))
    y, lse = CPU.attention_qkv_forward(qkv, H, *settings)
    y_split, lse_split = CPU.attention_forward(*split[:3], *settings)
    np.testing.assert_array_equal(y.reshape(B, T_, H, D).transpose(0, 2, 1, 3), y_split)
    np.testing.assert_array_equal(lse, lse_split)
    dqkv = CPU.attention_qkv_backward(dy, qkv, y, lse, H, *settings)
    grads = CPU.attention_backward(split[3], *split[:3], y_split, lse_split, *settings)
    merged = [g.transpose(0, 2, 1, 3).reshape(B, T_, H * D) for g in grads]
    np.testing.assert_array_equal(dqkv, np.concatenate(merged, -1))


# --- views with strides that BLAS does not take ------------------------------------------------------------------


def one_token(x):
    return x[:, :, 0][:, :, None]  # NumPy gives a new axis stride 0


def repeated(x):
    return np.broadcast_to(x[:, :, :1], x.shape)


def reversed_in_time(x):
    return np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1]


def windows(x):
    """Rows that overlap in memory: element d of row t is element t + d."""
    B, H, T_, D = x.shape
    line = np.zeros((B, H, T_ + D), x.dtype)
    line[...] = np.sin(np.arange(T_ + D) * 1.7)
    return np.lib.stride_tricks.sliding_window_view(line, D, axis=-1)[:, :, :T_]


def every_other_token(x):
    return np.repeat(x, 2, axis=2)[:, :, ::2]


def packed_with_others(x):
    return np.concatenate([x, x], axis=-1)[..., : x.shape[-1]]


def shared_by_all_heads(x):
    return np.broadcast_to(x[:, :1], x.shape)


VIEWS = [one_token, repeated, reversed_in_time, windows, every_other_token, packed_with_others, shared_by_all_heads]


@pytest.mark.parametrize("which", ["q, k, v", "dy"])
@pytest.mark.parametrize("view", VIEWS)
def test_views(view, which, agree, rng):
    for D in (4, 1):
        arrays = heads(rng, FLOAT, 2, 2, 6, 6, D)
        if view is one_token:
            arrays = [x[:, :, :1] for x in arrays]
        for i in (3,) if which == "dy" else (0, 1, 2):
            arrays[i] = view(arrays[i])
        compare(agree, *arrays, None, False, 0.5, what=f"D={D}")


def test_a_query_with_a_new_axis_through_the_engine(agree, rng):
    """The last token's query against all keys, as decoding with a cache has it."""
    q, k, v, _ = heads(rng, FLOAT, 1, 2, 6, 6, 4)
    results = []
    for row in ("numpy", "cpu"):
        with mg.use(row):
            leaf = mg.Tensor(q, requires_grad=True)
            y = F.scaled_dot_product_attention(leaf[:, :, -1][:, :, None], k, v)
            y.sum(axis=(0, 1, 2)).sum().backward()
            results.append((y.numpy(), leaf.grad))
    agree(results[1], results[0], floor=1e-3)


# --- NaN --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "scores",
    [[np.nan] * 4, [np.nan, -np.inf, -np.inf, -np.inf], [-np.inf, -np.inf, -np.inf, np.nan], [0, 1, np.nan, 2],
     [0, np.inf, 1, -np.inf], [-np.inf, 0, 1, -np.inf], [-np.inf] * 4],
    ids=str,
)  # fmt: skip
def test_nan_and_inf_among_the_scores(scores, dtype, agree):
    """A NaN must come out as NaN: a zero would hide it from everybody who looks for it."""
    k = np.array(scores, dtype).reshape(1, 1, 4, 1)
    one, v = np.ones((1, 1, 1, 1), dtype), np.arange(4, dtype=dtype).reshape(1, 1, 4, 1)
    if np.isfinite(scores).all() or not np.isneginf(scores).all():
        compare(agree, one, k, v, one)
    else:  # dq = dscores @ k would be 0 * -inf
        agree(CPU.attention_forward(one, k, v), NUMPY.attention_forward(one, k, v))


def test_nan_weights_of_a_projection_reach_the_loss(rng):
    with mg.use("cpu"):
        x = mg.Tensor(rng.normal(size=(1, 5, 4)).astype(np.float32))
        weight = rng.normal(size=(4, 12)).astype(np.float32)
        weight[0, 0] = np.nan  # in the queries alone
        assert np.isnan(F.self_attention(F.linear(x, weight), 1, causal=True).sum().item())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_one_query_on_the_keys_of_a_cache(batch, masked, dtype, agree, rng):
    """The keys are the beginning of a longer array, the query lies inside q | k | v of its token."""
    k, v = (np.full((batch, 2, 90, 5), np.nan, dtype) for _ in range(2))
    k[:, :, :71], v[:, :, :71] = rng.normal(size=(2, batch, 2, 71, 5))
    q = rng.normal(size=(batch, 1, 3 * 10)).astype(dtype)[..., 10:20].reshape(batch, 1, 2, 5).transpose(0, 2, 1, 3)
    mask = rng.random((batch, 1, 1, 71)) < 0.5 if masked else None
    if masked:
        mask[0] = False  # sees nothing
    settings = (mask, True, 0.6)
    with np.errstate(all="ignore"):
        wanted = NUMPY.attention_forward(q, k[:, :, :71], v[:, :, :71], *settings)
    agree(CPU.attention_forward(q, k[:, :, :71], v[:, :, :71], *settings), wanted, floor=1.0)
