"""mg.stream and early ends: pieces come while the rest is not computed, and nothing is computed after the end."""

import itertools

import numpy as np
import pytest

import minigpt as mg
from minigpt.decoding import Sampling
from minigpt.generation.job import Job
from minigpt.generation.text import pieces
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer


@pytest.fixture(scope="module", params=["BytePieces", "Pieces"])
def byte_model(request, kinds):
    """A random GPT over single bytes: it writes invalid UTF-8 more often than not."""
    gpt = GPT(GPTConfig(257, 16, 1, 2, 8), seed=1)
    gpt.tokenizer = getattr(kinds, request.param)([bytes([b]) for b in range(256)], ["<|endoftext|>"])
    gpt.wte.weight.data[[0xE4, 0xBD, 0xA0, 0x61, 0x62, 256]] *= 12.0  # so that "你", "a", "b" and the end occur
    return gpt.eval()


@pytest.mark.filterwarnings("ignore:the text has grown")
@pytest.mark.parametrize("stop", [None, "a", ["ab", "你"], "bb"])
@pytest.mark.parametrize("seed", range(3))
def test_join_equals_generate(byte_model, seed, stop):
    settings = {"max_new_tokens": 24, "temperature": 0.7, "seed": seed, "stop": stop}
    parts = list(mg.stream(byte_model, None, "ab", **settings))
    assert "".join(parts) == mg.generate(byte_model, None, "ab", **settings)[0]
    assert all(parts)
    several = mg.generate(byte_model, None, "ab", n=3, **settings)
    assert "".join(mg.stream(byte_model, None, "ab", n=3, **settings)) == several[0]


@pytest.mark.filterwarnings("ignore:the text has grown")
def test_streams_of_several_come_one_after_the_other(byte_model):
    settings = (40, Sampling(0.7), 4, ["b"], 5)
    job = Job(byte_model, None, ["ab"], *settings, live=True)
    found = list(pieces(job))
    assert [row for row, _ in itertools.groupby(found, key=lambda item: item[0])] == [0, 1, 2, 3]
    texts = ["".join(piece for row, piece in found if row == k) for k in range(4)]
    assert texts == mg.generate(byte_model, None, "ab", 40, 0.7, n=4, stop=["b"], seed=5)


def letters(kinds, script, special=()):
    tok = kinds.BytePieces([bytes([b]) for b in range(97, 123)], special)
    return kinds.Scripted(tok, *([tok.encode(text) for text in script]))


def test_a_piece_comes_before_the_next_token_is_computed(kinds):
    model = letters(kinds, ["hello"])
    found = mg.stream(model, None, "a", 5)
    assert model.steps == 0
    for k, letter in enumerate("hello"):
        assert next(found) == letter
        assert model.steps == k + 1
        assert not model.quiet  # the caller's time is not the model's
    assert list(found) == []


def test_a_stop_string_ends_the_computation(kinds):
    model = letters(kinds, ["abcdefgh"])
    assert mg.generate(model, None, "x", 100, stop="cd") == ["ab"]
    assert model.steps == 4
    assert "".join(mg.stream(model, None, "x", 100, stop="cd")) == "ab"
    assert model.steps == 8


def test_each_row_ends_at_its_own_place(kinds):
    model = letters(kinds, ["abcd", "ayzd", "aqrs<eot>"], ["<eot>"])
    assert mg.generate(model, None, "x", 6, n=3, stop="b") == ["a", "ayzddd", "aqrs"]


def test_the_end_token_ends_and_is_not_shown(kinds):
    model = letters(kinds, ["ab<eot>cd"], ["<eot>"])
    assert mg.generate(model, None, "x", 50) == ["ab"]
    assert model.steps == 3
    assert mg.generate(model, None, "x", 4, min_new_tokens=4)[0].startswith("ab")  # not the end then
    assert mg.generate(model, None, "x", 2) == ["ab"]


def test_other_special_tokens_are_text(kinds):
    model = letters(kinds, ["ab<user>cd"], ["<eot>", "<user>"])
    assert mg.generate(model, None, "x", 4) == ["ab<user>c"]
    assert mg.generate(model, None, "x", 50, stop="<user>") == ["ab"]
    assert "".join(mg.stream(model, None, "x", 50, stop="<user>")) == "ab"
    assert mg.generate(model, None, "", 2) == ["ab"]  # an empty prompt starts from the end token


def test_a_stop_string_in_the_prompt_does_not_count(kinds):
    assert mg.generate(letters(kinds, ["bcd"]), None, "a", 3, stop="ab") == ["bcd"]


def test_a_model_that_knows_more_ids_than_its_tokenizer():
    """Vocabularies are padded to round numbers; the extra ids have no text."""
    model = GPT(GPTConfig(64, 16, 1, 2, 8), seed=0)
    tok = CharTokenizer("ab")
    assert set("".join(mg.generate(model, tok, "a", 14, n=20, seed=0))) == {"a", "b"}
    assert [t.text for t in mg.generation.next_tokens(model, tok, "ab", 5)] in (["a", "b"], ["b", "a"])
    with pytest.raises(mg.ArgumentError, match="the tokenizer knows 100 tokens, the model only 64"):
        mg.generate(model, CharTokenizer("".join(map(chr, range(100)))), "a")


@pytest.mark.parametrize("training", [True, False])
def test_a_stream_that_is_dropped_leaves_the_model_as_it_was(training):
    model = GPT(GPTConfig(8, 16, 1, 2, 8, dropout=0.5), seed=0).train(training)
    model.tokenizer = CharTokenizer("abcdefgh")
    found = mg.stream(model, None, "a", 10, seed=0)
    next(found)
    assert model.training is training
    assert model(np.array([[1]]))[0].requires_grad
    found.close()
    assert all(module.training is training for _, module in model.named_modules())


@pytest.mark.parametrize(
    "settings",
    [{"prompt": 1}, {"n": 0}, {"stop": ""}, {"temperature": -1}, {"top_k": 0}, {"max_new_tokens": -1}, {"beams": 0}],
    ids=str,
)
def test_wrong_settings_are_refused_by_the_call_itself(kinds, settings):
    with pytest.raises(mg.ArgumentError):
        mg.stream(letters(kinds, ["a"]), None, **{"prompt": "a", **settings})


# ---- beams


def test_beams(byte_model):
    """The best two of four beams, also streamed; greedy is not better."""
    best = mg.generate(byte_model, None, "ab", 10, beams=4, n=2)
    assert len(best) == 2
    assert "".join(mg.stream(byte_model, None, "ab", 10, beams=4, n=2)) == best[0]
    assert mg.generate(byte_model, None, "ab", 10, beams=4, n=2, seed=3, temperature=2.0) == best  # nothing is drawn


def test_beams_end_at_stop_strings(byte_model):
    for text in mg.generate(byte_model, None, "ab", 10, beams=4, n=4, stop=["a", "b"]):
        assert not set(text) & {"a", "b"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 3}, "beam search draws nothing"),
        ({"top_p": 0.5}, "beam search draws nothing"),
        ({"n": 5}, "4 beams finds at most 4"),
        ({"n": 2, "max_new_tokens": 0}, "only 1 continuations of 0 tokens"),
        ({"length_penalty": "x"}, "length_penalty"),
    ],
    ids=str,
)
def test_wrong_settings_of_beams(byte_model, settings, message):
    with pytest.raises(mg.ArgumentError, match=message):
        mg.generate(byte_model, None, "ab", **{"max_new_tokens": 3, "beams": 4, **settings})


# ---- next tokens


def test_next_tokens(byte_model):
    found = mg.generation.next_tokens(byte_model, None, "ab", 257)
    logits = byte_model(np.array([[97, 98]]))[0].numpy()[0, -1].astype(np.float64)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    assert [t.probability for t in found] == pytest.approx(sorted(p, reverse=True), rel=1e-4)
    assert [t.probability for t in found] == pytest.approx(p[[t.id for t in found]], rel=1e-4)
    assert sum(t.probability for t in found) == pytest.approx(1)
    assert {t.text for t in found} >= {"a", "<|endoftext|>"}
    assert len(mg.generation.next_tokens(byte_model, None, "ab")) == 10
    with pytest.raises(mg.ArgumentError, match="k, the number of tokens, is an integer from 1 up, got 0"):
        mg.generation.next_tokens(byte_model, None, "ab", 0)
