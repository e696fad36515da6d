"""Beam search against all texts there are, by hand, and its settings."""

import itertools

import numpy as np
import pytest

import minigpt as mg
from minigpt.decoding import Reader, beam_search
from minigpt.decoding.sampling import log_softmax

V = 4


class Table:
    """A model of V tokens whose logits depend on the last two tokens, from a fixed seed."""

    def __init__(self, seed, spread=2.0):
        self.logits = np.random.default_rng(seed).normal(0, spread, (V, V, V))

    def __call__(self, ids, cache):
        before = ids[:, -2] if ids.shape[1] > 1 else np.zeros(len(ids), int)
        return self.logits[before, ids[:, -1]].astype(np.float32)

    def reader(self, prompt=(1, 2), block_size=50):
        return Reader(self, None, [list(prompt)], block_size=block_size, vocab_size=V)

    def log_probability(self, prompt, ids):
        text, total = list(prompt), 0.0
        for token in ids:
            total += log_softmax(self(np.array([text]), None))[0, token]
            text.append(token)
        return total


def all_texts(T, end):
    """Every text of T tokens, or shorter ones that stop at the end token."""
    seen = set()
    for ids in itertools.product(range(V), repeat=T):
        cut = ids.index(end) + 1 if end in ids else T
        seen.add(ids[:cut])
    return seen


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0, -1.0])
@pytest.mark.parametrize("end", [None, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_enough_beams_it_is_exhaustive(seed, end, length_penalty):
    T, n, table = 4, 5, Table(seed)
    found = beam_search(table.reader(), T, V**T, n=n, length_penalty=length_penalty, eos_id=end)
    scores = {ids: table.log_probability((1, 2), ids) / len(ids) ** length_penalty for ids in all_texts(T, end)}
    best = sorted(scores, key=scores.get, reverse=True)[:n]
    assert [tuple(h.ids.tolist()) for h in found] == best
    for hypothesis, ids in zip(found, best, strict=True):
        assert hypothesis.score == pytest.approx(scores[ids], rel=1e-6)
        assert hypothesis.log_probability == pytest.approx(table.log_probability((1, 2), ids), rel=1e-6)
        assert hypothesis.ended == (end is not None and ids[-1] == end)


def test_it_finds_what_greedy_misses():
    """First token: 0 with probability 0.6, 1 with 0.4; after 0 everything is even, after 1 comes 1 for certain."""
    logits = np.zeros((V, V, V))
    logits[:, 2] = np.log([0.6, 0.4, 1e-9, 1e-9])
    logits[:, 1] = [-30.0, 0.0, -30.0, -30.0]
    table = Table(0)
    table.logits = logits
    (greedy,) = beam_search(table.reader(), 3, 1)
    assert greedy.ids[0] == 0
    (better,) = beam_search(table.reader(), 3, 2)
    assert better.ids.tolist() == [1, 1, 1]
    assert better.log_probability > greedy.log_probability


def test_one_beam_is_greedy():
    table = Table(5)
    text = [1, 2]
    for _ in range(8):
        text.append(int(table(np.array([text]), None)[0].argmax()))
    (found,) = beam_search(table.reader(), 8, 1)
    assert found.ids.tolist() == text[2:]


def test_length_penalty_decides_between_short_and_long():
    """The end token has probability 0.3 at once; going on is sure afterwards."""
    table = Table(0)
    table.logits = np.full((V, V, V), -30.0)
    table.logits[:, 2, 3], table.logits[:, 2, 0] = np.log(0.6), np.log(0.4)
    table.logits[:, 0, 0] = 0.0
    short, long = (beam_search(table.reader(), 6, 3, length_penalty=p, eos_id=3)[0] for p in (0.0, 1.0))
    assert short.ids.tolist() == [3]
    assert long.ids.tolist() == [0] * 6


def test_it_stops_once_nothing_can_improve():
    table = Table(0)
    table.logits = np.zeros((V, V, V))
    table.logits[:, :, 3] = 20.0  # the end token, nearly certain
    calls = []
    reader = Reader(
        lambda ids, cache: calls.append(1) or table(ids, cache), None, [[1, 2]], block_size=50, vocab_size=V
    )
    (found,) = beam_search(reader, 40, 3, eos_id=3)
    assert found.ids.tolist() == [3]
    assert len(calls) == 1


def test_another_reason_to_end():
    """ends(ids) ends a hypothesis like the end token does: here, two equal tokens in a row."""
    table = Table(3)
    found = beam_search(
        table.reader(), 4, V**4, n=6, length_penalty=0.0, ends=lambda ids: len(ids) > 1 and ids[-1] == ids[-2]
    )
    for h in found:
        pairs = [a == b for a, b in itertools.pairwise(h.ids.tolist())]
        assert not any(pairs[:-1])
        assert h.ended == bool(pairs and pairs[-1])
    assert found[0].ended


def test_min_new_tokens_and_repetition_penalty():
    table = Table(0)
    table.logits[...] = [0.0, 0.1, 0.2, 5.0]
    assert len(beam_search(table.reader(), 6, 2, eos_id=3)[0].ids) == 1
    (later,) = beam_search(table.reader(), 6, 2, eos_id=3, min_new_tokens=4, length_penalty=0.0)
    assert later.ids.tolist().index(3) == 4
    table.logits[...] = [1.0, 1.1, 1.2, 1.3]
    assert beam_search(table.reader(), 4, 1, repetition_penalty=5.0)[0].ids.tolist()[:2] == [3, 0]


def test_past_the_context():
    table = Table(2)
    far = beam_search(table.reader(), 6, 3)[0]
    with pytest.warns(UserWarning, match="grown past") as caught:
        near = beam_search(table.reader(block_size=3), 6, 3)[0]  # this model looks at two tokens only
    assert len(caught) == 1
    assert near.ids.tolist() == far.ids.tolist()


def test_nothing_new():
    (found,) = beam_search(Table(0).reader(), 0, 3)
    assert found.ids.tolist() == []
    assert found.log_probability == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beams": 0}, "beams is an integer from 1 up, got 0"),
        ({"beams": 1.5}, "beams"),
        ({"n": 3}, "2 beams finds at most 2 continuations, n is 3"),
        ({"n": 0}, "got 0"),
        ({"length_penalty": "long"}, "length_penalty"),
        ({"length_penalty": float("nan")}, "length_penalty"),
        ({"max_new_tokens": -1}, "max_new_tokens"),
        ({"eos_id": V}, "eos_id"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
    ],
    ids=str,
)
def test_wrong_settings(settings, message):
    with pytest.raises(mg.ArgumentError, match=message):
        beam_search(Table(0).reader(), **{"max_new_tokens": 2, "beams": 2, **settings})


def test_one_prompt_at_a_time():
    reader = Reader(Table(0), None, [[1], [2]], block_size=9, vocab_size=V)
    with pytest.raises(mg.ArgumentError, match="one prompt at a time, got 2"):
        beam_search(reader, 2, 2)
