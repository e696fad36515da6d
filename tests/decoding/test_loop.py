"""The decode loop over a step function that is no model: which tokens it is asked for, and with which cache."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.decoding import generate_ids

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
