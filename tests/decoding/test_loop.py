"""The decode loop over a step function that is no model: which tokens it is asked for, and with which cache."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.decoding import Reader, Sampling, decode, generate_ids

V = 10


class Counting:
    """A next-token function: after token t comes t + 1 (modulo V), with certainty. It records what it was fed."""

    def __init__(self):
        self.windows = []
        self.caches = []

    def __call__(self, ids, cache):
        self.windows.append(ids.copy())
        self.caches.append(cache)
        logits = np.full((len(ids), V), -50.0, np.float32)
        logits[np.arange(len(ids)), (ids[:, -1] + 1) % V] = 50.0
        return logits


def run(ids, new, *, new_cache=None, block_size=100, **settings):
    step = Counting()
    settings = {"vocab_size": V, "rng": np.random.default_rng(0), **settings}
    return generate_ids(step, new_cache, np.array(ids), new, block_size=block_size, **settings), step


def test_counts_on():
    out, step = run([[1, 2, 3], [7, 8, 9]], 4)
    assert out.tolist() == [[1, 2, 3, 4, 5, 6, 7], [7, 8, 9, 0, 1, 2, 3]]
    assert out.dtype == np.int64
    assert [w.shape for w in step.windows] == [(2, 3), (2, 4), (2, 5), (2, 6)]
    assert step.caches == [None] * 4


def test_with_a_cache_only_new_tokens_are_read():
    made = []

    def new_cache(B):
        made.append(B)
        return "the cache"

    out, step = run([[1, 2, 3]], 4, new_cache=new_cache)
    assert out[0, 3:].tolist() == [4, 5, 6, 7]
    assert made == [1]
    assert [w.tolist() for w in step.windows] == [[[1, 2, 3]], [[4]], [[5]], [[6]]]
    assert step.caches == ["the cache"] * 4


@pytest.mark.parametrize("cached", [True, False])
def test_sliding_window(cached):
    """While everything fits the cache is used; afterwards the last block_size tokens are read, without it."""
    with pytest.warns(UserWarning, match="grown past") as caught:
        out, step = run([[1, 2]], 5, block_size=4, new_cache=(lambda B: "the cache") if cached else None)
    assert len(caught) == 1
    assert out[0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    whole = [[1, 2], [1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6]]
    assert [w[0].tolist() for w in step.windows] == ([[1, 2], [3], [4], *whole[3:]] if cached else whole)
    assert step.caches == (["the cache"] * 3 if cached else [None] * 3) + [None] * 2


def test_long_prompt():
    with pytest.warns(UserWarning, match="the prompt has 6 tokens; the model sees the last 4") as caught:
        out, step = run([[1, 2, 3, 4, 5, 6]], 3, block_size=4, new_cache=lambda B: "the cache")
    assert len(caught) == 1
    assert out[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [w[0].tolist() for w in step.windows] == [[3, 4, 5, 6], [4, 5, 6, 7], [5, 6, 7, 8]]
    assert step.caches == [None] * 3


def test_eos():
    """Row 0 ends at once, row 1 after three tokens; then the loop stops asking."""
    out, step = run([[4], [2]], 6, eos_id=5)
    assert out.tolist() == [[4, 5, 5, 5, 5, 5, 5], [2, 3, 4, 5, 5, 5, 5]]
    assert len(step.windows) == 3


def test_nothing_new():
    out, step = run([[1, 2]], 0, block_size=1)
    assert out.tolist() == [[1, 2]]
    assert step.windows == []


def test_no_rows():
    out, _ = run(np.zeros((0, 3), int), 2, eos_id=1)
    assert out.shape == (0, 5)


@pytest.mark.parametrize(("new", "shown"), [(-1, "-1"), (1.0, "1.0"), ("3", "'3'"), (None, "None")])
def test_wrong_count(new, shown):
    with pytest.raises(mg.ArgumentError, match=f"max_new_tokens is an integer from 0 up, got {shown}"):
        run([[1]], new)


def test_an_error_in_the_model_comes_through():
    def broken(ids, cache):
        raise mg.NumericsError("told you")

    with pytest.raises(mg.NumericsError, match="told you"):
        generate_ids(broken, None, [[1]], 2, block_size=4, vocab_size=V, rng=np.random.default_rng(0))


# ---- the steps themselves


def steps(prompts, new, *, n=1, sampling=None, seed=0, step=None, block_size=100, cached=False, **settings):
    step = step or Counting()
    reader = Reader(step, FakeCache if cached else None, prompts, block_size=block_size, vocab_size=V)
    return decode(reader, new, sampling or Sampling(0), np.random.default_rng(seed), n=n, **settings), step


class FakeCache:
    def __init__(self, batch):
        self.rows = list(range(batch))

    def pad(self, padding):
        pass

    def select(self, rows):
        self.rows = [self.rows[row] for row in rows]


def test_a_step_is_given_before_the_next_is_computed():
    found, step = steps([[1]], 5)
    next(found)
    assert len(step.windows) == 1
    next(found)
    assert len(step.windows) == 2


def test_samples_share_the_reading_of_the_prompt():
    found, step = steps([[1, 2, 3], [5, 6]], 3, n=2, cached=True)
    rows = [s.rows.tolist() for s in found]
    assert rows == [[0, 1, 2, 3]] * 3
    assert [w.shape for w in step.windows] == [(2, 3), (4, 1), (4, 1)]
    assert step.caches[-1].rows == [0, 0, 1, 1]


def test_prompts_of_different_lengths():
    found, _ = steps([[1, 2, 3], [7]], 3, cached=True)
    assert [s.ids.tolist() for s in found] == [[4, 8], [5, 9], [6, 0]]


def test_log_probabilities_are_the_models():
    p = np.array([[0.4, 0.3, 0.2, 0.1, *[1e-9] * (V - 4)]])
    sampling = Sampling(0.9, top_k=2, repetition_penalty=2.0)
    seen = set()
    for s in steps([[1]], 20, step=lambda ids, cache: np.log(p), sampling=sampling)[0]:
        assert s.log_probabilities() == pytest.approx(np.log(p[0, s.ids]), abs=1e-6)
        seen.add(int(s.ids[0]))
    assert len(seen) > 1


@pytest.mark.parametrize("cached", [True, False])
def test_ended_rows_are_computed_no_further(cached):
    found, step = steps([[4], [2], [0]], 6, eos_id=5, cached=cached)
    found = list(found)
    assert [s.rows.tolist() for s in found] == [[0, 1, 2], [1, 2], [1, 2], [2], [2]]
    assert [s.ids.tolist() for s in found] == [[5, 3, 1], [4, 2], [5, 3], [4], [5]]
    assert [len(w) for w in step.windows] == [3, 2, 2, 1, 1]
    assert all(s.logits.shape == (len(s.rows), V) for s in found)


def test_the_caller_may_end_rows():
    ended = np.array([False, False, True])
    found, step = steps([[4], [2], [0]], 6, ended=ended)
    seen = []
    for s in found:
        seen.append(s.rows.tolist())
        ended[0] = True
        if len(seen) == 3:
            ended[1] = True
    assert seen == [[0, 1], [1], [1]]
    assert len(step.windows) == 3


def uniform(ids, cache):
    return np.zeros((len(ids), V), np.float32)


def test_when_others_end_changes_no_draw():
    plain = [s.ids.tolist() for s in steps([[1]], 30, n=3, sampling=Sampling(), step=uniform)[0]]
    ended = np.array([True, False, False])
    texts = {1: [], 2: []}
    for k, s in enumerate(steps([[1]], 30, n=3, sampling=Sampling(), step=uniform, ended=ended)[0]):
        for row, token in zip(s.rows.tolist(), s.ids.tolist(), strict=True):
            texts[row].append(token)
        ended[2] = k == 9
    assert texts[1] == [ids[1] for ids in plain]
    assert texts[2] == [ids[2] for ids in plain][:10]


def test_min_new_tokens():
    found, _ = steps([[1]], 8, step=uniform, sampling=Sampling(0, min_new_tokens=3), eos_id=0)
    found = list(found)
    assert [s.ids[0] for s in found] == [1, 1, 1, 0]
    assert np.isfinite(found[0].logits).all()  # the model's stay as they are
    assert found[0].scores[0, 0] == -np.inf


def test_repetition_penalty_counts_prompt_and_continuation():
    found, _ = steps([[1, 2]], 4, step=lambda ids, cache: np.ones((len(ids), V)), sampling=Sampling(0, None, None, 1.5))
    assert [s.ids[0] for s in found] == [0, 3, 4, 5]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "n, the number of continuations, is an integer from 1 up, got 0"),
        ({"n": True}, "got True"),
        ({"new": -1}, "max_new_tokens"),
        ({"sampling": Sampling(-1)}, "temperature"),
        ({"sampling": Sampling(top_k=V + 1)}, "top_k"),
        ({"sampling": Sampling(repetition_penalty=0)}, "repetition_penalty is a number above 0"),
        ({"sampling": Sampling(repetition_penalty=float("inf"))}, "repetition_penalty"),
        ({"sampling": Sampling(repetition_penalty="a")}, "repetition_penalty"),
        ({"sampling": Sampling(min_new_tokens=-1)}, "min_new_tokens"),
        ({"sampling": Sampling(min_new_tokens=9)}, "min_new_tokens 9 is more than max_new_tokens 2"),
        ({"eos_id": -1}, "eos_id"),
        ({"eos_id": [1]}, "eos_id is a token id"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_before_the_first_step(settings, message):
    with pytest.raises(mg.ArgumentError, match=message):
        steps([[1]], **{"new": 2, **settings})
