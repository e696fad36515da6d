"""Reports in a real browser, opened from disk without a network: every view is live, every link leads somewhere."""

import re

import numpy as np
import pytest
from tiny_models import char_tokenizer, make

from minigpt import report
from minigpt.reports.assembly import view_names

PROMPT = "the cat sat <b>"[:11]

LIVE = """
  out.ready = views.map((view) => view.dataset.ready || "picture");
  out.sections = all("section").map((s) => s.id);
  out.links = all("a").map((a) => a.getAttribute("href"));
  out.lost = all("a").filter((a) => !document.querySelector(a.getAttribute("href"))).map((a) => a.textContent);
  out.twice = all("[id]").map((e) => e.id).filter((id, k, ids) => ids.indexOf(id) !== k);
  out.named = all("section").every((s) => document.getElementById(s.getAttribute("aria-labelledby")));
  out.wide = all("section, header, nav").filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.id);
  out.images = all("img").length;
  out.tab = all("a, button, input, select, [tabindex]").every((e) => e.tabIndex === 0);
"""


def test_every_view_of_every_family_is_live(browse_page, family, model):
    page = report(model, None, PROMPT)
    found = browse_page(page.html, LIVE)
    assert found["ready"] == ["1"] * len(page.sections)
    assert found["images"] == 0
    assert found["sections"] == [name for name in view_names(model) if name not in page.left_out]
    assert found["lost"] == []
    assert found["twice"] == []
    assert found["wide"] == []  # nothing sticks out of the page at 1200 pixels
    assert found["named"] is True
    assert found["tab"] is True
    assert {f"#{name}" for name in found["sections"]} <= set(found["links"])
    assert found["console"] == []


def test_numbers_of_a_gpt_are_the_arrays(browse_page):
    page = report(make("gpt"), None, PROMPT)
    probe = """
      const inside = (name) => document.getElementById(name);
      const now = (name) => all(".now", inside(name))[0].textContent;
      out.surprise = [];
      const text = all("[tabindex]", inside("surprise"))[0];
      focus(text); press(text, "Home");
      for (let k = 0; k < 10; k++) { out.surprise.push(now("surprise")); press(text, "ArrowRight"); }
      const cells = (name, which, rows, columns) => {
        const map = all(".map", inside(name))[which], read = [];
        for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) { 
          hover(map, (c + .5) / columns, (r + .5) / rows);
          read.push(now(name));
        }
        return read;
      };
      out.ablation = cells("ablation", 0, 2, 2);
      out.attribution = cells("attribution", 0, 2, 2);
      out.induction = cells("head-scores", 2, 2, 2);
      const plot = all("svg[role=application]", inside("layer-statistics"))[0];
      focus(plot); press(plot, "Home"); out.layer = now("layer-statistics");
      out.grid = cells("attention-grid", 3, 11, 11);
    """
    probe = re.sub(r"\n\s+", "\n", probe)
    found = browse_page(page.html, probe)

    def last(texts):
        return [float(text.replace("−", "-").split()[-1]) for text in texts]

    surprises = page.view("surprise").scores["surprise, nats"]
    read = [float(re.search(r"surprise, nats ([\d.]+)", text)[1]) for text in found["surprise"]]
    np.testing.assert_allclose(read, surprises, rtol=1e-3)
    np.testing.assert_allclose(last(found["ablation"]), page.view("ablation").heads.ravel(), rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(
        last(found["attribution"]), page.view("attribution").values["heads"].ravel(), rtol=2e-3, atol=1e-6
    )
    np.testing.assert_allclose(
        last(found["induction"]), page.view("head-scores").scores["induction"].ravel(), rtol=2e-3
    )
    statistics = page.view("layer-statistics").values["GPT"]
    activation, gradient = re.search(r"activation ([\d.e−]+) · gradient ([\d.e−]+)", found["layer"]).groups()
    assert float(activation) == pytest.approx(statistics["activation"][0], rel=1e-3)
    assert float(gradient.replace("−", "-")) == pytest.approx(statistics["gradient"][0], rel=1e-3)
    weights = page.view("attention-grid").weights[1, 1]
    for (i, j), text in zip(np.ndindex(11, 11), found["grid"], strict=True):
        if j > i:
            assert text.endswith("masked, a later token")
        else:
            assert float(text.split()[-1]) == pytest.approx(weights[i, j], abs=0.5 / 255 + 0.005)
    assert found["console"] == []


def test_without_scripts_every_section_has_a_picture(read_html):
    page = report(make("lstm"), None, PROMPT)
    parsed = read_html(page.html)
    images = parsed.all("img")
    assert len(images) == len(page.sections)
    assert all(image["src"].startswith("data:image/png;base64,") and len(image["alt"]) > 60 for image in images)
    policy = next(meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")
    text = page.html.replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in text
    assert "https:" not in text


def test_attention_has_its_caution_and_states_have_none(read_html):
    gpt = report(make("gpt"), None, PROMPT, views=["attention-grid", "surprise"])
    assert "Jain & Wallace 2019" in read_html(gpt.html).text
    assert "Wiegreffe & Pinter 2019" in read_html(gpt.html).text
    links = [a["href"] for a in read_html(gpt.html).all("a")]
    assert links.count("#caution") == 1
    rnn = report(make("rnn"), None, PROMPT, views="states")
    assert "Jain" not in rnn.html


def test_a_page_of_a_middling_model_is_small():
    """4 layers, 4 heads, 32 tokens: all sixteen views with their pictures."""
    from minigpt.models import GPT, GPTConfig

    tok = char_tokenizer()
    model = GPT(GPTConfig(tok.vocab_size, 64, n_layer=4, n_head=4, n_embd=32), seed=0)
    page = report(model, tok, "the cat sat on the mat. the cat ")
    assert len(page.sections) == 16
    assert len(page.html) < 800_000
