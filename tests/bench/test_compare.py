"""The comparison of architectures: equal sizes, the recall task, gradients through time, one command to the end."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigpt as mg
from minigpt.bench.compare import Settings, compare, report
from minigpt.bench.compare_gradient import gradient_through_time
from minigpt.bench.compare_models import NAMES, TOLERANCE, sized
from minigpt.bench.compare_recall import VALUES, Recall, accuracy, measured
from minigpt.cli import main
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM


@pytest.mark.parametrize("budget", [60_000, 77_200, 400_000, 5_000_000])
@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_within_the_tolerance(name, budget):
    for vocab_size, block_size in ((100, 128), (256, 256)):
        model = sized(name, budget, vocab_size, block_size)
        assert abs(model.parameters - budget) <= TOLERANCE * budget
    if budget < 10**6:
        assert model.make(0).num_parameters() == model.parameters


def test_what_cannot_be_sized_is_refused():
    with pytest.raises(mg.ArgumentError, match="there is no architecture 'mamba'; there are gpt, lstm, gru, rnn"):
        sized("mamba", 10**5, 50, 32)
    with pytest.raises(mg.ArgumentError, match="no width comes within 5% of 100 parameters"):
        sized("lstm", 100, 50, 32)


@pytest.mark.parametrize("k", [1, 5, 12])
def test_each_answer_of_the_recall_task_was_given_k_tokens_before(k, rng):
    task = Recall(longest=12)
    for ids, targets in zip(*task.rows(rng, k, 7).values(), strict=True):
        asked = np.flatnonzero(targets != -100)
        np.testing.assert_array_equal(asked, np.flatnonzero(ids >= task.questions))
        assert asked.tolist() == list(range(k, 2 * k))
        keys, values = np.divmod(ids[asked - k], VALUES)
        np.testing.assert_array_equal(ids[asked], task.questions + keys)
        np.testing.assert_array_equal(targets[asked], task.answers + values)
        assert len(set(keys)) == k


@settings(max_examples=50, deadline=None)
@given(longest=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_batches_of_the_recall_task_have_about_the_same_number_of_tokens(longest, seed):
    task = Recall(longest)
    batch = task.batch(seed, 3)
    assert batch["ids"].shape == batch["targets"].shape
    assert 3 * task.block_size / 2 < batch["ids"].size <= 3 * task.block_size
    assert 0 <= batch["ids"].min() <= batch["ids"].max() < task.answers
    answers = batch["targets"][batch["targets"] != -100]
    assert answers.size == batch["targets"].size / 2
    assert task.answers <= answers.min() <= answers.max() < task.symbols


def test_distances_of_the_recall_task_are_log_uniform():
    task, rng = Recall(64), np.random.default_rng(0)
    counts = np.zeros(65)
    for _ in range(1000):
        counts[task.batch(rng, 1)["ids"].shape[1] // 2] += 1
    assert counts[0] == 0
    octaves = [counts[2**j : 2 ** (j + 1)].sum() for j in range(6)]
    assert min(octaves) > 0.7 * max(octaves)
    assert measured(16) == [1, 2, 3, 4, 6, 8, 11, 16]


class Forgetful:
    """A stand-in model that knows what was given up to `reach` tokens ago, and answers 0 else."""

    def __init__(self, task, reach):
        self.task, self.reach = task, reach

    def evaluating(self):
        return mg.no_grad()

    def __call__(self, ids):
        logits = np.zeros((*ids.shape, self.task.symbols), np.float32)
        logits[..., self.task.answers] = 1
        for row, line in zip(ids, logits, strict=True):
            for t, token in enumerate(row):
                seen = row[max(0, t - self.reach) : t]
                known = seen[(seen < self.task.questions) & (seen // VALUES == token - self.task.questions)]
                if known.size:
                    line[t, self.task.answers + known[0] % VALUES] = 2
        return mg.Tensor(logits), None


def test_accuracy_is_that_of_each_distance():
    task = Recall(32)
    found = accuracy(Forgetful(task, 8), task, rng=0)
    assert list(found) == measured(32)
    assert {share for k, share in found.items() if k <= 8} == {1.0}
    assert all(abs(share - 1 / VALUES) < 0.08 for k, share in found.items() if k > 8)


@pytest.mark.parametrize("kind", ["gpt", "rnn"])
def test_gradient_through_time_by_finite_differences(kind, rng):
    """Each token stands once in each row, so its row of the table is its embedding."""
    if kind == "gpt":
        model = GPT(GPTConfig(6, 6, 1, 1, 4), seed=0)
        head = model.wte.weight.numpy().astype(float)
    else:
        model = RecurrentLM(RecurrentConfig(6, 1, 4, cell="rnn", tied=False), seed=0)
    model = model.astype("float64")
    ids, targets = np.array([[3, 1, 5, 0]]), np.array([[0, 0, 0, 2]])
    norms = gradient_through_time(model, ids, targets)
    assert norms.shape == (4,)
    assert all(p.grad is None for p in model.parameters())
    if kind == "gpt":  # the tied table also makes the logits: only the shape of the curve is looked at here
        assert head.shape == (6, 4)
        assert (norms > 0).all()
        return
    table = model.wte.weight.data

    def loss():
        with mg.no_grad():
            return mg.functional.cross_entropy(model(ids)[0][:, -1], targets[:, -1]).item()

    for k, token in enumerate(ids[0, ::-1]):
        slopes = []
        for c in range(4):
            before, values = table[token, c], []
            for step in (1e-6, -1e-6):
                table[token, c] = before + step
                values.append(loss())
            table[token, c] = before
            slopes.append((values[0] - values[1]) / 2e-6)
        assert norms[k] == pytest.approx(np.linalg.norm(slopes), rel=1e-5)


def test_the_command_from_end_to_end(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 60, encoding="utf-8")
    words = "--quick --parameters 77200 --tokens 20000 --recall-tokens 30000 --block-size 8"
    words += " --batch-size 4 --longest 16 --seeds 2"
    words += f" --models gpt,gru --backend numpy --data {text} --out {tmp_path / 'out'}"
    assert main(["compare", *words.split()]) == 0
    table = capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))
    assert list(found["models"]) == ["gpt", "gru"]
    for name, results in found["models"].items():
        assert len(results) == 2
        for result in results:
            assert abs(result["parameters"] - 77_200) <= 3_860
            assert len(result["gradient"]) == 8
            assert len(result["loss"]) == 400 // 32
            assert len(result["recall_loss"]) == 600 // 32
            assert sorted(map(int, result["recall"])) == measured(16)
        assert f"\n{name} " in table
    assert (tmp_path / "out" / "compare.txt").read_text(encoding="utf-8") == table
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_what_makes_no_sense_is_refused_before_anything_is_trained():
    for models in ((), ("gpt", "gpt"), ("gpt", "mamba")):
        with pytest.raises(mg.ArgumentError):
            compare(Settings(models=models))
    with pytest.raises(mg.ArgumentError, match="the longest must be at least 2, got 1"):
        compare(Settings(longest=1))


def test_the_report_takes_medians():
    def result(loss):
        return {"width": 3, "parameters": 9, "val_loss": loss, "tokens_per_s": 5.0, "gradient": [2.0, 1.0],
                "recall": {1: 1.0, 2: 0.5}}  # fmt: skip

    settings = {"data": "d", "tokens": 1, "recall_tokens": 1, "seeds": 3, "longest": 2, "block_size": 2}
    text = report(
        {
            "settings": settings,
            "models": {"gpt": [result(1.0), result(9.0), result(2.0)]},
            "seconds": 61.4,
            "cpu_seconds": 90.2,
        }
    )
    assert "61 s (90 s of CPU time)" in text
    assert "2.000" in text
    assert "50.0%" in text
    assert "5.0e-01" in text
