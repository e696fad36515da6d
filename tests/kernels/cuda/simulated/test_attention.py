"""Attention on the simulated card: tiles small enough to have edges everywhere, masks, dropout, layouts, each rung."""

import itertools

import numpy as np
import pytest

from kernels.cuda import attention, device
from kernels.cuda.array import DeviceArray, view_of
from kernels.cuda.attention_backward import attention_delta, attention_dkdv_v1, attention_dq_v1
from kernels.cuda.attention_forward import attention_by_patches, attention_by_threads, attention_v1
from kernels.cuda.errors import DeviceError
from kernels.reference import attention as reference

CAUSAL = pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
SIZES = {
    "small": (8, 8, 4, 2),  # one warp, not full
    "tall": (16, 16, 16, 2),  # a row a thread; a full warp
    "warps": (32, 32, 32, 2),  # two of them
    "wide": (4, 16, 2, 4),  # four lanes a row
}


@pytest.fixture
def tiles(monkeypatch):
    """tiles("small"): use these instead, for heads up to 16 wide."""

    def use(name):
        width = 16 if name == "wide" else 8
        for table in ("FORWARD", "FORWARD_FEW", "DECODING", "BACKWARD"):
            monkeypatch.setattr(attention, table, {width: SIZES[name]})

    use("small")
    return use


def heads(rng, B, H, Tq, Tk, D):
    """q, k, v, dy"""
    return [rng.standard_normal((B, H, T, D), dtype=np.float32) for T in (Tq, Tk, Tk, Tq)]


def close(got, wanted, what, floor=1.0):
    for name, a, b in zip(("first", "second", "third"), got, wanted, strict=False):
        host = device.to_host(a)
        assert host.shape == b.shape
        largest = max(float(np.abs(b).max(initial=0)), floor)
        np.testing.assert_allclose(host, b, rtol=0, atol=1e-5 * largest, err_msg=f"{what}: {name} result")


def compare(q, k, v, dy, mask=None, causal=False, scale=0.5, dropout=(0.0, 0, 0), floor=1.0):
    """Forward and backward against the reference, both backwards from the reference's y and lse; inputs unchanged."""
    y, lse = reference.attention_forward(q, k, v, mask, causal, scale, dropout)
    host = [dy, q, k, v, y, lse]
    card = [device.from_host(a) for a in host]
    settings = (None if mask is None else device.from_host(mask), causal, scale, dropout)
    close(attention.attention_forward(*card[1:4], *settings), (y, lse), "forward")
    wanted = reference.attention_backward(*host, mask, causal, scale, dropout)
    close(attention.attention_backward(*card, *settings), wanted, "backward", floor)
    for a, b in zip(card, host, strict=True):
        np.testing.assert_array_equal(device.to_host(a), b)


# --- tiles ------------------------------------------------------------------------------------------------------


@CAUSAL
@pytest.mark.parametrize(("Tq", "Tk"), [(1, 1), (7, 8), (8, 7), (9, 17), (17, 9), (1, 17), (17, 1), (16, 16)])
def test_lengths_around_the_tile(Tq, Tk, causal, tiles, rng):
    compare(*heads(rng, 1, 2, Tq, Tk, 8), causal=causal)


@CAUSAL
@pytest.mark.parametrize("name", list(SIZES))
def test_shapes_of_tiles(name, causal, tiles, rng):
    tiles(name)
    mask = rng.random((18, 19)) < 0.7
    compare(*heads(rng, 2, 1, 18, 19, 8), mask, causal, dropout=(0.2, 7, 1))


@pytest.mark.parametrize("D", [1, 3, 4, 5, 8])
def test_widths_between_those_of_the_kernels(D, tiles, rng):
    compare(*heads(rng, 1, 2, 5, 6, D), causal=True)


@pytest.mark.parametrize("D", list(attention.FORWARD))
def test_the_tiles_in_use(D, rng):
    compare(*heads(rng, 1, 1, 19, 21, D), causal=True, scale=1 / D**0.5)


def test_the_large_tile(rng, monkeypatch):
    monkeypatch.setattr(attention, "MANY", 1)  # as if there were many blocks
    q, k, v, _ = heads(rng, 1, 1, 33, 33, 64)
    wanted = reference.attention_forward(q, k, v, None, True, 0.125)
    close(attention.attention_forward(*map(device.from_host, (q, k, v)), None, True, 0.125), wanted, "forward")


@CAUSAL
def test_decoding(causal, rng):
    """One query, many keys that lie in a cache longer than they are."""
    q, k, v, _ = heads(rng, 2, 2, 1, 37, 12)
    caches = [
        device.from_host(np.concatenate([a, np.full((2, 2, 11, 12), np.nan, np.float32)], axis=2)) for a in (k, v)
    ]
    views = [view_of(cache, (slice(None), slice(None), slice(37))) for cache in caches]
    wanted = reference.attention_forward(q, k, v, None, causal, 0.3)
    close(attention.attention_forward(device.from_host(q), *views, None, causal, 0.3), wanted, "forward")


def test_no_queries_no_keys_no_examples(tiles, rng):
    for B, H, Tq, Tk in [(2, 2, 0, 3), (2, 2, 3, 0), (0, 2, 3, 3), (2, 0, 3, 3), (1, 1, 0, 0)]:
        for causal in (False, True):
            compare(*heads(rng, B, H, Tq, Tk, 4), causal=causal)
    qkv = device.from_host(np.zeros((0, 3, 24), np.float32))
    y, lse = attention.attention_qkv_forward(qkv, 2)
    assert (y.shape, lse.shape) == ((0, 3, 8), (0, 2, 3))
    assert attention.attention_qkv_backward(y, qkv, y, lse, 2).shape == (0, 3, 24)


def test_heads_that_are_too_wide(rng):
    q = device.from_host(np.zeros((1, 1, 2, 132), np.float32))
    with pytest.raises(DeviceError, match="D = 132"):
        attention.attention_forward(q, q, q)


# --- what a query sees ------------------------------------------------------------------------------------------


@CAUSAL
def test_masks_of_all_shapes_that_broadcast(causal, tiles, rng):
    q, k, v, _ = heads(rng, 2, 3, 9, 10, 4)
    shapes = [*itertools.product((1, 2), (1, 3), (1, 9), (1, 10)), (), (10,), (9, 10), (9, 1), (3, 1, 10)]
    for shape in shapes[:: 3 if causal else 1]:
        mask = np.asarray(rng.random(shape) < 0.7)
        wanted = reference.attention_forward(q, k, v, mask, causal, 0.5)
        card = [device.from_host(a) for a in (q, k, v, mask)]
        close(attention.attention_forward(*card, causal, 0.5), wanted, f"mask {shape}")


@CAUSAL
def test_queries_that_see_nothing_and_keys_that_nobody_sees(causal, tiles, rng):
    q, k, v, dy = heads(rng, 1, 2, 9, 9, 4)
    mask = np.ones((9, 9), bool)
    mask[0] = mask[3] = mask[:, 4] = False
    compare(q, k, v, dy, mask, causal)
    compare(q, k, v, dy, np.zeros((9, 9), bool), causal)
    q, k, v, dy, mask = (device.from_host(a) for a in (q, k, v, dy, mask))
    y, lse = attention.attention_forward(q, k, v, mask, causal, 0.5)
    assert not device.to_host(y)[:, :, [0, 3]].any()
    assert not device.to_host(lse)[:, :, [0, 3]].any()
    dq, dk, dv = (device.to_host(d) for d in attention.attention_backward(dy, q, k, v, y, lse, mask, causal, 0.5))
    assert not dq[:, :, [0, 3]].any()
    assert not dk[:, :, 4].any()
    assert not dv[:, :, 4].any()


def test_a_causal_mask_leaves_early_queries_without_keys(tiles, rng):
    for Tq, Tk in [(24, 1), (24, 8), (21, 7), (9, 1)]:
        compare(*heads(rng, 1, 1, Tq, Tk, 4), causal=True)


def test_scores_of_tens_of_thousands(tiles, rng):
    q, k = rng.integers(-60, 61, (2, 1, 1, 18, 4)).astype(np.float32)  # products that float32 holds exactly
    _, _, v, dy = heads(rng, 1, 1, 18, 18, 4)
    for scale in (2.0, -2.0, 0.0):
        compare(q, k, v, dy, None, True, scale, floor=2 * 60 * 4)


def test_keys_out_of_sight_may_hold_anything(tiles, rng):
    """What lies behind the last key, or after the query, is read by no product that counts: NaN there does no harm."""
    q, k, v, _ = heads(rng, 1, 1, 9, 9, 8)
    wanted = reference.attention_forward(q, k, v, None, True, 0.5)
    k[0, 0, 5:] = np.nan
    got = attention.attention_forward(*map(device.from_host, (q, k, v)), None, True, 0.5)
    np.testing.assert_allclose(device.to_host(got[0])[:, :, :5], wanted[0][:, :, :5], rtol=0, atol=1e-5)
    assert np.isnan(device.to_host(got[0])[:, :, 5:]).all()  # and those who see it say so


# --- dropout ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_example", [0, 3])
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_dropout(p, first_example, tiles, rng):
    for Tq, Tk, causal, masked in [(5, 5, True, False), (9, 11, False, True), (11, 4, True, False)]:
        mask = rng.random((Tq, Tk)) < 0.8 if masked else None
        compare(*heads(rng, 2, 2, Tq, Tk, 4), mask, causal, dropout=(p, 2**64 - 5, first_example))


def test_dropout_masks_are_the_reference_ones_bit_for_bit(tiles):
    """With equal scores and v the identity, y is the weights themselves: 0 where dropped."""
    B, H, Tq, Tk = 2, 2, 11, 8
    q, k = np.zeros((B, H, Tq, 8), np.float32), np.zeros((B, H, Tk, 8), np.float32)
    v = np.broadcast_to(np.eye(8, dtype=np.float32), (B, H, 8, 8))
    for key in (1, 2**63, 2**64 - 1):
        dropout = (0.5, key, 5)
        y, _ = attention.attention_forward(*map(device.from_host, (q, k, v)), None, False, 1.0, dropout)
        wanted, _ = reference.attention_forward(q, k, v, None, False, 1.0, dropout)
        np.testing.assert_array_equal(device.to_host(y), wanted)


# --- layouts ----------------------------------------------------------------------------------------------------


@CAUSAL
@pytest.mark.parametrize("D", [8, 3])
def test_packed_qkv(D, causal, tiles, agrees, rng):
    B, T, H = 2, 11, 2
    qkv, dy = rng.standard_normal((B, T, 3 * H * D), dtype=np.float32), rng.standard_normal((B, T, H * D), np.float32)
    mask = rng.random((B, 1, 1, T)) < 0.8
    settings = (H, mask, causal, 0.4, (0.1, 9, 2))
    y, lse = agrees("attention", "attention_qkv_forward", qkv, *settings)
    agrees("attention", "attention_qkv_backward", dy, qkv, y, lse, *settings, tolerance=2e-5)


def test_packed_qkv_and_heads_of_a_wider_array_are_not_copied(tiles, monkeypatch, rng):
    def refuse(x):
        raise AssertionError("copied")

    monkeypatch.setattr(attention, "copied", refuse)
    monkeypatch.setattr(attention, "contiguous", refuse, raising=False)
    qkv = rng.standard_normal((2, 5, 48), dtype=np.float32)
    y, lse = attention.attention_qkv_forward(device.from_host(qkv), 2, None, True, 0.5)
    close((y, lse), reference.attention_qkv_forward(qkv, 2, None, True, 0.5), "packed")
    x = device.from_host(qkv)  # (B, T, 3, H, D) seen as q, k, v (B, H, T, D)
    q, k, v = (DeviceArray(x.lease, x.dtype, (2, 2, 5, 8), (240, 8, 48, 1), 16 * n) for n in range(3))
    y, lse = attention.attention_forward(q, k, v, None, True, 0.5)
    parts = [reference.split_heads(part, 2) for part in np.split(qkv, 3, axis=-1)]
    close((y, lse), reference.attention_forward(*parts, None, True, 0.5), "heads")


VIEWS = {
    "backwards": np.s_[:, :, ::-1],
    "every other": np.s_[:, ::2, 1::2],
    "not at a multiple of four": np.s_[..., 3:7],
    "spread": np.s_[..., ::2],
    "one": np.s_[1:, :1, 2:3],
}


@pytest.mark.parametrize("name", list(VIEWS))
def test_views(name, tiles, rng):
    host = [rng.standard_normal((2, 2, 6, 8), dtype=np.float32) for _ in range(4)]
    dy, q, k, v = (a[VIEWS[name]] for a in host)
    card = [view_of(device.from_host(a), VIEWS[name]) for a in host]
    y, lse = reference.attention_forward(q, k, v, None, True, 0.5)
    close(attention.attention_forward(*card[1:], None, True, 0.5), (y, lse), "forward")
    gradients = attention.attention_backward(*card, device.from_host(y), device.from_host(lse), None, True, 0.5)
    close(gradients, reference.attention_backward(dy, q, k, v, y, lse, None, True, 0.5), "backward")


def test_a_mask_that_is_a_view(tiles, rng):
    q, k, v, _ = heads(rng, 1, 1, 9, 9, 4)
    mask = rng.random((9, 18)) < 0.6
    for part in (np.s_[::-1, ::2], np.s_[:, 9:]):
        view = view_of(device.from_host(mask), part)
        wanted = reference.attention_forward(q, k, v, mask[part], False, 0.5)
        close(attention.attention_forward(*map(device.from_host, (q, k, v)), view, False, 0.5), wanted, str(part))


# --- the first rungs --------------------------------------------------------------------------------------------


@CAUSAL
@pytest.mark.parametrize(("Tq", "Tk"), [(1, 1), (9, 6), (6, 9), (11, 11)])
def test_forward_rungs(Tq, Tk, causal, rng):
    N, D = 2, 8
    q, k, v, _ = (a[:, 0] for a in heads(rng, N, 1, Tq, Tk, D))
    wanted = reference.attention_forward(q[:, None], k[:, None], v[:, None], None, causal, 0.5)
    for name in ("v1", "v2"):
        y, lse = np.full((N, Tq, D), np.nan, np.float32), np.full((N, Tq), np.nan, np.float32)
        arrays = [a.reshape(-1) for a in (q, k, v)]
        out = (causal, 0.5, y.reshape(-1), lse.reshape(-1))
        if name == "v1":
            attention_v1(-(-N * Tq // 64), 64, *arrays, *out, N, Tq, Tk, D)
        else:
            attention_by_threads(D, 4, 3)((-(-Tq // 4), N), 4, *arrays, *out, Tq, Tk)
        np.testing.assert_allclose(y, wanted[0][:, 0], rtol=0, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(lse, wanted[1][:, 0], rtol=0, atol=1e-5, err_msg=name)


@CAUSAL
@pytest.mark.parametrize(("Tq", "Tk"), [(1, 1), (9, 6), (6, 9)])
def test_first_rung_backward(Tq, Tk, causal, rng):
    N, D = 2, 5
    q, k, v, dy = heads(rng, N, 1, Tq, Tk, D)
    y, lse = reference.attention_forward(q, k, v, None, causal, 0.5)
    delta = np.full(N * Tq, np.nan, np.float32)
    place = (0, Tq * D, Tq * D, D)
    attention_delta(-(-N * Tq // 8), 256, dy.reshape(-1), *place, y.reshape(-1), *place, delta, 1, Tq, D, N * Tq)
    np.testing.assert_allclose(delta, (dy * y).sum(-1).reshape(-1), rtol=0, atol=1e-5)
    got = [np.full(x.size, np.nan, np.float32) for x in (q, k, v)]
    arrays = [a.reshape(-1) for a in (dy, q, k, v, lse)]
    attention_dq_v1(1, 64, *arrays, delta, causal, 0.5, got[0], N, Tq, Tk, D)
    attention_dkdv_v1(1, 64, *arrays, delta, causal, 0.5, got[1], got[2], N, Tq, Tk, D)
    for a, b in zip(got, reference.attention_backward(dy, q, k, v, y, lse, None, causal, 0.5), strict=True):
        np.testing.assert_allclose(a, b.reshape(-1), rtol=0, atol=1e-5)


def test_sizes_that_do_not_fit_each_other():
    with pytest.raises(ValueError, match="evenly"):
        attention_by_patches(8, 8, 8, 3, 2, False, False)
