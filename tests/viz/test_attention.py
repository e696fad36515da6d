"""AttentionGrid: arrays, figure, page, and the errors that teach."""

import base64
import json

import numpy as np
import pytest

from minigpt.errors import ArgumentError, NumericsError, ShapeError
from minigpt.viz import AttentionGrid, CrossAttention, HeadView
from minigpt.viz.weights import mean_entropy


def letters(T):
    return [f" t{k}" for k in range(T)]


def payload(html):
    """The data that a page hands to its script."""
    line = next(line for line in html.splitlines() if line.startswith("start("))
    return json.loads(line[line.index("{") : line.rindex("}") + 1])


# --- arrays -----------------------------------------------------------------------------------------------


def test_holds_a_read_only_copy(attention):
    weights = attention(2, 3, 5)
    view = AttentionGrid(weights, letters(5))
    weights[:] = 0
    assert view.weights.dtype == np.float64
    assert view.weights.sum() == pytest.approx(2 * 3 * 5)
    with pytest.raises(ValueError, match="read-only"):
        view.weights[0] = 0


def test_accepts_lists_of_layers_other_dtypes_and_a_string(attention):
    weights = attention(2, 3, 5)
    from_list = AttentionGrid([weights[0].astype(np.float16), weights[1].astype(np.float16)], "abcde")
    assert from_list.weights.dtype == np.float32
    assert from_list.tokens == list("abcde")
    np.testing.assert_allclose(from_list.weights, weights, atol=1e-3)
    one_hot = AttentionGrid(np.eye(3, dtype=int)[None, None], "abc")
    assert one_hot.weights.dtype == np.float32


def test_entropy_by_hand():
    """Rows (1), (1/2, 1/2) and (1/4, 1/4, 1/2): entropies 0, ln 2 and 3/2 ln 2, mean 5/6 ln 2."""
    w = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5]])
    view = AttentionGrid([[w]], "abc")
    assert view.entropy.shape == (1, 1)
    assert view.entropy[0, 0] == pytest.approx(5 / 6 * np.log(2))
    assert view.caption(0, 0) == "layer 0, head 0: 0.58 nats"
    assert view.even_entropy() == pytest.approx(np.log([1, 2, 3]).mean())
    assert AttentionGrid([[w]], "abc", causal=False).even_entropy() == pytest.approx(np.log(3))


def test_dead_rows_do_not_count_in_the_entropy():
    w = np.zeros((1, 2, 2, 2))
    w[0, 0, 1] = 0.5
    view = AttentionGrid(w, "ab")
    assert view.entropy[0, 0] == pytest.approx(np.log(2))
    assert np.isnan(mean_entropy(w)[0, 1])
    assert view.caption(0, 1) == "layer 0, head 1: no live rows"
    assert payload(view._repr_html_())["entropy"][0][1] is None


@pytest.mark.parametrize(("causal", "wanted"), [(None, True), (True, True), (False, False)])
def test_causal_weights(attention, causal, wanted):
    assert AttentionGrid(attention(1, 2, 4), letters(4), causal=causal).causal is wanted


def test_weights_that_look_both_ways_are_not_causal(attention):
    assert AttentionGrid(attention(1, 2, 4, causal=False), letters(4)).causal is False
    assert AttentionGrid([[[[1.0]]]], ["only"]).causal is False  # one token: nothing to mask


# --- figure -----------------------------------------------------------------------------------------------


def test_figure_has_one_masked_map_per_head_and_one_bar(attention):
    view = AttentionGrid(attention(2, 3, 5), letters(5), title="T")
    heads, bar = view.fig().axes
    assert len(heads.images) == 6
    for image, (layer, head) in zip(heads.images, np.ndindex(2, 3), strict=True):
        shown = image.get_array()
        np.testing.assert_array_equal(shown.data, view.weights[layer, head])
        np.testing.assert_array_equal(np.ma.getmaskarray(shown), np.triu(np.ones((5, 5), dtype=bool), 1))
        assert image.get_clim() == (0, 1)
    assert bar.get_ylabel() == "attention weight, 0 to 1"
    texts = [text.get_text() for text in heads.texts]
    assert "T" in texts
    assert texts.count("␣t4") == 2 + 3  # left of each row of maps, below each column
    for layer, head in np.ndindex(2, 3):
        assert view.caption(layer, head) in texts


def test_no_cell_is_masked_when_attention_looks_both_ways(attention):
    heads, _ = AttentionGrid(attention(1, 1, 4, causal=False), letters(4)).fig().axes
    assert not np.ma.getmaskarray(heads.images[0].get_array()).any()


def test_large_grid_names_heads_and_leaves_out_labels_too_small_to_read(attention):
    view = AttentionGrid(attention(16, 16, 40), letters(40))
    fig = view.fig()
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert len(fig.axes[0].images) == 256
    assert f"L15 H3  {view.entropy[15, 3]:.2f}" in texts
    assert "␣t4" not in texts
    assert max(fig.get_size_inches()) < 18


@pytest.mark.parametrize(("L", "H", "T"), [(1, 1, 1), (1, 1, 2), (1, 12, 8), (12, 1, 8), (4, 4, 24), (4, 4, 64)])
def test_maps_and_bar_lie_on_the_figure(attention, L, H, T):
    fig = AttentionGrid(attention(L, H, T), letters(T), title="x" * 500).fig()
    width, height = fig.get_size_inches()
    for image in fig.axes[0].images:
        left, right, low, high = image.get_extent()
        assert 0 <= left < right <= width
        assert 0 <= low < high <= height
    fig.canvas.draw()
    for text in fig.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= fig.bbox.x1 + 1
        assert box.y1 <= fig.bbox.y1 + 1


# --- page -------------------------------------------------------------------------------------------------


def test_page_carries_the_lower_triangle_of_causal_weights(attention):
    weights = attention(2, 3, 5)
    data = payload(AttentionGrid(weights, letters(5), title="T")._repr_html_())
    assert (data["shape"], data["causal"], data["title"]) == ([2, 3, 5], True, "T")
    steps = np.frombuffer(base64.b64decode(data["weights"]), dtype=np.uint8).reshape(2, 3, 15)
    query, key = np.tril_indices(5)
    np.testing.assert_allclose(steps / 255, weights[:, :, query, key], atol=0.5 / 255 + 1e-12)
    np.testing.assert_allclose(data["entropy"], mean_entropy(weights), atol=1e-6)
    assert len(base64.b64decode(data["colours"])) == 3 * 256


def test_page_carries_all_of_other_weights(attention):
    weights = attention(2, 3, 5, causal=False)
    data = payload(AttentionGrid(weights, letters(5))._repr_html_())
    steps = np.frombuffer(base64.b64decode(data["weights"]), dtype=np.uint8).reshape(2, 3, 5, 5)
    np.testing.assert_allclose(steps / 255, weights, atol=0.5 / 255 + 1e-12)


def test_tokens_reach_the_page_visible_and_unbroken(attention, read_html):
    tokens = ["</script><b>", '"', "你好", "🙂", "\x00", "\n"]
    html = AttentionGrid(attention(1, 1, 6), tokens, title="</title><script>alert(1)</script>")._repr_html_()
    assert payload(html)["tokens"] == ["</script><b>", '"', "你好", "🙂", "\\x00", "↵"]
    page = read_html(html)
    assert len(page.scripts) == 1
    assert not page.all("b")
    assert page.all("div")[0]["aria-label"] == "</title><script>alert(1)</script>"


def test_size_of_a_page(attention):
    """4 × 4 heads of 32 tokens: 30 KB of numbers and script, 100 KB with style, picture and all."""
    html = AttentionGrid(attention(4, 4, 32), letters(32))._repr_html_()
    script = html[html.index("<script>") : html.index("</script>")]
    assert len(script) < 30_000
    assert len(html.encode()) < 100_000
    assert len(AttentionGrid(attention(4, 4, 32, causal=False), letters(32))._repr_html_().encode()) < 100_000


def test_a_page_no_browser_could_show_is_refused(monkeypatch, attention):
    view = AttentionGrid(attention(1, 1, 8), letters(8))
    monkeypatch.setattr("minigpt.viz.weights.LARGEST_PAGE", 63)
    with pytest.raises(ArgumentError, match=r"at most 63, got 64.*\.fig\(\)"):
        view._repr_html_()
    view.fig()


def test_alt_names_the_extreme_heads():
    sharp, broad = np.eye(2), np.full((2, 2), 0.5)
    text = AttentionGrid([[sharp, broad]], "ab", title="Two heads").alt()
    assert text.startswith("Two heads. Grid of 1 × 2 heat maps")
    assert "Most focused is layer 0, head 0: 0.00 nats" in text
    assert "most spread out is layer 0, head 1: 0.69 nats" in text


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 3, 3), r"for one layer of shape \(H, T, T\) pass \[layer\]|For one layer"),
        ((3, 3), "one head"),
        ((2, 1, 2, 3, 3), "batch"),
        ((1, 2, 1, 3), "cache"),
        ((0, 2, 3, 3), "at least one layer"),
        ((1, 1, 0, 0), "at least one"),
    ],
)
def test_wrong_shapes(shape, hint):
    with pytest.raises(ShapeError, match=hint):
        AttentionGrid(np.ones(shape), "abc")


def test_unequal_layers(attention):
    with pytest.raises(ShapeError, match="same shape"):
        AttentionGrid([attention(1, 2, 3)[0], attention(1, 3, 3)[0]], "abc")
    with pytest.raises(ShapeError, match="everywhere"):
        AttentionGrid([[[[1.0], [0.5, 0.5]]]], "ab")
    with pytest.raises(ShapeError, match="at least one layer"):
        AttentionGrid([], "")


def test_not_numbers():
    with pytest.raises(ArgumentError, match=r"t\.numpy\(\)"):
        AttentionGrid(object(), "abc")
    with pytest.raises(ArgumentError, match=r"t\.numpy\(\)"):
        AttentionGrid([object()], "abc")


def test_number_and_kind_of_tokens(attention):
    with pytest.raises(ShapeError, match="T=4, got 3 tokens"):
        AttentionGrid(attention(1, 1, 4), letters(3))
    with pytest.raises(ArgumentError, match=r"tokenizer\.decode"):
        AttentionGrid(attention(1, 1, 2), [17, 42])


def test_nan_says_where(attention):
    weights = attention(2, 2, 3)
    weights[1, 0, 2, 1] = np.nan
    with pytest.raises(NumericsError, match=r"\[1, 0, 2, 1\]"):
        AttentionGrid(weights, "abc")


def test_scores_instead_of_weights():
    with pytest.raises(ArgumentError, match="before the softmax"):
        AttentionGrid(np.random.default_rng(0).normal(size=(1, 1, 4, 4)), "abcd")


def test_rows_that_do_not_sum_to_one(attention):
    weights = attention(1, 2, 3)
    weights[0, 1, 2] *= 1.002
    with pytest.raises(ArgumentError, match=r"head 1, query 2 sums to 1\.002"):
        AttentionGrid(weights, "abc")
    weights[0, 1, 2] /= 1.0015  # inside the tolerance
    assert AttentionGrid(weights, "abc").causal


def test_transposed_weights(attention):
    with pytest.raises(ArgumentError, match="swap the last two axes"):
        AttentionGrid(attention(1, 2, 5, causal=False).swapaxes(-1, -2), "abcde")


def test_causal_told_but_untrue(attention):
    with pytest.raises(ArgumentError, match=r"causal=True.*layer 0, head 0.*query 0 to the later key"):
        AttentionGrid(attention(1, 1, 3, causal=False), "abc", causal=True)


# --- cross-attention --------------------------------------------------------------------------------------


def cross_weights():
    """(1, 2, 2 queries, 3 keys)"""
    return np.array([[[[0.5, 0.5, 0], [0, 0, 1]], [[1, 0, 0], [0, 0.25, 0.75]]]])


def test_cross_attention_has_keys_of_its_own():
    view = AttentionGrid(cross_weights(), ["x", "y"], keys=["a", "b", "c"])
    assert (view.tokens, view.keys, view.causal) == (["x", "y"], ["a", "b", "c"], False)
    assert view.even_entropy() == pytest.approx(np.log(3))
    assert "2 tokens on 3" in view.alt()
    data = payload(view.to_html())
    assert data["keys"] == ["a", "b", "c"]
    stored = np.frombuffer(base64.b64decode(data["weights"]), np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(stored, np.rint(cross_weights() * 255))
    square = AttentionGrid(np.eye(2)[None, None], "xy", keys="ab")  # as many queries as keys are two texts still
    assert payload(square.to_html())["keys"] == ["a", "b"]


def test_cross_attention_is_drawn_with_cells_that_are_square():
    fig = AttentionGrid(cross_weights(), ["x", "y"], keys=["a", "b", "c"]).fig()
    image = fig.axes[0].images[0]
    left, right, low, high = image.get_extent()
    assert image.get_array().shape == (2, 3)
    assert (right - left) / 3 == pytest.approx((high - low) / 2)
    words = {text.get_text() for text in fig.axes[0].texts}
    assert {"x", "y", "a", "b", "c"} <= words


def test_cross_attention_errors():
    with pytest.raises(ShapeError, match="pass the tokens looked at as keys="):
        AttentionGrid(cross_weights(), "xy")
    with pytest.raises(ShapeError, match="one key per position: weights have K=3, got 2 keys"):
        AttentionGrid(cross_weights(), "xy", keys="ab")
    with pytest.raises(ArgumentError, match="leave causal=True out"):
        AttentionGrid(cross_weights(), "xy", keys="abc", causal=True)


def test_some_layers_keep_their_numbers(attention):
    """Layers 3 and 7 of a deeper model, in every caption, and in lines between the texts too."""
    weights = attention(2, 2, 3)
    view = AttentionGrid(weights, "abc", layers=[3, 7])
    assert view.caption(1, 0).startswith("layer 7, head 0: ")
    assert view.data()["layers"] == [3, 7]
    assert HeadView(weights, "abc", layers=[3, 7], layer=1).alt().startswith("What each token reads. Layer 7: ")
    cross = CrossAttention(attention(2, 2, 3, causal=False), "abc", "xyz", layers=[3, 7])
    assert cross.lines().layers == cross.layers == [3, 7]
    assert AttentionGrid(weights, "abc").layers == [0, 1]
    with pytest.raises(ShapeError, match="one number for each of 2 layers"):
        AttentionGrid(weights, "abc", layers=[3])
