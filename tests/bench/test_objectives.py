"""The benchmark of objectives: blanks are where it says, each side reads what it may, scores are right."""

import numpy as np
import pytest

from minigpt.bench import objectives
from minigpt.bench.objectives import by_gpt, by_masked_lm, by_neighbours, many_blanks, one_blank, score
from minigpt.data import Masking
from minigpt.models import GPT, EncoderConfig, GPTConfig, MaskedLM
from minigpt.training.baselines_blanks import BothSides

V, T, MASK = 9, 10, 8
WINDOWS = np.random.default_rng(0).integers(0, 8, (6, T))
MASKING = Masking(MASK, V, rate=0.3)
NUMBERS = {"n_layer": 1, "n_head": 1, "n_embd": 8}


@pytest.fixture(params=["one", "many"])
def blanks(request):
    rng = np.random.default_rng(1)
    return one_blank(WINDOWS, MASK, rng) if request.param == "one" else many_blanks(WINDOWS, MASKING, rng)


def test_blanks(blanks):
    hidden = blanks.seen == MASK
    assert np.array_equal(np.where(hidden, blanks.whole, blanks.seen), blanks.whole)
    assert hidden[blanks.rows, blanks.columns].all()
    assert blanks.columns.min() >= 1
    assert blanks.columns.max() <= T - 2
    assert hidden.sum(axis=1).tolist() == ([1] * 24 if len(blanks.seen) == 24 else [3] * 6)
    assert np.array_equal(blanks.answers, blanks.whole[blanks.rows, blanks.columns])


def test_each_side_reads_what_it_may(blanks):
    """The GPT must not depend on the blank or what follows; the MaskedLM not on what was there, but on both sides."""
    gpt = GPT(GPTConfig(V, T, **NUMBERS), seed=0)
    lm = MaskedLM(EncoderConfig(V, T, **NUMBERS, mask_id=MASK), seed=0)
    other = np.random.default_rng(9).integers(0, 8, blanks.whole.shape)
    k = 3
    right = np.arange(T) >= blanks.columns[k]
    row = blanks.rows[k]
    whole = blanks.whole.copy()
    whole[row] = np.where(right, other[row], whole[row])
    changed = objectives.Blanks(blanks.seen, whole, blanks.rows, blanks.columns)
    np.testing.assert_allclose(by_gpt(gpt, changed)[k], by_gpt(gpt, blanks)[k], atol=1e-6)
    assert np.array_equal(by_masked_lm(lm, changed), by_masked_lm(lm, blanks))
    np.testing.assert_allclose(np.exp(by_gpt(gpt, blanks)).sum(axis=1), 1, rtol=1e-6)
    ids = blanks.whole[row, : blanks.columns[k]][None]
    logits = gpt(ids)[0].numpy()[0, -1]
    np.testing.assert_allclose(by_gpt(gpt, blanks)[k], logits - np.log(np.exp(logits).sum()), atol=1e-5)


def test_a_neighbour_that_is_blank_is_not_known():
    counts = BothSides(WINDOWS.reshape(-1), V, 1.0)
    seen = np.array([[1, 2, MASK, MASK, 3, MASK, 4]])
    blanks = objectives.Blanks(seen, np.zeros_like(seen), np.array([0, 0, 0]), np.array([2, 3, 5]))
    expected = np.log(counts.probabilities([2, -1, 3], [-1, 3, 4]))
    np.testing.assert_array_equal(by_neighbours(counts, blanks, MASK), expected)


def test_score():
    log_p = np.log(np.array([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]))
    right, nats = score(log_p, np.array([0, 1]))
    assert right == 0.5
    assert nats == pytest.approx((np.log(2) + np.log(8)) / 2)


def test_a_short_run_and_its_report(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat; " * 60)
    shape = {"n_layer": 1, "n_head": 1, "n_embd": 8, "block_size": 12}
    result = objectives.compare_objectives(str(path), steps=3, shape=shape, backend="numpy", progress=False)
    assert result["parameters"]["GPT"] == result["parameters"]["MaskedLM"]
    assert result["scores"]["one blank"]["two sides"][0] > 0.8  # the text repeats itself
    again = objectives.compare_objectives(str(path), steps=3, shape=shape, backend="numpy", progress=False)
    assert again == result
    lines = objectives.report(result).splitlines()
    assert [line.split("  ")[0] for line in lines[-3:]] == ["MaskedLM", "GPT", "two sides"]
    assert "15 % blanks" in lines[3]
    right, nats = result["scores"]["15 % blanks"]["GPT"]
    assert lines[-2].endswith(f"{right:.1%}{nats:>8.3f}")
