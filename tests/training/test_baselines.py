"""N-gram baselines: numbers by hand, a slow version on dictionaries, and texts whose entropy is known."""

import math
from collections import Counter

import numpy as np
import pytest

from minigpt.errors import ArgumentError, DataError, ShapeError
from minigpt.training.baselines import NgramCounts, NgramModel, ngram_baselines


def model_by_hand() -> NgramModel:
    # c(0) = 2, c(1) = 3; c(01) = 2, c(10) = c(11) = 1; as histories 0 and 1 twice each;
    # c(010) = c(101) = c(011) = 1
    ids = np.array([0, 1, 0, 1, 1])
    counts = [NgramCounts(ids, n, 3) for n in (1, 2, 3)]
    return NgramModel(counts, np.array([0.5, 0.8, 0.6]), 3)


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        # P_1(1) = 0.5 · 3/5 + 0.5 · 1/3 = 7/15;  P_2(1|0) = 0.8 · 2/2 + 0.2 · 7/15 = 67/75
        ([3, 0, 1], 67 / 75),  # nothing before the 0: no trigram
        # history 1 0 occurs once, followed by 1
        ([1, 0, 1], 0.6 * 1 + 0.4 * 67 / 75),
        # P_1(2) = 0.5 · 0 + 0.5 / 3; P_2(2|0) = 0.2 P_1; the trigram gives another 0
        ([1, 0, 2], 0.4 * 0.2 * 0.5 / 3),
        # histories 2, 0 2 unseen: P_3 = P_2 = P_1(0) = 0.5 · 2/5 + 0.5 / 3
        ([0, 2, 0], 0.2 + 0.5 / 3),
        # history 0 1 is followed by 0 once and by 1 once; P_2(0|1) = 0.8 · 1/2 + 0.2 · P_1(0)
        ([0, 1, 0], 0.6 * 0.5 + 0.4 * (0.4 + 0.2 * (0.2 + 0.5 / 3))),
        # history 1 1 ends the text, nothing follows it: falls back to P_2(0|1)
        ([1, 1, 0], 0.4 + 0.2 * (0.2 + 0.5 / 3)),
    ],
)
def test_probabilities_by_hand(window, wanted):
    (p,) = model_by_hand().probabilities(np.array([window]))
    assert p == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("V", "length"), [(2, 40), (7, 300), (300, 200)])
def test_probabilities_sum_to_one_and_none_is_zero(order, V, length):
    rng = np.random.default_rng(order)
    model = NgramModel.fit(rng.integers(0, V, length), V, order)
    histories = rng.integers(0, V + 1, size=(20, order - 1))  # V: before the beginning
    for history in histories:
        windows = np.column_stack([np.tile(history, (V, 1)), np.arange(V)])  # (V, order)
        p = model.probabilities(windows)
        assert p.min() > 0
        assert p.sum() == pytest.approx(1, abs=1e-12)


# ---- the slow version: dictionaries and loops, written from the formulas


class SlowNgram:
    def __init__(self, ids, order, V, weights):
        self.order, self.V, self.weights = order, V, weights
        self.grams = Counter(tuple(ids[i : i + n]) for n in range(1, order + 1) for i in range(len(ids) - n + 1))
        self.histories = Counter()
        for gram, count in self.grams.items():
            self.histories[gram[:-1]] += count  # () for the unigrams

    def shares(self, text, i):
        """P(text[i] | before), the summand of each order that can answer; key 0 is the uniform one."""
        able = [n for n in range(1, self.order + 1) if i >= n - 1 and tuple(text[i - n + 1 : i]) in self.histories]
        parts, rest = {}, 1.0
        for n in reversed(able):
            gram = tuple(text[i - n + 1 : i + 1])
            parts[n] = rest * self.weights[n - 1] * self.grams[gram] / self.histories[gram[:-1]]
            rest *= 1 - self.weights[n - 1]
        parts[0] = rest / self.V
        return parts


def slow_weights(ids, order, V, rounds):
    cut = len(ids) - int(0.1 * len(ids))
    weights = [0.5] * order
    for _ in range(rounds):
        model = SlowNgram(ids[:cut], order, V, weights)
        tail = ids[cut:]
        answered, asked = [0.0] * (order + 1), [0.0] * (order + 1)
        for i in range(len(tail)):
            parts = model.shares(tail, i)
            total = sum(parts.values())
            for n in parts:
                answered[n] += parts[n] / total
                asked[n] += sum(share for lower, share in parts.items() if lower <= n) / total
        weights = [(answered[n] + 1) / (asked[n] + 2) for n in range(1, order + 1)]
    return weights


@pytest.fixture(scope="module")
def markov_text():
    """A text in which the next token depends on the two before it, over V = 6 tokens."""
    rng = np.random.default_rng(5)
    table = rng.dirichlet(np.full(6, 0.3), size=(6, 6))
    ids = [0, 1]
    for _ in range(600):
        ids.append(int(rng.choice(6, p=table[ids[-2], ids[-1]])))
    return ids


def test_against_the_slow_version(markov_text):
    train, val = markov_text[:500], markov_text[500:]
    losses = ngram_baselines(np.array(train, dtype=np.uint8), np.array(val, dtype=np.uint8), 6)
    for order, name in enumerate(["unigram", "bigram", "trigram"], start=1):
        fitted = NgramModel.fit(np.array(train), 6, order)
        weights = slow_weights(train, order, 6, rounds=150)
        np.testing.assert_allclose(fitted.weights, weights, atol=1e-5)
        slow = SlowNgram(train, order, 6, weights)
        loss = -sum(math.log(sum(slow.shares(val, i).values())) for i in range(1, len(val))) / (len(val) - 1)
        assert losses[name] == pytest.approx(loss, abs=1e-6)


def test_large_vocabulary_gives_the_same_as_a_small_one_with_the_same_tokens(markov_text):
    """Keys are sparse: renaming tokens 0 … 5 to scattered ids changes only the uniform share, 1 / V."""
    names = np.array([0, 17, 999, 30_000, 50_255, 50_256])
    train = np.array(markov_text[:500])
    small = NgramModel.fit(train, 6, 3)
    large = NgramModel.fit(names[train], 50_257, 3)
    windows = np.lib.stride_tricks.sliding_window_view(train, 3)
    for model in (small, large):
        model.weights = np.array([0.9, 0.8, 0.7])
    uniform = 0.1 * 0.2 * 0.3 * (1 / 6 - 1 / 50_257)  # every history was seen in training
    np.testing.assert_allclose(small.probabilities(windows) - uniform, large.probabilities(names[windows]), rtol=1e-12)


def test_em_finds_the_best_weights(markov_text):
    """What EM climbs: held-out log-likelihood + Σ log λ + log(1 − λ), the latter from the +1 and +2."""
    train = np.array(markov_text)
    cut = len(train) - len(train) // 10
    found = NgramModel.fit(train, 6, 3).weights
    counts = [NgramCounts(train[:cut], n, 6) for n in (1, 2, 3)]
    padded = np.concatenate([[6, 6], train[cut:]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3)

    def height(weights):
        log_p = np.log(NgramModel(counts, weights, 6).probabilities(windows)).sum()
        return log_p + np.log(weights).sum() + np.log1p(-weights).sum()

    rng = np.random.default_rng(0)
    best = height(found)
    for _ in range(300):
        step = rng.normal(size=3) * rng.choice([0.003, 0.03, 0.3])
        other = np.clip(found + step, 1e-6, 1 - 1e-6)
        assert height(other) <= best + 1e-9


# ---- texts with a known answer


def test_uniform_noise_costs_log_v():
    ids = np.random.default_rng(0).integers(0, 20, 60_000)
    losses = ngram_baselines(ids[:50_000], ids[50_000:], 20)
    assert list(losses) == ["unigram", "bigram", "trigram"]
    for name, loss in losses.items():
        assert type(loss) is float
        assert loss == pytest.approx(math.log(20), abs=0.01), name


def test_first_order_chain_costs_its_entropy_rate():
    rng = np.random.default_rng(3)
    table = rng.dirichlet(np.full(5, 0.5), size=5)
    draws = rng.random(40_000)
    ids = np.zeros(40_000, dtype=np.int64)
    for i in range(1, len(ids)):
        ids[i] = min(np.searchsorted(np.cumsum(table[ids[i - 1]]), draws[i]), 4)
    losses = ngram_baselines(ids[:30_000], ids[30_000:], 5)
    rate = -np.log(table[ids[30_000:-1], ids[30_001:]]).mean()
    assert losses["bigram"] == pytest.approx(rate, abs=0.01)
    assert losses["trigram"] == pytest.approx(rate, abs=0.01)
    assert losses["unigram"] > rate + 0.2


def test_needs_two_tokens_of_context():
    """Pairs 0 0 1 1 0 0 1 1 …: the token before says nothing, the two before say all."""
    ids = np.tile([0, 0, 1, 1], 1000)
    losses = ngram_baselines(ids[:3600], ids[3600:], 2)
    assert losses["unigram"] == pytest.approx(math.log(2), abs=1e-3)
    assert losses["bigram"] == pytest.approx(math.log(2), abs=1e-3)
    assert losses["trigram"] < 0.02


def test_tokens_that_training_never_saw_cost_something_finite():
    losses = ngram_baselines(np.zeros(50, int), np.array([0, 9, 9, 9]), 10)
    for loss in losses.values():
        assert math.log(10) < loss < 20


def test_one_prediction_uses_what_context_there_is():
    train = np.tile([0, 1, 2], 100)
    losses = ngram_baselines(train, np.array([0, 1]), 3)
    assert losses["trigram"] < 0.2  # the first tokens have no trigram history, but the bigram knows
    assert losses["unigram"] == pytest.approx(math.log(3), abs=0.01)


# ---- bad input


@pytest.mark.parametrize(
    ("train", "val", "V", "error", "message"),
    [
        (np.zeros((2, 20), int), [0, 1], 2, ShapeError, r"train_ids needs one row.*got shape \(2, 20\)"),
        (np.zeros(20), [0, 1], 2, ArgumentError, "train_ids needs integer ids, got dtype float64"),
        (np.zeros(9, int), [0, 1], 2, DataError, "train_ids needs at least 10 tokens .* got 9"),
        (np.zeros(20, int), [0], 2, DataError, "val_ids needs at least 2 tokens .* got 1"),
        (np.zeros(20, int), [0, 2], 2, ArgumentError, r"val_ids\[1\] is 2, wanted 0 to 1"),
        (np.full(20, -1), [0, 1], 2, ArgumentError, r"train_ids\[0\] is -1"),
        (np.zeros(20, int), [0, 1], 0, ArgumentError, "vocab_size needs an integer of at least 1, got 0"),
        (np.zeros(20, int), [0, 1], 3_000_000, ArgumentError, "too large for order 3"),
    ],
)
def test_bad_input(train, val, V, error, message):
    with pytest.raises(error, match=message):
        ngram_baselines(train, val, V)


def test_bad_order():
    for order in (0, 2.0, True):
        with pytest.raises(ArgumentError, match="order needs an integer of at least 1"):
            NgramModel.fit(np.zeros(20, int), 2, order)
    with pytest.raises(DataError, match="at least 40 tokens"):
        NgramModel.fit(np.zeros(20, int), 2, 20)
