"""HeadView and CrossAttention: the numbers read out in a browser are the arrays'; heads are switched; refusals."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.viz import CrossAttention, HeadView

TOKENS = ["a", " b", "你", "<i>"]


def test_a_token_tells_what_each_head_reads_most(browse, attention):
    weights = attention(2, 3, 4)
    probe = """
      const [queries, keys] = all("[role=application]");
      out.query = []; out.heads = [];
      focus(queries);
      for (const key of ["Home", "ArrowDown", "ArrowDown", "ArrowDown"]) {
        press(queries, key);
        out.query.push(shown(document));
      }
      const toggles = all("button[aria-pressed]");
      toggles[0].click();
      out.without = shown(document);
      out.pressed = toggles.map((b) => b.getAttribute("aria-pressed"));
      const choice = all("select")[0];
      choice.value = "1";
      choice.dispatchEvent(new Event("change"));
      out.layer = shown(document);
      press(queries, "Escape");
      out.all = shown(document);
    """
    found = browse([HeadView(weights, TOKENS)._repr_html_()], probe)
    names = ["a", "␣b", "你", "<i>"]

    def told(layer, query, heads):
        best = [weights[layer, h, query].argmax() for h in heads]
        read = ", ".join(
            f"H{h} {names[k]} {round(weights[layer, h, query, k] * 255) / 255:.2f}"
            for h, k in zip(heads, best, strict=True)
        )
        return f"layer {layer}: query {query} {names[query]} reads most: {read}"

    assert found["query"] == [told(0, q, [0, 1, 2]) for q in range(4)]
    assert found["without"] == told(0, 3, [1, 2])
    assert found["pressed"] == ["false", "true", "true"]
    assert found["layer"] == told(1, 3, [1, 2])
    assert found["all"].startswith("Point at a token")
    assert found["console"] == []


def test_cross_attention_reads_every_cell(browse):
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(3), (1, 2, 2))  # (L, H, T, S)
    probe = """
      all(".head")[1].click();
      const map = all(".big .map")[0];
      out.now = [];
      for (let i = 0; i < 2; i++) for (let j = 0; j < 3; j++) {
        hover(map, (j + 0.5) / 3, (i + 0.5) / 2);
        out.now.push(shown(document));
      }
    """
    found = browse([CrossAttention(weights, ["x", "y"], ["p", "q", "r"])._repr_html_()], probe)
    read = [float(text.rsplit(": ", 1)[1]) for text in found["now"]]
    np.testing.assert_allclose(read, weights[0, 1].ravel(), atol=0.5 / 255 + 0.005)
    assert "query 1 y → key 2 r" in found["now"][-1]
    assert found["console"] == []


def test_strongest_lines_and_padding(attention):
    weights = attention(1, 2, 4)
    view = HeadView(weights, TOKENS, heads=[1])
    query, key, weight = view.strongest(0, 1)
    rest = weights[0, 1] * (1 - np.eye(4))
    assert weight == rest.max() == rest[query, key]
    assert view.heads == [1]
    source = np.array([[[[0.5, 0.5, 0.0]]]])
    view = CrossAttention(source, ["t"], ["s", "u", "<pad>"], source_mask=[True, True, False])
    assert "adding is grey" in view.alt()
    with pytest.raises(mg.ArgumentError, match="key 2 is padding"):
        CrossAttention(source[..., ::-1][..., [0, 1, 1]], ["t"], ["s", "u", "<pad>"], source_mask=[True, True, False])


def test_a_picture_of_many_lines_shows_the_strongest_and_says_so(attention):
    weights = attention(1, 3, 20)
    fig = HeadView(weights, [str(k) for k in range(20)]).fig()
    lines = sum(len(collection.get_segments()) for collection in fig.axes[0].collections)
    assert lines == 100
    least = np.sort(weights.ravel())[-100]
    assert f"layer 0; line: attention weight, 0 to 1, from {least:.2f} up" in {t.get_text() for t in fig.axes[0].texts}
    few = HeadView(attention(1, 1, 4), TOKENS).fig().axes[0]
    assert "layer 0; line: attention weight, 0 to 1" in {text.get_text() for text in few.texts}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda w: HeadView(w, TOKENS, layer=1), "layer is one of 0 to 0"),
        (lambda w: HeadView(w, TOKENS, heads=[2]), "numbered 0 to 1"),
        (lambda w: HeadView(np.repeat(w, 11, axis=1), TOKENS), "cannot be told apart"),
        (lambda w: HeadView(2 * w, TOKENS), "at most 1"),
        (lambda w: HeadView(w / 2, TOKENS), "sums to"),
        (lambda w: HeadView(w.swapaxes(-1, -2), TOKENS), "swap the last two axes"),
        (lambda w: HeadView(w, TOKENS[:3]), "one token per position"),
        (lambda w: HeadView(w, TOKENS, key_mask=[1, 1, 1, 1]), "booleans"),
    ],
)
def test_refusals(attention, make, words):
    with pytest.raises(mg.MiniGPTError, match=words):
        make(attention(1, 2, 4))
