"""AttentionSteps and NeuronView: what they compute, draw, say and refuse."""

import base64

import numpy as np
import pytest

import minigpt as mg
from minigpt.viz import AttentionSteps, NeuronView

TOKENS = ["a", " b", "你", "\n"]


def head(Tq, Tk, D, Dv=None, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(Tq, D)), rng.normal(size=(Tk, D)), rng.normal(size=(Tk, Dv or D))


def test_steps_by_hand():
    q, k, v = [[1.0, 2], [0, 1]], [[1, 1], [2, -1]], [[10, 0], [0, 20]]
    view = AttentionSteps(q, k, v, "xy", causal=True, w_o=[[1, 0, 2], [0, 1, 0]])
    np.testing.assert_array_equal(view.products, [[3, 0], [1, -1]])
    np.testing.assert_allclose(view.scores, np.array([[3, 0], [1, -1]]) / 2**0.5)
    np.testing.assert_allclose(view.masked, [[3 / 2**0.5, -np.inf], [0.5**0.5, -(0.5**0.5)]])
    np.testing.assert_allclose(view.shifted, [[0, -np.inf], [0, -(2**0.5)]])
    e = np.exp(-(2**0.5))
    np.testing.assert_allclose(view.exps, [[1, 0], [1, e]])
    np.testing.assert_allclose(view.sums, [[1], [1 + e]])
    np.testing.assert_allclose(view.weights, [[1, 0], [1 / (1 + e), e / (1 + e)]])
    np.testing.assert_allclose(view.output, [[10, 0], [10 / (1 + e), 20 * e / (1 + e)]])
    np.testing.assert_allclose(view.projected[1], [10 / (1 + e), 20 * e / (1 + e), 20 / (1 + e)])
    names = ["tokens → q, k, v", "QKᵀ", "÷ √d", "mask", "− row maximum", "exp", "÷ row sum", "· V", "· W_O"]
    assert [step.name for step in view.steps] == names
    assert view.steps[-1].shapes == "(2, 2) · (2, 3) → (2, 3)"
    assert "1 of 4 scores become −∞" in view.steps[3].says
    assert "weight, 1, is that of query 0 x on key 0 x" in view.alt()


def test_without_mask_and_projection_two_steps_fewer():
    view = AttentionSteps(*head(2, 3, 4, 5), "xy", keys="abc")
    assert [step.name for step in view.steps][3:5] == ["− row maximum", "exp"]
    assert view.steps[3].parts == ("scores", "largest")
    assert view.projected is None
    assert view.output.shape == (2, 5)
    np.testing.assert_allclose(view.weights.sum(axis=1), 1)


@pytest.mark.parametrize(("Tq", "Tk"), [(4, 4), (2, 4), (4, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_same_as_the_library_whatever_may_be_seen(Tq, Tk, masked):
    """Causal from the bottom right; a row that may look at nothing gives zeros."""
    q, k, v = head(Tq, Tk, 3)
    mask = np.random.default_rng(1).random((Tq, Tk)) < 0.6 if masked else None
    if masked:
        mask[-1] = False
    view = AttentionSteps(q, k, v, "wxyz"[:Tq], keys="abcd"[:Tk], mask=mask, causal=True)
    four = (mg.Tensor(x[None, None]) for x in (q, k, v))
    output, weights = mg.functional.attention_with_weights(*four, mask=mask, causal=True)
    np.testing.assert_allclose(view.weights, weights.numpy()[0, 0], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(view.output, output.numpy()[0, 0], rtol=1e-5, atol=1e-6)
    dead = ~view.seen.any(axis=1)
    assert dead.any() == (masked or Tq > Tk)
    assert not view.output[dead].any()
    assert ("may look at nothing" in view.alt()) == dead.any()


def test_hard_sizes_make_pages_and_pictures():
    """One token, one channel, scores of ±10 000, 64 channels, more tokens than can be labelled."""
    for view in (
        AttentionSteps([[2.0]], [[3.0]], [[0.0]], ["\n"], causal=True),
        AttentionSteps(*head(4, 4, 1, scale=1e4), TOKENS, mask=np.zeros((1, 4), bool)),
        AttentionSteps(*head(4, 4, 64, scale=1e4), TOKENS, causal=True, w_o=np.ones((64, 200))),
        AttentionSteps(*head(70, 70, 2), ["t"] * 70, causal=True),
        NeuronView([[2.0]], [[3.0]], ["\n"]),
        NeuronView(*head(4, 4, 64, scale=1e4)[:2], TOKENS),
        NeuronView(*head(4, 4, 1)[:2], TOKENS, mask=np.zeros((4, 4), bool)),
    ):
        assert view.to_html().startswith('<div class="mg-view"')
        assert max(view.fig().get_size_inches()) < 25
        assert np.isfinite(view.scores).all()


def test_large_scores_do_not_overflow():
    view = AttentionSteps([[1e4], [-1e4]], [[1.0], [-1.0]], [[1.0], [2.0]], "xy")
    np.testing.assert_array_equal(view.weights, np.eye(2))
    np.testing.assert_array_equal(view.shifted, [[0, -2e4], [-2e4, 0]])


def test_figure_shows_the_arrays():
    view = AttentionSteps(*head(4, 4, 3), TOKENS, causal=True, w_o=np.ones((3, 2)))
    fig = view.fig()
    maps = {ax.get_title(loc="left"): ax for ax in fig.axes if ax.images}
    shown = {title.split("  ")[-1]: np.ma.getdata(ax.images[0].get_array()) for title, ax in maps.items()}
    names = {"Q": "q", "K": "k", "V": "v", "QKᵀ": "products", "÷ √d": "scores", "− row maximum": "shifted"}
    names |= {"exp": "exps", "÷ row sum": "weights", "· V": "output", "W_O": "w_o", "· W_O": "projected"}
    for title, name in names.items():
        np.testing.assert_array_equal(shown[title], getattr(view, name), title)
    written = [text.get_text() for text in maps["4  mask"].texts]
    assert written.count("−∞") == 6
    assert len(written) == 16
    bars = [ax for ax in fig.axes if ax.get_label() == "colour bar"]
    assert len(bars) == len(maps) == 12


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_page_carries_every_digit(dtype):
    q, k, v = (x.astype(dtype) for x in head(3, 3, 2))
    inputs = AttentionSteps(q, k, v, "abc").data()["inputs"]
    for name, array in (("q", q), ("k", k), ("v", v)):
        kept = np.frombuffer(base64.b64decode(inputs[name]["numbers"]), "<f8" if inputs[name]["double"] else "<f4")
        np.testing.assert_array_equal(kept.reshape(array.shape), array)
        assert inputs[name]["double"] == (dtype == np.float64)


def test_neuron_view_by_hand():
    view = NeuronView([[1, 2, 0, 4.0]], [[1, 1, 1, 1], [2, -1, 5, 0.5]], ["x"], keys=["p", "r"], key=1)
    np.testing.assert_array_equal(view.products, [1, -1, 0, 1])
    np.testing.assert_array_equal(view.running, [1, 0, 0, 1])
    np.testing.assert_array_equal(view.scores, [[3.5, 1]])
    assert NeuronView(view.q, view.k, ["x"], keys=["p", "r"]).key == 0  # the highest score
    assert NeuronView(view.q, view.k, ["x"], keys=["p", "r"], mask=[False, True]).key == 1
    assert "query 0 x, key 1 r: score 1" in view.alt()
    axes = {ax.get_label(): ax for ax in view.fig().axes}
    for name, values in view.bars().items():
        np.testing.assert_array_equal([bar.get_height() for bar in axes[name].patches], values)


Q, K, V = head(3, 3, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AttentionSteps(Q[None], K, V, "abc"), r'acts\["h.0.attn.q"\]\[0, head\]'),
        (lambda: AttentionSteps(Q[:, :1], K, V, "abc"), r"same number of channels, got q \(3, 1\) and k \(3, 2\)"),
        (lambda: AttentionSteps(Q, K[:2], V, "abc"), "q has 3 rows and k has 2: .*keys="),
        (lambda: AttentionSteps(Q, K, V[:2], "abc"), r"one row for each of the 3 keys, got shape \(2, 2\)"),
        (lambda: AttentionSteps(Q, K, V, "ab"), "3 of them; got 2"),
        (lambda: AttentionSteps(Q, K, V, [1, 2, 3]), "tokenizer.decode"),
        (lambda: AttentionSteps(Q, K, V, "abc", keys="ab"), "one string for each key, 3"),
        (lambda: AttentionSteps(Q, K, V, "abc", mask=[0.0, -np.inf, 0]), "mask == 0"),
        (lambda: AttentionSteps(Q, K, V, "abc", mask=np.ones((3, 2), bool)), r"\(queries, keys\) = \(3, 3\), got"),
        (lambda: AttentionSteps(Q, K, V, "abc", w_o=np.ones((4, 4))), r"c_proj\[head \* D : \(head \+ 1\) \* D\]"),
        (lambda: AttentionSteps(Q * np.nan, K, V, "abc"), r"q has nan at \[0, 0\]"),
        (lambda: AttentionSteps(np.full((3, 2), 1e200), np.full((3, 2), 1e200), V, "abc"), "overflows"),
        (lambda: AttentionSteps(Q[:0], K, V, ""), "none of them empty"),
        (lambda: NeuronView(Q, K, "abc", query=3), "query is a position from 0 to 2, got 3"),
        (lambda: NeuronView(Q, K, "abc", key=1.0), "key is a position from 0 to 2, got 1.0"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(mg.MiniGPTError, match=words):
        make()


def test_a_page_no_browser_could_show_is_refused(monkeypatch):
    views = AttentionSteps(Q, K, V, "abc"), NeuronView(Q, K, "abc")
    monkeypatch.setattr("minigpt.viz.attention_steps.LARGEST_PAGE", 20)
    monkeypatch.setattr("minigpt.viz.neuron.LARGEST_PAGE", 20)
    for view in views:
        with pytest.raises(mg.ArgumentError, match=r"at most 20.*\.fig\(\)"):
            view.data()
