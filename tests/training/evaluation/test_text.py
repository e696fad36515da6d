"""evaluate_text: every measure against a table of known probabilities; bytes of any tokenizer; intervals; JSON."""

import json
import math

import numpy as np
import pytest

from minigpt.errors import ArgumentError, DataError, TokenizerError
from minigpt.tokenizers import CharTokenizer
from minigpt.training.evaluation import evaluate_text
from minigpt.training.evaluation.text import bytes_added


class ByteTokenizer(CharTokenizer):
    """Bytes as tokens, as in byte-level BPE: a piece may be a part of a character."""

    def __init__(self):
        super().__init__("".join(map(chr, range(256))))

    def encode(self, text):
        return list(text.encode("utf-8"))

    def decode_bytes(self, ids, skip_special_tokens=False):
        return bytes(int(i) for i in ids)

    def decode(self, ids, skip_special_tokens=False):
        return self.decode_bytes(ids).decode("utf-8", errors="replace")


class JoiningTokenizer(CharTokenizer):
    """Puts a space between two pieces, as a word tokenizer does."""

    def decode(self, ids, skip_special_tokens=False):
        return " ".join(self.characters[i] for i in ids)


@pytest.fixture
def case(rng, chain, lookup_table, draw_text, letters):
    probabilities = chain(rng, V=12)
    ids = draw_text(rng, probabilities, 4001)
    return lookup_table(probabilities), letters(12), ids, probabilities


def test_known_perplexity(case):
    model, tok, ids, probabilities = case
    e = evaluate_text(model, tok, ids)
    p = probabilities[ids[:-1], ids[1:]]
    nats = -np.log(p).mean()
    n_bytes = len(tok.decode(ids[1:]).encode("utf-8"))
    best = probabilities[ids[:-1]].argsort(axis=1)[:, ::-1]  # (N, V)
    wanted = {
        "nats per token": nats,
        "perplexity": math.exp(nats),
        "bits per byte": -np.log2(p).sum() / n_bytes,
        "top-1 accuracy": (best[:, 0] == ids[1:]).mean(),
        "top-5 accuracy": (best[:, :5] == ids[1:, None]).any(axis=1).mean(),
        "calibration error": e.calibration.ece,
    }
    assert {name: m.value for name, m in e.measures.items()} == pytest.approx(wanted)
    assert (e.tokens, e.bytes, e.window) == (4000, n_bytes, 8)
    assert n_bytes > 4000  # some characters are longer than a byte
    for value, (low, high) in e.measures.values():
        assert low <= value <= high or value == e.calibration.ece


def test_the_interval_holds_the_true_entropy(case):
    """The text was drawn from the table: its expected loss is the entropy of the table, and calibration is perfect."""
    model, tok, ids, probabilities = case
    stationary = np.linalg.matrix_power(probabilities, 200)[0]
    entropy = -(stationary[:, None] * probabilities * np.log(probabilities)).sum()
    e = evaluate_text(model, tok, ids)
    low, high = e.measures["nats per token"].interval
    assert low < entropy < high
    assert high - low < 0.1
    assert e.calibration.ece < 2 * e.calibration.chance


def test_a_model_that_is_too_sure_is_found_out(case, lookup_table):
    """Probabilities to the third power: the same likeliest tokens, but surer, so less calibrated and worse in nats."""
    model, tok, ids, probabilities = case
    sharp = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    good, bad = evaluate_text(model, tok, ids), evaluate_text(lookup_table(sharp), tok, ids)
    assert bad.measures["top-1 accuracy"] == good.measures["top-1 accuracy"]
    assert bad.measures["nats per token"].interval[0] > good.measures["nats per token"].interval[1]
    assert bad.measures["calibration error"].interval[0] > 0.1
    assert (bad.calibration.confidence > bad.calibration.accuracy).mean() > 0.8


def test_a_uniform_model(letters, lookup_table, rng):
    tok, ids = letters(8), rng.integers(0, 8, 500)
    e = evaluate_text(lookup_table(np.full((8, 8), 1 / 8)), tok, ids)
    assert e.measures["perplexity"].value == pytest.approx(8)
    assert e.measures["nats per token"].interval == pytest.approx((math.log(8), math.log(8)))


@pytest.mark.parametrize("text", ["ascii only", "naïve λ 中文 🚀 mixed", "🚀"])
def test_bytes_of_pieces_that_end_inside_a_character(text):
    tok = ByteTokenizer()
    added = bytes_added(tok, np.array(tok.encode(text)))
    np.testing.assert_array_equal(added, 1)
    assert added.sum() == len(text.encode("utf-8")) - 1


def test_bits_per_byte_does_not_depend_on_the_tokenizer(rng, lookup_table):
    """A uniform model over bytes needs 8 bits per byte, whatever the characters are."""
    tok = ByteTokenizer()
    e = evaluate_text(lookup_table(np.full((256, 256), 1 / 256)), tok, np.array(tok.encode("λόγος 中文 🚀 " * 20)))
    assert e.measures["bits per byte"].value == pytest.approx(8)


def test_bytes_between_pieces_and_of_special_tokens_count_right():
    np.testing.assert_array_equal(bytes_added(JoiningTokenizer("aλ"), np.array([0, 1, 0])), [3, 2])
    tok = CharTokenizer("aλ", special_tokens=["<eot>"])
    np.testing.assert_array_equal(bytes_added(tok, np.array([2, 1, 2, 0])), [2, 0, 1])


def test_max_tokens_bins_and_seed(case):
    model, tok, ids, _ = case
    short, cut = evaluate_text(model, tok, ids, max_tokens=300), evaluate_text(model, tok, ids[:301])
    assert short.measures == cut.measures
    assert short.text_hash == cut.text_hash != evaluate_text(model, tok, ids).text_hash
    assert evaluate_text(model, tok, ids[:301], seed=1).measures != cut.measures
    assert len(evaluate_text(model, tok, ids, bins=4, binning="equal-width").calibration.edges) == 5


def test_short_texts_have_values_but_no_intervals(case):
    model, tok, ids, probabilities = case
    e = evaluate_text(model, tok, ids[:2])
    assert e.measures["nats per token"].value == pytest.approx(-math.log(probabilities[ids[0], ids[1]]))
    assert all(m.interval is None for m in e.measures.values())
    assert "too few windows" in e.table()
    json.dumps(e.to_dict(), allow_nan=False)


def test_table_and_json_agree(case):
    model, tok, ids, _ = case
    e = evaluate_text(model, tok, ids)
    stored = json.loads(json.dumps(e.to_dict(), allow_nan=False))
    for name, m in e.measures.items():
        assert stored["measures"][name] == {"value": m.value, "interval": list(m.interval)}
        (line,) = [line for line in e.table().splitlines() if line.startswith(f"  {name}  ")]
        assert line.split("  ")[-1].strip() == f"{m.interval[0]:.4f} … {m.interval[1]:.4f}"
    assert stored["tokens"] == 4000
    assert stored["windows"] == 500
    assert "equal mass" in e.table()


@pytest.mark.parametrize("ids", [[], [3], [[1, 2], [3, 4]]])
def test_no_text(case, ids):
    with pytest.raises(DataError, match="at least 2 tokens"):
        evaluate_text(case[0], case[1], ids)


def test_refused(case, lookup_table):
    model, tok, ids, _ = case
    for bad in (0, -1, True, 1.5):
        with pytest.raises(ArgumentError, match="max_tokens"):
            evaluate_text(model, tok, ids, max_tokens=bad)
    with pytest.raises(TokenizerError, match="not in the vocabulary"):
        evaluate_text(model, tok, [0, 99])
    special = CharTokenizer("a", special_tokens=["<eot>"])
    with pytest.raises(DataError, match="no text at all"):
        evaluate_text(lookup_table(np.full((2, 2), 0.5)), special, [1, 1, 1])
