"""Attention: causality, alignment, masks, rows that see nothing, and three ways of computing the same thing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt import functional as F
from minigpt.backend import current_row
from minigpt.decoding.cache import LayerCache
from minigpt.errors import GraphError
from minigpt.randomness import dropout_keys


def qkv(rng, B=2, H=2, Tq=3, Tk=4, D=2, dtype=np.float64):
    return [rng.normal(size=(B, H, T, D)).astype(dtype) for T in (Tq, Tk, Tk)]


def some_mask(rng, shape, dead_rows=True):
    mask = rng.random(shape) < 0.5
    mask[..., 0, :] = not dead_rows
    return mask


def naive_weights(q, k, allowed, scale):
    """The formula, one query at a time."""
    weights = np.zeros((*q.shape[:3], k.shape[2]))
    for b, h, i in np.ndindex(q.shape[:3]):
        seen = np.flatnonzero(allowed[b, h, i])
        if len(seen):
            e = np.exp(scale * (k[b, h, seen] @ q[b, h, i]))
            weights[b, h, i, seen] = e / e.sum()
    return weights


SETTINGS = {
    "plain": {},
    "causal": {"causal": True},
    "mask": {"mask": (4, 4)},
    "mask_per_head": {"mask": (2, 2, 4, 4)},
    "mask_of_keys": {"mask": (2, 1, 1, 4)},
    "both": {"mask": (2, 1, 4, 4), "causal": True},
    "scale": {"scale": 0.3},
    "scale_zero": {"scale": 0.0},
    "dropout": {"dropout_p": 0.4, "rng": 5},
    "everything": {"mask": (1, 2, 4, 4), "causal": True, "scale": 2.0, "dropout_p": 0.5, "rng": 3},
}


def settings(name, rng):
    given = dict(SETTINGS[name])
    if "mask" in given:
        given["mask"] = some_mask(rng, given["mask"])
    return given


@pytest.mark.parametrize("Tq", [1, 3, 4, 6])
@pytest.mark.parametrize("name", ["plain", "causal", "scale", "dropout"])
def test_gradient_with_other_numbers_of_queries_than_keys(name, Tq, rng):
    given = settings(name, rng)
    assert mg.gradcheck(lambda *qkv: F.scaled_dot_product_attention(*qkv, **given), qkv(rng, B=1, Tq=Tq))


@pytest.mark.parametrize("name", SETTINGS)
def test_gradient_and_agreement_with_separate_ops(name, rng):
    """Fused and in parts: the same outputs, weights that explain them, the same gradients, both right."""
    arrays, given = qkv(rng, Tq=4), settings(name, rng)
    results = []
    for function in (F.scaled_dot_product_attention, lambda *a, **k: F.attention_with_weights(*a, **k)[0]):
        leaves = [mg.Tensor(a, requires_grad=True) for a in arrays]
        y = function(*leaves, **given)
        y.backward(np.cos(np.arange(float(y.size))).reshape(y.shape))
        results.append([y.numpy(), *(leaf.grad for leaf in leaves)])
        assert mg.gradcheck(lambda *a, f=function: f(*a, **given), arrays)
    for fused, separate in zip(*results, strict=True):
        np.testing.assert_allclose(fused, separate, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["plain", "causal", "both", "mask_of_keys", "scale"])
def test_against_the_formula_one_query_at_a_time(name, rng):
    (q, k, v), given = qkv(rng, Tq=4), settings(name, rng)
    allowed = np.ones((2, 2, 4, 4), bool)
    if given.get("causal"):
        allowed &= np.arange(4) <= np.arange(4)[:, None]
    if "mask" in given:
        allowed = allowed & given["mask"]
    expected = naive_weights(q, k, allowed, given.get("scale", 2**-0.5))
    y, weights = F.attention_with_weights(q, k, v, **given)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(y.numpy(), expected @ v, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v, **given).numpy(), expected @ v, atol=1e-13)


@given(st.integers(1, 5), st.integers(1, 6), st.data())
def test_a_later_token_never_changes_an_earlier_output(Tq, Tk, data):
    """Query i sees keys j <= i + Tk - Tq: changing key and value j may only change outputs i >= j - (Tk - Tq)."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    q, k, v = qkv(rng, B=1, H=1, Tq=Tq, Tk=Tk)
    j = data.draw(st.integers(0, Tk - 1))
    before = F.scaled_dot_product_attention(q, k, v, causal=True).numpy()
    k[..., j, :] += 3.0
    v[..., j, :] -= 7.0
    changed = (F.scaled_dot_product_attention(q, k, v, causal=True).numpy() != before).any(axis=(0, 1, 3))
    np.testing.assert_array_equal(changed, np.arange(Tq) >= j - (Tk - Tq))


def test_causal_is_aligned_bottom_right():
    """With a cache, the only query is the last token and sees all keys; superfluous queries at the top see none."""
    v = np.eye(3)[None, None]  # so that the output is the weights
    for Tq, expected in (
        (1, [[1, 1, 1]]),
        (2, [[1, 1, 0], [1, 1, 1]]),
        (4, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]),
    ):
        y = F.scaled_dot_product_attention(np.zeros((1, 1, Tq, 3)), np.zeros((1, 1, 3, 3)), v, causal=True)
        np.testing.assert_array_equal(y.numpy()[0, 0] > 0, expected)
        np.testing.assert_allclose(y.numpy()[0, 0].sum(-1), np.max(expected, axis=-1))


@pytest.mark.parametrize("how", ["fused", "parts", "packed"])
def test_a_query_that_sees_nothing_gives_zeros_and_no_gradient(how, rng):
    q, k, v = qkv(rng, Tq=4, dtype=np.float32)
    mask = np.ones((4, 4), bool)
    mask[1] = False
    leaves = [mg.Tensor(a, requires_grad=True) for a in (q, k, v)]
    if how == "packed":  # (B, T, 3C) from (B, H, T, D)
        packed = [x.swapaxes(1, 2).reshape(2, 4, 4) for x in leaves]
        y = F.self_attention(mg.concatenate(packed, axis=-1), 2, mask=mask).reshape(2, 4, 2, 2).swapaxes(1, 2)
    else:
        y = F.attention_with_weights(*leaves, mask=mask)[0] if how == "parts" else (
            F.scaled_dot_product_attention(*leaves, mask=mask)
        )  # fmt: skip
    y[:, :, 1].sum().backward()
    np.testing.assert_array_equal(y.numpy()[:, :, 1], 0)
    for leaf in leaves:
        np.testing.assert_array_equal(leaf.grad, 0)
    assert np.isfinite(y.numpy()).all()


def test_nothing_at_all_to_attend_to(rng):
    q, k, v = qkv(rng, Tk=0)
    assert mg.gradcheck(F.scaled_dot_product_attention, [q, k, v])
    np.testing.assert_array_equal(F.scaled_dot_product_attention(q, k, v).numpy(), np.zeros((2, 2, 3, 2)))
    assert F.scaled_dot_product_attention(*qkv(rng, B=0)).shape == (0, 2, 3, 2)


@pytest.mark.parametrize("name", SETTINGS)
def test_packed_self_attention_equals_split_heads(name, rng):
    """qkv (B, T, 3C), as c_attn makes it, against q, k, v cut out by hand; head h uses columns h D … (h + 1) D."""
    packed, given = rng.normal(size=(2, 4, 12)), settings(name, rng)

    def by_hand(x):
        parts = [x[..., i * 4 : (i + 1) * 4].reshape(2, 4, 2, 2).swapaxes(1, 2) for i in range(3)]  # (B, H, T, D)
        return F.scaled_dot_product_attention(*parts, **given).swapaxes(1, 2).reshape(2, 4, 4)

    results = []
    for function in (lambda x: F.self_attention(x, 2, **given), by_hand):
        leaf = mg.Tensor(packed, requires_grad=True)
        y = function(leaf)
        y.backward(np.cos(np.arange(float(y.size))).reshape(y.shape))
        results.append((y.numpy(), leaf.grad))
    for fused, separate in zip(*results, strict=True):
        np.testing.assert_allclose(fused, separate, rtol=1e-10, atol=1e-12)
    assert mg.gradcheck(lambda x: F.self_attention(x, 2, **given), [packed])


def test_dropout_on_half_a_batch_is_that_of_the_whole_batch(rng):
    arrays = qkv(rng, B=4)

    def attend(rows, first_example):
        with dropout_keys(seed=1, step=2, first_example=first_example):
            return F.scaled_dot_product_attention(*(a[rows] for a in arrays), dropout_p=0.5).numpy()

    whole = attend(slice(None), 0)
    np.testing.assert_allclose(attend(slice(2, 4), 2), whole[2:], rtol=1e-13)
    assert not np.allclose(attend(slice(2, 4), 0), whole[2:])


def test_dropping_everything_gives_zeros(rng):
    np.testing.assert_array_equal(F.scaled_dot_product_attention(*qkv(rng), dropout_p=1.0, rng=0).numpy(), 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_may_be_huge(dtype, rng):
    leaves = [mg.Tensor(a * 1e4, requires_grad=True) for a in qkv(rng, Tq=4, dtype=dtype)]
    y = F.scaled_dot_product_attention(*leaves, causal=True)
    y.sum().backward()
    assert y.dtype == dtype
    assert all(np.isfinite(a).all() for a in (y.numpy(), *(leaf.grad for leaf in leaves)))


ONES = np.ones((1, 2, 3, 4))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.scaled_dot_product_attention(ONES[0], ONES, ONES), mg.ShapeError, r"q has shape \(2, 3, 4\), needs"),
        (lambda: F.scaled_dot_product_attention(ONES, ONES[:, :1], ONES), mg.ShapeError, "axis H, which is 2, 1, 2"),
        (lambda: F.scaled_dot_product_attention(ONES, ONES, ONES[..., :2]), mg.ShapeError, "axis D, which is 4, 4, 2"),
        (lambda: F.scaled_dot_product_attention(ONES, ONES, ONES[:, :, :2]), mg.ShapeError, "3 keys, 2 values"),
        (lambda: F.scaled_dot_product_attention(*[ONES[..., :0]] * 3), mg.ShapeError, "D must be at least 1"),
        (lambda: F.scaled_dot_product_attention(*[ONES] * 3, mask=np.ones((3, 3))), mg.ArgumentError, "got float64"),
        (lambda: F.scaled_dot_product_attention(*[ONES] * 3, mask=np.ones((3, 2), bool)), mg.ShapeError, "Tk is 2"),
        (lambda: F.scaled_dot_product_attention(*[ONES] * 3, mask=np.ones((2, 2, 3, 3), bool)), mg.ShapeError, "must "),
        (lambda: F.scaled_dot_product_attention(*[ONES] * 3, dropout_p=1.5), mg.ArgumentError, r"0 … 1, got 1\.5"),
        (lambda: F.self_attention(np.ones((1, 3, 10)), 2), mg.ShapeError, r"with C divisible by 2 heads"),
        (lambda: F.self_attention(np.ones((3, 12)), 2), mg.ShapeError, r"qkv is \(3, 12\)"),
        (lambda: F.self_attention(np.ones((1, 3, 12)), 0), mg.MiniGPTError, "heads"),
    ],
)  # fmt: skip
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("row", ["numpy", "cpu"])
@pytest.mark.parametrize("masked", [False, True])
def test_tokens_after_a_cache_see_it_and_themselves(row, masked, rng):
    """In pieces, one token at a time, or at once: the same as without a cache."""
    B, T, H, C = 2, 7, 2, 6
    packed = rng.normal(size=(B, T, 3 * C))
    mask = rng.random((B, 1, 1, T)) < 0.7 if masked else None
    wanted = F.self_attention(packed, H, mask=mask, causal=True).numpy()
    with mg.use(row):
        for pieces in ([7], [3, 1, 1, 2], [1] * 7):
            cache, start, got = LayerCache(current_row(), B, H, 9, C // H, np.float64), 0, []
            for n in pieces:
                seen = None if mask is None else mask[..., : start + n]
                got.append(F.cached_attention(packed[:, start : start + n], H, cache, seen).numpy())
                start += n
            np.testing.assert_allclose(np.concatenate(got, axis=1), wanted, rtol=1e-10, atol=1e-12)


def test_no_gradient_passes_a_cache(rng):
    packed = mg.Tensor(rng.normal(size=(1, 2, 6)), requires_grad=True)
    y = F.cached_attention(packed, 1, LayerCache(current_row(), 1, 1, 4, 2, np.float64))
    with pytest.raises(GraphError, match="AttentionCached has no backward"):
        y.sum().backward()
