"""Memorisation: a model that knows its text by heart, one that knows nothing, and runs against real generation."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from minigpt import functional as F
from minigpt import nn
from minigpt.data import TokenData
from minigpt.decoding import generate_ids
from minigpt.errors import ArgumentError, DataError
from minigpt.generation.memorisation import FOLLOWED, LONGEST, WINDOW, greedy_runs, memorisation
from minigpt.models import GPT, GPTConfig
from minigpt.nn.module import Parameter
from minigpt.randomness import as_generator
from minigpt.tensor import Tensor
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer
from minigpt.training.evaluation import reading as reading_module

V = 26
TOK = CharTokenizer("abcdefghijklmnopqrstuvwxyz")


class ByHeart(nn.Module):
    """Knows the text: what follows the last `order` tokens there, else token 0. Chance decides nothing."""

    def __init__(self, ids, block_size=16, order=4, forgets=()):
        self.config = SimpleNamespace(vocab_size=V, block_size=block_size)
        self.scale = Parameter(np.float32([20.0]))
        self.order = order
        self.follows = {tuple(ids[max(0, i - order) : i]): int(ids[i]) for i in range(1, len(ids))}
        for position in forgets:
            self.follows.pop(tuple(ids[position - order : position]))

    def forward(self, ids, targets=None, cache=None):
        logits = np.zeros((*ids.shape, V), np.float32)
        for b, t in np.ndindex(*ids.shape):
            logits[b, t, self.follows.get(tuple(ids[b, max(0, t + 1 - self.order) : t + 1].tolist()), 0)] = 1
        return F.linear(Tensor(logits), Parameter(np.eye(V, dtype=np.float32))) * self.scale, None

    def generate(self, ids, max_new_tokens, temperature=1.0, seed=None):
        with self.evaluating():
            return generate_ids(
                lambda window, cache: self(window)[0].numpy()[:, -1], None, ids, max_new_tokens,
                block_size=self.config.block_size, vocab_size=V, temperature=temperature, rng=as_generator(seed),
            )  # fmt: skip


@pytest.fixture
def text(rng):
    """700 ids in which no four in a row occur twice, so that four tell what follows."""
    while True:
        ids = rng.integers(1, V, 700)
        if len(np.unique(np.lib.stride_tricks.sliding_window_view(ids, 4), axis=0)) == 697:
            return ids


@pytest.mark.parametrize("prompt_tokens", [4, 16, 40])
def test_a_model_that_knows_its_text_by_heart(text, prompt_tokens):
    m = memorisation(ByHeart(text), TOK, text, prompt_tokens=prompt_tokens, windows=30, samples=1)
    assert (m.prompted.repeated, m.prompted.windows, m.prompted.share) == (30, 30, 1.0)
    assert m.prompted.longest >= WINDOW
    assert m.prompted.text in TOK.decode(text)
    assert len(m.prompted.text) == m.prompted.longest
    assert m.unseen_prompted is m.unseen_text is None
    assert "100.00%" in m.table()


def test_a_model_that_knows_nothing(text, rng):
    model = GPT(GPTConfig(V, block_size=16, n_layer=1, n_head=2, n_embd=8), seed=0)
    m = memorisation(model, TOK, text, rng.integers(0, V, 400), prompt_tokens=20, windows=60, samples=4)
    assert (m.prompted.share, m.free.share, m.unseen_prompted.share, m.unseen_text.share) == (0, 0, 0, 0)
    assert m.prompted.longest < 10
    assert m.free.longest < 10
    assert m.unseen_text.windows == 400 - WINDOW + 1
    stored = json.loads(json.dumps(m.to_dict(), allow_nan=False))
    assert stored["prompted"]["share"] == 0
    assert stored["prompted_share_interval"][1] == pytest.approx(0.0602, abs=1e-3)  # Wilson, 0 of 60


def test_half_of_the_text_by_heart(text):
    """Of what it has not learnt it repeats nothing; the share is that of windows which lie in the first half."""
    text = text[:300]
    m = memorisation(ByHeart(text[:150]), TOK, text, prompt_tokens=5, windows=10_000, samples=1)
    possible = len(text) - 5 - WINDOW + 1
    assert m.prompted.windows == possible  # all of them: there are no more
    assert m.prompted.repeated == 150 - 5 - WINDOW + 1
    assert 150 - 5 - 4 * FOLLOWED <= m.prompted.longest <= 150 - 5


def slow_runs(model, ids, starts, k, most):
    """The definition: generate greedily, compare."""
    runs = []
    for s in starts:
        wanted = ids[s + k : s + k + most]
        out = model.generate(ids[None, s : s + k], len(wanted), temperature=0)[0, k:]
        runs.append(int(np.cumprod(out == wanted).sum()))
    return np.array(runs)


@pytest.mark.filterwarnings("ignore:.*block_size")
@pytest.mark.parametrize("k", [3, 7, 8, 9, 20])
@pytest.mark.parametrize("most", [1, 2, 6, 30])
def test_runs_are_those_of_greedy_generation(rng, k, most):
    """A model that knows its text but for some places: runs end inside the context, at its end, and behind it."""
    ids = rng.integers(1, V, 120)
    model = ByHeart(ids, block_size=8, order=3, forgets=[25, 40, 41, 77, 90])
    starts = np.arange(0, 120 - k)
    wanted = slow_runs(model, ids, starts, k, most)
    np.testing.assert_array_equal(greedy_runs(model, ids, starts, k, most), wanted)
    assert wanted.max() >= min(most, 20)
    assert wanted.min() == 0


@pytest.mark.filterwarnings("ignore:.*block_size")
@pytest.mark.parametrize("k", [2, 6, 11])
def test_runs_of_a_gpt_are_those_of_its_generation(rng, monkeypatch, k):
    """The text is what the model itself writes, with errors planted."""
    monkeypatch.setattr(reading_module, "MOST_LOGITS", 8 * 3 * 10)  # three rows at a time
    model = GPT(GPTConfig(10, block_size=8, n_layer=2, n_head=2, n_embd=8), seed=3)
    for p in model.parameters():
        p.data += rng.normal(scale=0.4, size=p.shape).astype(np.float32)
    ids = model.generate(np.array([[1]]), 89, temperature=0.7, seed=0)[0]
    starts = np.arange(0, 90 - k, 3)
    wanted = slow_runs(model, ids, starts, k, 20)
    np.testing.assert_array_equal(greedy_runs(model, ids, starts, k, 20), wanted)
    assert len(set(wanted)) > 3


def test_an_overfitted_gpt_repeats_its_text(rng):
    ids = rng.integers(0, V, 90)
    model = GPT(GPTConfig(V, block_size=16, n_layer=1, n_head=2, n_embd=32), seed=0)
    config = TrainConfig(steps=250, batch_size=12, lr=1e-2, warmup=10, weight_decay=0.0, workers=1, progress=False,
                         backend="numpy", eval_interval=0)  # fmt: skip
    Trainer(model, TokenData(ids), config).fit()
    m = memorisation(model, TOK, ids, rng.integers(0, V, 120), prompt_tokens=10, windows=30, samples=10)
    assert m.prompted.share == 1.0
    assert m.free.share > 0.05  # a sample that begins near the end of the text has little left to recite
    assert m.free.longest >= WINDOW
    assert m.free.text in TOK.decode(ids)
    assert m.unseen_prompted.share == 0.0
    assert m.prompted.longest <= LONGEST


def test_seeded(text):
    model = ByHeart(text[:350], order=3)
    a, b, c = (memorisation(model, TOK, text, prompt_tokens=5, windows=40, samples=2, seed=s) for s in (1, 1, 2))
    assert a == b
    assert a.prompted != c.prompted


@pytest.mark.parametrize("name", ["prompt_tokens", "windows", "samples"])
@pytest.mark.parametrize("value", [0, -3, 1.5, True])
def test_refused(text, name, value):
    with pytest.raises(ArgumentError, match=f"{name} needs an integer"):
        memorisation(ByHeart(text), TOK, text, **{name: value})


def test_too_short(text):
    with pytest.raises(DataError, match="99 tokens; a prompt of 50 and 50 more need 100"):
        memorisation(ByHeart(text), TOK, text[:99])
