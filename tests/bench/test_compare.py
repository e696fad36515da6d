"""The comparison of architectures: equal sizes, the recall task, gradients through time, one command to the end."""

import json

import numpy as np
import pytest

import minigpt as mg
from minigpt.bench.compare import Settings, compare, report
from minigpt.bench.compare_gradient import gradient_through_time
from minigpt.bench.compare_models import NAMES, TOLERANCE, sized
from minigpt.bench.compare_recall import Recall, accuracy, distances
from minigpt.cli import main
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM


@pytest.mark.parametrize("budget", [400_000, 5_000_000])
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


def test_rows_of_the_recall_task_repeat_and_count_from_the_second_round_on(rng):
    task = Recall(longest=16, symbols=20)
    given = task.rows(rng, [1, 5, 16])
    for ids, targets, k in zip(given["ids"], given["targets"], (1, 5, 16), strict=True):
        assert len(set(ids[:k])) == k
        assert (targets[: k - 1] == -100).all()
        whole = np.append(ids, targets[-1])
        np.testing.assert_array_equal(whole[k:], whole[:-k])
        np.testing.assert_array_equal(targets[k - 1 :], whole[k:])
    assert distances(16) == [1, 2, 3, 4, 6, 8, 11, 16]
    lengths = [np.count_nonzero(row == -100) + 1 for row in task.batch(3, 400)["targets"]]
    assert min(lengths) == 1
    assert max(lengths) == 16


class Copier:
    """A stand-in model that recalls exactly what it saw up to `reach` tokens ago, and guesses symbol 0 else."""

    config = None

    def __init__(self, reach, symbols):
        self.reach, self.symbols = reach, symbols

    def evaluating(self):
        return mg.no_grad()

    def __call__(self, ids):
        logits = np.zeros((*ids.shape, self.symbols), np.float32)
        for row, line in zip(ids, logits, strict=True):
            k = 1 + next((j for j in range(len(row) - 1) if row[j + 1] == row[0]), 0)
            for t in range(k - 1, len(row)):
                if k <= self.reach:
                    line[t, row[t - k + 1]] = 1
        return mg.Tensor(logits), None


def test_accuracy_is_that_of_each_distance():
    found = accuracy(Copier(6, 40), Recall(16, 40), rng=0)
    assert {k: share for k, share in found.items() if k <= 6} == {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 6: 1.0}
    assert max(share for k, share in found.items() if k > 6) < 0.2


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
    words = "--parameters 77200 --tokens 400 --recall-tokens 600 --block-size 8 --batch-size 4 --longest 9 --seeds 2"
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
            assert sorted(map(int, result["recall"])) == distances(9)
        assert f"\n{name} " in table
    assert (tmp_path / "out" / "compare.txt").read_text(encoding="utf-8") == table
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_what_makes_no_sense_is_refused_before_anything_is_trained():
    for models in ((), ("gpt", "gpt"), ("gpt", "mamba")):
        with pytest.raises(mg.ArgumentError):
            compare(Settings(models=models))
    with pytest.raises(mg.ArgumentError, match="as many symbols as the longest distance 300"):
        compare(Settings(longest=300))


def test_the_report_takes_medians():
    def result(loss):
        return {"width": 3, "parameters": 9, "val_loss": loss, "tokens_per_s": 5.0, "gradient": [2.0, 1.0],
                "recall": {1: 1.0, 2: 0.5}}  # fmt: skip

    settings = {"data": "d", "tokens": 1, "recall_tokens": 1, "seeds": 3, "longest": 2, "block_size": 2}
    text = report({"settings": settings, "models": {"gpt": [result(1.0), result(9.0), result(2.0)]}})
    assert "2.000" in text
    assert "50.0%" in text
    assert "5.0e-01" in text
