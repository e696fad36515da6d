"""Comparison of two evaluations: pairing finds small differences, and no difference where there is none."""

import json

import numpy as np
import pytest

from minigpt.errors import DataError
from minigpt.tokenizers import CharTokenizer
from minigpt.training.evaluation import compare, evaluate_text


class PairTokenizer(CharTokenizer):
    """Two characters a token, of a text of even length: id = 4 · first + second of "abcd"."""

    def __init__(self):
        super().__init__("".join(map(chr, range(256, 272))))

    def encode(self, text):
        numbers = ["abcd".index(c) for c in text]
        return [4 * a + b for a, b in zip(numbers[::2], numbers[1::2], strict=True)]

    def decode(self, ids, skip_special_tokens=False):
        return "".join("abcd"[i // 4] + "abcd"[i % 4] for i in ids)


@pytest.fixture
def case(rng, chain, draw_text, letters):
    probabilities = chain(rng, V=4, sharpness=1.0)
    return probabilities, CharTokenizer("abcd"), draw_text(rng, probabilities, 4000)


def blurred(probabilities, share):
    return (1 - share) * probabilities + share / len(probabilities)


def test_a_model_and_itself(case, lookup_table):
    probabilities, tok, ids = case
    e = evaluate_text(lookup_table(probabilities), tok, ids)
    c = compare(e, e)
    assert {tuple([m.value, *m.interval]) for m in c.differences.values()} == {(0.0, 0.0, 0.0)}
    assert c.same_tokens
    assert c.table().count("no difference shown") == 4


def test_pairing_sees_what_separate_intervals_cannot(case, lookup_table):
    """The second model is blurred a little: the intervals of the two overlap, that of the difference excludes 0."""
    probabilities, tok, ids = case
    first = evaluate_text(lookup_table(probabilities), tok, ids)
    second = evaluate_text(lookup_table(blurred(probabilities, 0.2)), tok, ids)
    assert second.measures["nats per token"].interval[0] < first.measures["nats per token"].interval[1]
    c = compare(first, second)
    nats = c.differences["nats per token"]
    wanted = second.measures["nats per token"].value - first.measures["nats per token"].value
    assert nats.value == pytest.approx(wanted)
    assert 0 < nats.interval[0] < wanted < nats.interval[1]
    bits = c.differences["bits per byte"]
    assert bits.value == pytest.approx(wanted / np.log(2))  # one byte a token here
    assert "the first is better" in c.table()
    turned = compare(second, first)
    assert turned.differences["bits per byte"].value == pytest.approx(-bits.value)
    assert "the second is better" in turned.table()
    json.dumps(c.to_dict(), allow_nan=False)


def test_higher_accuracy_is_better(rng, case, lookup_table):
    probabilities, tok, ids = case
    first = evaluate_text(lookup_table(probabilities), tok, ids)
    second = evaluate_text(lookup_table(1 - probabilities), tok, ids)
    c = compare(first, second)
    assert c.differences["top-1 accuracy"].interval[1] < 0
    (line,) = [line for line in c.table().splitlines() if "top-1" in line]
    assert line.endswith("the first is better")


def test_different_tokenizers_compare_in_bits_per_byte_alone(case, lookup_table):
    """The same uniform guess, written in letters and in pairs of letters: 2 bits a byte both times."""
    _, tok, ids = case
    pairs = PairTokenizer()
    text = tok.decode(ids)
    assert pairs.decode(pairs.encode(text)) == text
    first = evaluate_text(lookup_table(np.full((4, 4), 1 / 4)), tok, ids)
    second = evaluate_text(lookup_table(np.full((16, 16), 1 / 16)), pairs, np.array(pairs.encode(text)))
    assert second.measures["nats per token"].value == pytest.approx(2 * first.measures["nats per token"].value)
    c = compare(first, second)
    assert list(c.differences) == ["bits per byte"]
    assert not c.same_tokens
    value, (low, high) = c.differences["bits per byte"]
    assert (value, low, high) == pytest.approx((0, 0, 0), abs=1e-9)
    assert "only bits per byte" in c.table()
    skewed = np.tile(np.linspace(1, 2, 16) / np.linspace(1, 2, 16).sum(), (16, 1))
    worse = evaluate_text(lookup_table(skewed), pairs, np.array(pairs.encode(text)))
    difference = compare(first, worse).differences["bits per byte"].value
    wanted = worse.measures["bits per byte"].value - first.measures["bits per byte"].value
    assert difference == pytest.approx(wanted, abs=1e-12)


def test_different_block_sizes_are_paired_by_the_text(case, lookup_table):
    probabilities, tok, ids = case
    small = evaluate_text(lookup_table(probabilities, block_size=5), tok, ids)
    large = evaluate_text(lookup_table(probabilities, block_size=32), tok, ids)
    c = compare(small, large)
    assert c.same_tokens
    assert c.piece_bytes >= 31
    assert c.differences["nats per token"].interval == pytest.approx((0, 0), abs=1e-12)


def test_different_texts_are_refused(case, lookup_table):
    probabilities, tok, ids = case
    model = lookup_table(probabilities)
    with pytest.raises(DataError, match="different texts"):
        compare(evaluate_text(model, tok, ids), evaluate_text(model, tok, ids[:-1]))


def test_short_texts(case, lookup_table):
    probabilities, tok, ids = case
    e = evaluate_text(lookup_table(probabilities), tok, ids[:5])
    assert "too few pieces" in compare(e, e).table()
