"""microscope: the text that generate writes, and for each token what every stage made of its candidates."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.decoding import filter_logits
from minigpt.decoding.sampling import penalise_repetition, softmax
from minigpt.generation import microscope
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer

LETTERS = "abcdefghij"
FILTERS = {"temperature": 0.7, "top_k": 6, "top_p": 0.8, "repetition_penalty": 1.3, "seed": 4}


@pytest.fixture(scope="module")
def model():
    gpt = GPT(GPTConfig(vocab_size=10, block_size=32, n_layer=1, n_head=2, n_embd=8), seed=0)
    gpt.tokenizer = CharTokenizer(LETTERS)
    for p in gpt.parameters():
        p.data += np.random.default_rng(0).normal(size=p.shape).astype(np.float32) * 0.3
    return gpt.eval()


@pytest.mark.parametrize("settings", [{"seed": 1}, {"temperature": 0}, FILTERS, {"top_p": 0.5, "seed": 2}], ids=str)
def test_it_is_the_text_of_generate(model, settings):
    view = microscope(model, None, "abc", 12, **settings)
    assert [view.text] == mg.generate(model, None, "abc", 12, **settings)
    assert "".join(row[k] for row, k in zip(view.candidates, view.drawn, strict=True)) == view.text
    assert view.prompt == "abc"


def test_every_stage_by_hand(model):
    view = microscope(model, None, "abc", 8, show=10, **FILTERS)
    assert view.stages == ["model", "penalty 1.3", "T 0.7", "top-k 6", "top-p 0.8"]
    ids = model.tokenizer.encode("abc" + view.text)
    for step in range(8):
        before = np.array(ids[: 3 + step])
        logits = model(before[None])[0].numpy()[:, -1]
        scores = penalise_repetition(logits, [before], 1.3)
        wanted = [softmax(logits), softmax(scores), softmax(scores / 0.7)]
        wanted += [softmax(filter_logits(scores, 0.7, 6)), softmax(filter_logits(scores, 0.7, 6, 0.8))]
        got = np.zeros((5, 10))
        got[:, view.ids[step]] = view.probabilities[step]
        np.testing.assert_allclose(got, np.concatenate(wanted), atol=1e-5)
        assert (got[3] > 0).sum() == 6
        assert view.ids[step][view.drawn[step]] == ids[3 + step]
    np.testing.assert_allclose(view.rest, 0, atol=1e-9)


def test_few_are_shown_and_the_one_drawn_is_among_them(model):
    view = microscope(model, None, "abc", 20, temperature=5.0, show=2, seed=0)
    assert view.ids.shape == (20, 2)
    assert set(view.drawn.tolist()) == {0, 1}
    assert not np.all(view.ids[:, 0] == view.ids[:, 1])
    np.testing.assert_allclose(view.rest + view.probabilities.sum(-1), 1)
    assert (np.diff(view.probabilities[:, 0]) <= 0).all()  # the likeliest first


def test_temperature_0_is_certain(model):
    view = microscope(model, None, "abc", 3, temperature=0, top_k=3)
    assert view.stages == ["model", "T 0", "top-k 3"]
    assert np.all(view.probabilities[:, 1:].max(axis=-1) == 1)
    assert np.all(view.drawn == 0)


def test_min_new_tokens_is_a_stage_for_all_steps(kinds):
    tok = kinds.Pieces([b"a", b"b"], ["<eot>"])
    model = GPT(GPTConfig(3, 16, 1, 1, 4), seed=0)
    view = microscope(model, tok, "a", 6, min_new_tokens=3, seed=1)
    assert view.stages == ["model", "min 3", "T 1"]
    end = [p[view.ids[k].tolist().index(2)] for k, p in enumerate(view.probabilities[:, 1])]
    assert end[:3] == [0, 0, 0]
    assert all(p > 0 for p in end[3:])


def test_it_ends_where_generation_ends(model):
    text = mg.generate(model, None, "abc", 20, seed=1)[0]
    view = microscope(model, None, "abc", 20, seed=1, stop=text[4])
    assert view.text == text[: text.index(text[4])]
    assert len(view.drawn) == text.index(text[4]) + 1  # the stop itself was drawn too


def test_it_shows_itself(model, tmp_path):
    view = microscope(model, None, "abc", 3, seed=1)
    assert view._repr_html_().startswith("<div")
    assert view.save(tmp_path / "look.html").stat().st_size > 5000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "no token to look at"),
        ({"show": 0}, "show, the number of candidates"),
        ({"top_k": 11}, "top_k"),
        ({"prompt": 3}, "prompt must be a string"),
    ],
    ids=str,
)
def test_wrong_settings(model, settings, message):
    with pytest.raises(mg.ArgumentError, match=message):
        microscope(model, None, **{"prompt": "abc", "max_new_tokens": 3, **settings})
