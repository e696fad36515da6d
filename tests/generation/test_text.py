"""mg.generate: the continuation only, stop strings wherever they fall, seeds, and errors of our own kinds."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.errors import ArgumentError, TokenizerError
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer

LETTERS = "abcdefgh"


@pytest.fixture
def model():
    gpt = GPT(GPTConfig(vocab_size=8, block_size=32, n_layer=1, n_head=2, n_embd=8, dropout=0.3), seed=0)
    gpt.tokenizer = CharTokenizer(LETTERS)
    return gpt


@pytest.fixture
def cycle(model):
    """A model that writes the alphabet: after "a" comes "b", after "h" comes "a"; greedy is then foreseeable."""
    for p in model.parameters():
        p.data[...] = 0.0
    # The residual stream is the embedding; ln_f keeps its largest element largest.
    model.wte.weight.data[...] = np.eye(8, dtype=np.float32)
    model.ln_f.weight.data[...] = 1.0
    to_next = np.zeros((8, 8), np.float32)
    to_next[np.arange(8), (np.arange(8) + 1) % 8] = 100.0
    layer = model.h[0].mlp
    model.h[0].ln_2.weight.data[...] = 1.0
    layer.c_fc.weight.data[:, :8] = 10 * np.eye(8, dtype=np.float32)
    layer.c_proj.weight.data[:8] = to_next
    return model


def test_the_cycle_model_writes_the_alphabet(cycle):
    assert mg.generate(cycle, None, "a", 12, temperature=0) == ["bcdefghabcde"]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_only_the_continuation_of_the_length_asked_for(model, count):
    texts = mg.generate(model, model.tokenizer, "abc", count, seed=0)
    assert len(texts) == 1
    assert len(texts[0]) == count


def test_same_as_the_ids_of_the_model(model):
    prompt = np.array([model.tokenizer.encode("abc")] * 3)
    ids = model.generate(prompt, 6, temperature=0.8, top_k=4, top_p=0.9, seed=7)
    expected = [model.tokenizer.decode(row[3:]) for row in ids]
    assert mg.generate(model, None, "abc", 6, temperature=0.8, top_k=4, top_p=0.9, n=3, seed=7) == expected


def test_n_continuations_differ(model):
    texts = mg.generate(model, None, "a", 20, n=4, seed=1)
    assert len(set(texts)) == 4
    assert len(set(mg.generate(model, None, "a", 20, n=3, temperature=0))) == 1


def test_seeds(model):
    assert mg.generate(model, None, "a", 20, seed=1) == mg.generate(model, None, "a", 20, seed=1)
    assert mg.generate(model, None, "a", 20, seed=1) != mg.generate(model, None, "a", 20, seed=2)
    assert mg.generate(model, None, "a", 20, seed=1) == mg.generate(model, None, "a", 20, seed=np.random.default_rng(1))
    assert mg.generate(model, None, "a", 30) != mg.generate(model, None, "a", 30)  # fresh entropy


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_meanwhile_and_the_mode_restored(model, training):
    model.train(training)
    texts = mg.generate(model, None, "a", 20, temperature=0)
    assert model.training is training
    assert all(module.training is training for _, module in model.named_modules())
    assert mg.generate(model, None, "a", 20, temperature=0) == texts


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (None, "bcdefghabcde"),
        ("d", "bc"),  # one token
        ("def", "bc"),  # across tokens
        ("b", ""),  # at once
        ("gha", "bcdef"),
        ("ab", "bcdefgh"),  # the prompt's "a" and the first "b" are no stop: only the continuation counts
        (["gh", "de", "fg"], "bc"),  # the earliest wins, not the first of the list
        (["defg", "de"], "bc"),
        (("h", "x"), "bcdefg"),  # may be a tuple, and hold what never comes
        ([], "bcdefghabcde"),
        ("zzz", "bcdefghabcde"),
        ("e", "bcd"),  # the first of two occurrences
    ],
)
def test_stop_strings(cycle, stop, expected):
    assert mg.generate(cycle, None, "a", 12, temperature=0, stop=stop) == [expected]


def test_each_continuation_ends_at_its_own_stop(model):
    whole = mg.generate(model, None, "a", 30, n=4, seed=3)
    cut = mg.generate(model, None, "a", 30, n=4, seed=3, stop=["b", "cd"])
    for text, shorter in zip(whole, cut, strict=True):
        assert shorter == text[: min(i for i in (text.find("b"), text.find("cd"), 30) if i >= 0)]


def test_the_models_own_tokenizer_or_another(model):
    other = CharTokenizer("hgfedcba")
    assert mg.generate(model, other, "h", 5, temperature=0) == [
        text.translate(str.maketrans(LETTERS, "hgfedcba")) for text in mg.generate(model, None, "a", 5, temperature=0)
    ]
    bare = GPT(model.config, seed=0)
    with pytest.raises(TokenizerError, match="no tokenizer"):
        mg.generate(bare, None, "a")
    assert len(mg.generate(bare, model.tokenizer, "a", 4)[0]) == 4


def test_past_the_context_it_goes_on_with_one_warning(model):
    with pytest.warns(UserWarning, match="the last 32 tokens") as caught:
        texts = mg.generate(model, None, "abcd" * 10, 6, n=2, seed=0)
    assert len(caught) == 1
    assert [len(text) for text in texts] == [6, 6]


@pytest.mark.parametrize(
    ("kind", "match", "settings"),
    [
        (TokenizerError, "prompt is empty", {"prompt": ""}),
        (TokenizerError, r"'X' \(U\+0058 .*\) at index 2", {"prompt": "abX"}),
        (ArgumentError, "prompt must be a string, got bytes", {"prompt": b"abc"}),
        (ArgumentError, "prompt must be a string, got list", {"prompt": ["abc"]}),
        (ArgumentError, "prompt must be a string, got NoneType", {"prompt": None}),
        (ArgumentError, "got 0", {"n": 0}),
        (ArgumentError, "got -1", {"n": -1}),
        (ArgumentError, "got 1.5", {"n": 1.5}),
        (ArgumentError, "got None", {"n": None}),
        (ArgumentError, "max_new_tokens", {"max_new_tokens": -1}),
        (ArgumentError, "max_new_tokens", {"max_new_tokens": 2.0}),
        (ArgumentError, "temperature", {"temperature": -0.1}),
        (ArgumentError, "temperature", {"temperature": float("nan")}),
        (ArgumentError, "temperature", {"temperature": float("inf")}),
        (ArgumentError, "temperature", {"temperature": "hot"}),
        (ArgumentError, "temperature", {"temperature": None}),
        (ArgumentError, "top_k", {"top_k": 0}),
        (ArgumentError, "top_k", {"top_k": 2.5}),
        (ArgumentError, "top_p", {"top_p": 0.0}),
        (ArgumentError, "top_p", {"top_p": 2}),
        (ArgumentError, "top_p", {"top_p": "all"}),
        (ArgumentError, "stop", {"stop": ""}),
        (ArgumentError, "stop", {"stop": ["a", ""]}),
        (ArgumentError, "stop", {"stop": [1]}),
        (ArgumentError, "stop", {"stop": 5}),
        (ArgumentError, "rng|seed", {"seed": "x"}),
        (ArgumentError, "rng|seed", {"seed": -1}),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_bad_settings(model, kind, match, settings):
    with pytest.raises(kind, match=match):
        mg.generate(model, None, **{"prompt": "abc", "max_new_tokens": 3, **settings})
