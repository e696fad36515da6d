"""Completion.create: the shape of the answer, counts, log-probabilities, echo, streams, several prompts."""

import json

import numpy as np
import pytest

import minigpt as mg
from minigpt.decoding.sampling import log_softmax
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer

LETTERS = "abcdefgh"


@pytest.fixture(scope="module")
def model():
    gpt = GPT(GPTConfig(vocab_size=8, block_size=24, n_layer=1, n_head=2, n_embd=8), seed=0)
    gpt.tokenizer = CharTokenizer(LETTERS)
    for p in gpt.parameters():
        p.data += np.random.default_rng(0).normal(size=p.shape).astype(np.float32) * 0.3
    return gpt.eval()


@pytest.fixture
def letters(kinds):
    def make(*scripts):
        tok = kinds.BytePieces([bytes([b]) for b in range(97, 123)], ["<eot>"])
        return kinds.Scripted(tok, *(tok.encode(text) for text in scripts))

    return make


def test_shape_of_the_answer(model):
    answer = mg.Completion.create(model=model, prompt="abc", max_tokens=5, n=2, seed=1)
    assert [choice.text for choice in answer.choices] == mg.generate(model, None, "abc", 5, 0.5, n=2, seed=1)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [choice.finish_reason for choice in answer.choices] == ["length", "length"]
    assert answer.choices[0].logprobs is None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 10, 13)
    assert (answer.model, answer.object) == ("GPT", "text_completion")
    plain = json.loads(json.dumps(answer.to_dict()))
    assert plain["choices"][0]["text"] == answer.choices[0].text
    assert plain["usage"]["total_tokens"] == 13


def test_engine_is_another_name_for_model_and_both_take_a_folder(model, tmp_path):
    model.save_pretrained(tmp_path / "mine")
    wanted = mg.Completion.create(model, "abc", 5, seed=1).choices
    for given in ({"model": tmp_path / "mine"}, {"engine": str(tmp_path / "mine")}):
        answer = mg.Completion.create(prompt="abc", max_tokens=5, seed=1, **given)
        assert answer.choices == wanted
        assert answer.model == "mine"
    assert mg.Completion.create(engine=model, prompt="abc", max_tokens=5, seed=1).choices == wanted


@pytest.mark.parametrize("stop", [None, "d", "cd"])
def test_finish_reasons_and_counts(letters, stop):
    """A stop string and the end token both say "stop"; their tokens were written, and count."""
    scripted = letters("abcdef", "ab<eot>", "axxxxx")
    answer = mg.Completion.create(scripted, "zz", max_tokens=6, n=3, stop=stop)
    texts = {None: "abcdef", "d": "abc", "cd": "ab"}
    assert [c.text for c in answer.choices] == [texts[stop], "ab", "axxxxx"]
    assert [c.finish_reason for c in answer.choices] == ["stop" if stop else "length", "stop", "length"]
    assert answer.usage.completion_tokens == (4 if stop else 6) + 3 + 6
    assert answer.usage.prompt_tokens == 2


def test_several_prompts_of_different_lengths(model):
    answer = mg.Completion.create(model, ["abc", "d", "efgha"], max_tokens=6, temperature=0)
    assert [c.index for c in answer.choices] == [0, 1, 2]
    for choice, prompt in zip(answer.choices, ["abc", "d", "efgha"], strict=True):
        assert choice.text == mg.generate(model, None, prompt, 6, temperature=0)[0]
    assert answer.usage.prompt_tokens == 9
    several = mg.Completion.create(model, ["abc", "d"], max_tokens=4, n=2, temperature=0)
    assert [c.text for c in several.choices][::2] == [c.text for c in several.choices][1::2]


def test_logprobs_are_those_of_the_model(model):
    """Whatever the temperature, filters and penalty: the model's own, of the whole text so far."""
    settings = {"temperature": 0.4, "top_k": 5, "repetition_penalty": 1.4, "seed": 2}
    answer = mg.Completion.create(model, "abc", max_tokens=6, logprobs=3, echo=True, **settings)
    (choice,) = answer.choices
    found = choice.logprobs
    assert "".join(found.tokens) == choice.text
    assert choice.text.startswith("abc")
    assert found.text_offset == list(range(9))
    ids = np.array([model.tokenizer.encode(choice.text)])
    wanted = log_softmax(model(ids)[0].numpy()[0])
    assert found.token_logprobs[0] is None
    assert found.top_logprobs[0] is None
    for k in range(1, 9):
        assert found.token_logprobs[k] == pytest.approx(wanted[k - 1, ids[0, k]], abs=1e-5)
        best = np.argsort(-wanted[k - 1])[:3]
        assert list(found.top_logprobs[k]) == [LETTERS[i] for i in best]
        assert list(found.top_logprobs[k].values()) == pytest.approx(wanted[k - 1, best].tolist(), abs=1e-5)
    bare = mg.Completion.create(model, "abc", max_tokens=6, logprobs=0, **settings).choices[0]
    assert "abc" + bare.text == choice.text
    assert bare.logprobs.token_logprobs == pytest.approx(found.token_logprobs[3:], abs=1e-6)
    assert bare.logprobs.top_logprobs == [{}] * 6
    assert bare.logprobs.text_offset == list(range(6))


def test_scoring_a_prompt_without_writing_anything(model):
    answer = mg.Completion.create(model, "abcdef", max_tokens=0, logprobs=0, echo=True)
    assert answer.choices[0].text == "abcdef"
    assert len(answer.choices[0].logprobs.tokens) == 6
    assert answer.usage.completion_tokens == 0


def test_a_prompt_longer_than_the_context(model):
    with pytest.warns(UserWarning, match="the prompt has 30 tokens"):
        answer = mg.Completion.create(model, "abcdef" * 5, max_tokens=2, logprobs=1, echo=True)
    values = answer.choices[0].logprobs.token_logprobs
    assert [value is None for value in values] == [True] * 7 + [False] * 25


def test_logprobs_stop_where_the_text_does(letters):
    answer = mg.Completion.create(letters("abcdef"), "z", max_tokens=9, stop="de", logprobs=1, echo=False)
    assert answer.choices[0].logprobs.tokens == ["a", "b", "c"]
    ended = mg.Completion.create(letters("ab<eot>"), "z", max_tokens=9, logprobs=1)
    assert ended.choices[0].logprobs.tokens == ["a", "b"]


def test_logprobs_of_half_characters(kinds):
    tok = kinds.BytePieces([bytes([b]) for b in range(256)])
    scripted = kinds.Scripted(tok, list("é你b".encode()))
    found = mg.Completion.create(scripted, "a", max_tokens=6, logprobs=0).choices[0].logprobs
    assert found.tokens == [r"bytes:\xc3", r"bytes:\xa9", r"bytes:\xe4", r"bytes:\xbd", r"bytes:\xa0", "b"]
    assert found.text_offset == [0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("stop", [None, "c", "ab"])
@pytest.mark.parametrize("logprobs", [None, 2])
def test_a_stream_adds_up_to_the_whole(model, stop, echo, logprobs):
    settings = {"max_tokens": 12, "n": 3, "seed": 5, "stop": stop, "echo": echo, "logprobs": logprobs}
    whole = mg.Completion.create(model, ["abd", "e"], **settings)
    parts = list(mg.Completion.create(model, ["abd", "e"], stream=True, **settings))
    assert all(len(part.choices) == 1 for part in parts)
    assert [part.usage for part in parts[:-1]] == [None] * (len(parts) - 1)
    assert parts[-1].usage == whole.usage
    for choice in whole.choices:
        mine = [part.choices[0] for part in parts if part.choices[0].index == choice.index]
        assert "".join(part.text for part in mine) == choice.text
        assert [part.finish_reason for part in mine] == [None] * (len(mine) - 1) + [choice.finish_reason]
        if logprobs is not None:
            assert [token for part in mine for token in part.logprobs.tokens] == choice.logprobs.tokens
            assert [n for part in mine for n in part.logprobs.text_offset] == choice.logprobs.text_offset


def test_a_stream_comes_while_it_is_written(letters):
    scripted = letters("abc")
    parts = mg.Completion.create(scripted, "z", max_tokens=3, stream=True)
    assert scripted.steps == 0
    assert next(parts).choices[0].text == "a"
    assert scripted.steps == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "x"}, "once"),
        ({"model": None}, "once"),
        ({"model": 5}, "model is a folder or a model that can generate, got int"),
        ({"prompt": []}, "at least one"),
        ({"prompt": None}, "prompt is a string or a list"),
        ({"prompt": ["a", 1]}, "prompt must be a string, got int"),
        ({"n": 0}, "n, the number of continuations, is an integer from 1 up, got 0"),
        ({"stop": 1}, "stop is a non-empty string"),
        ({"temperature": -0.5}, "temperature"),
        ({"top_k": 9}, "top_k is an integer from 1 to the vocabulary size 8, got 9"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": -1}, "max_new_tokens"),
        ({"logprobs": -1}, "logprobs, the number of alternatives"),
        ({"logprobs": 9}, "vocabulary size 8, got 9"),
        ({"logprobs": True}, "got True"),
        ({"seed": "x"}, "seed"),
    ],
    ids=str,
)
def test_wrong_settings(model, settings, message):
    with pytest.raises(mg.ArgumentError, match=message):
        mg.Completion.create(**{"model": model, "prompt": "a", **settings})


def test_an_empty_prompt_needs_a_token_to_start_from(model, letters):
    with pytest.raises(mg.TokenizerError, match="prompt is empty"):
        mg.Completion.create(model)
    answer = mg.Completion.create(letters("abc"), max_tokens=2, echo=True)
    assert answer.choices[0].text == "ab"
    assert answer.usage.prompt_tokens == 1


def test_no_such_folder(tmp_path):
    with pytest.raises(mg.CheckpointError, match="no checkpoint folder"):
        mg.Completion.create(tmp_path / "none", "a")
