"""Reader: what the step function is fed, for prompts of one length and of several, with a cache and without."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.decoding import Reader

V = 7


class FakeCache:
    def __init__(self, batch):
        self.calls = [("new", batch)]

    def pad(self, padding):
        self.calls.append(("pad", padding.tolist()))

    def select(self, rows):
        self.calls.append(("select", list(rows)))


class Fed:
    """A step function that records what it is fed; the logits say which token came last."""

    def __init__(self):
        self.fed = []

    def __call__(self, ids, cache):
        self.fed.append((ids.tolist(), cache is not None))
        return np.eye(V, dtype=np.float32)[ids[:, -1]]


def make(prompts, block_size=100, cached=True, vocab_size=V):
    caches = []

    def new_cache(batch):
        caches.append(FakeCache(batch))
        return caches[-1]

    fed = Fed()
    return (
        Reader(fed, new_cache if cached else None, prompts, block_size=block_size, vocab_size=vocab_size),
        fed,
        caches,
    )


def test_one_length_needs_no_padding():
    reader, fed, caches = make([[1, 2], [3, 4]])
    reader.logits()
    reader.append([5, 6])
    assert reader.logits().argmax(-1).tolist() == [5, 6]
    assert fed.fed == [([[1, 2], [3, 4]], True), ([[5], [6]], True)]
    assert caches[0].calls == [("new", 2)]


def test_different_lengths_stand_right_aligned():
    reader, fed, caches = make([[1], [2, 3, 4]])
    assert reader.logits().argmax(-1).tolist() == [1, 4]
    reader.append([5, 6])
    reader.logits()
    assert fed.fed == [([[0, 0, 1], [2, 3, 4]], True), ([[5], [6]], True)]
    assert caches[0].calls == [("new", 2), ("pad", [2, 0])]
    assert [reader.tokens(row).tolist() for row in range(2)] == [[1, 5], [2, 3, 4, 6]]


def test_without_a_cache_rows_of_one_length_are_read_together():
    reader, fed, _ = make([[1], [2, 3], [4]], cached=False)
    assert reader.logits().argmax(-1).tolist() == [1, 3, 4]
    assert fed.fed == [([[1], [4]], False), ([[2, 3]], False)]


def test_past_the_block_each_row_has_its_own_window():
    reader, fed, _ = make([[1], [2, 3, 4]], block_size=3)
    reader.logits()
    reader.append([5, 6])
    with pytest.warns(UserWarning, match="the text has grown past the context; the model sees the last 3 tokens") as w:
        reader.logits()
    assert len(w) == 1
    assert w[0].filename == __file__
    reader.append([1, 1])
    reader.logits()  # a second warning would be an error
    assert fed.fed[1:] == [([[1, 5]], False), ([[3, 4, 6]], False), ([[1, 5, 1], [4, 6, 1]], False)]


def test_rows_that_fit_again_go_on_with_a_cache():
    """The longest row is gone: the others need no warning and no window."""
    reader, fed, caches = make([[1], [2], [3, 4, 5]], block_size=3)
    reader.logits()
    reader.select(np.array([1, 0]))
    reader.append([5, 6])
    assert reader.logits().argmax(-1).tolist() == [5, 6]
    reader.append([1, 1])
    reader.logits()
    assert fed.fed[1:] == [([[2, 5], [1, 6]], True), ([[1], [1]], True)]
    assert [cache.calls[0] for cache in caches] == [("new", 3), ("new", 2)]
    assert reader.tokens(0).tolist() == [2, 5, 1]


def test_select_takes_tokens_padding_and_cache():
    reader, _, caches = make([[1], [2, 3, 4]])
    reader.logits()
    reader.select(np.array([0, 1]))  # nothing changes
    reader.select(np.array([1, 0, 0]))
    reader.append([4, 5, 6])
    assert [reader.tokens(row).tolist() for row in range(3)] == [[2, 3, 4, 4], [1, 5], [1, 6]]
    assert caches[0].calls[2:] == [("select", [1, 0, 0])]


def test_it_grows():
    reader, _, _ = make([[1]], block_size=1000)
    for k in range(300):
        reader.append([k % V])
    assert reader.tokens(0).tolist() == [1, *(k % V for k in range(300))]


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("prompts", [[[1], [2]], [[1], [2, 3]]])
def test_fewer_ids_may_follow(cached, prompts):
    reader, _, _ = make(prompts, cached=cached, vocab_size=4)
    assert reader.logits().shape == (2, 4)


@pytest.mark.parametrize(
    "prompts", [[[1], []], [[1, 2], [1.0]], [[1, 2], [[1, 2, 3]]], [[1, 2], "a"], [1, 2], [], [[]]], ids=str
)
def test_wrong_prompts(prompts):
    with pytest.raises(mg.ShapeError):
        make(prompts)


# ---- a cache from before


def test_a_cache_from_before_is_not_read_again():
    fed, cache = Fed(), FakeCache(1)
    cache.length = 2
    reader = Reader(fed, FakeCache, [[1, 2, 3, 4]], block_size=100, vocab_size=V, cache=cache)
    assert reader.logits().argmax(-1).tolist() == [4]
    reader.append([5])
    reader.logits()
    assert fed.fed == [([[3, 4]], True), ([[5]], True)]
    assert reader.cache is cache


@pytest.mark.parametrize("prompts", [[[1, 2]], [[1]], [[1, 2, 3], [1, 2, 4]]], ids=str)
def test_a_cache_from_before_that_does_not_fit(prompts):
    cache = FakeCache(1)
    cache.length = 2
    with pytest.raises(mg.ArgumentError, match="lacks at least its last token; it holds 2 tokens"):
        Reader(Fed(), FakeCache, prompts, block_size=100, vocab_size=V, cache=cache)
