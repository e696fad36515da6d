"""The comparison of architectures: equal sizes, the recall task, gradients through time, one command to the end."""

import json

import numpy as np
import pytest

import minigpt as mg
from minigpt.bench.compare import Settings, compare, report
from minigpt.bench.compare_gradient import gradient_through_time
from minigpt.bench.compare_models import NAMES, TOLERANCE, sized
from minigpt.bench.compare_recall import KEYS, VALUES, Recall, accuracy, measured
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


def test_rows_of_the_recall_task_give_each_key_once_and_ask_for_what_was_given(rng):
    task = Recall(longest=40)
    for ids, targets, distances in zip(*task.rows(rng, 20), strict=True):
        known = {}
        for t, (token, target, distance) in enumerate(zip(ids, targets, distances, strict=True)):
            if token < task.questions:
                key, value = divmod(token, VALUES)
                assert key not in known
                known[key] = (t, value)
                assert (target, distance) == (-100, 0)
            else:
                given, value = known[token - task.questions]
                assert (target, distance) == (task.answers + value, t - given)
        assert len(known) == KEYS
    assert measured(16) == [1, 2, 3, 4, 6, 8, 11, 16]
    batch = task.batch(3, 5)
    assert batch["ids"].shape == batch["targets"].shape == (5, 41)
    assert max(batch["ids"].max(), batch["targets"].max()) < task.symbols


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
                given = seen[(seen < self.task.questions) & (seen // VALUES == token - self.task.questions)]
                if given.size:
                    line[t, self.task.answers + given[0] % VALUES] = 2
        return mg.Tensor(logits), None


def test_accuracy_is_that_of_each_distance():
    task = Recall(32)
    found = accuracy(Forgetful(task, 8), task, rng=0)
    assert list(found) == measured(32)
    assert {share for k, share in found.items() if k <= 8} == {1.0}
    assert max(share for k, share in found.items() if k > 10) < 0.2  # 0 is right once in 8


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
    words = "--parameters 77200 --tokens 400 --recall-tokens 600 --block-size 8 --batch-size 4 --longest 16 --seeds 2"
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
            assert sorted(map(int, result["recall"])) == measured(16)
        assert f"\n{name} " in table
    assert (tmp_path / "out" / "compare.txt").read_text(encoding="utf-8") == table
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_what_makes_no_sense_is_refused_before_anything_is_trained():
    for models in ((), ("gpt", "gpt"), ("gpt", "mamba")):
        with pytest.raises(mg.ArgumentError):
            compare(Settings(models=models))
    with pytest.raises(mg.ArgumentError, match="at least its 16 keys, got 7"):
        compare(Settings(longest=7))


def test_the_report_takes_medians():
    def result(loss):
        return {"width": 3, "parameters": 9, "val_loss": loss, "tokens_per_s": 5.0, "gradient": [2.0, 1.0],
                "recall": {1: 1.0, 2: 0.5}}  # fmt: skip

    settings = {"data": "d", "tokens": 1, "recall_tokens": 1, "seeds": 3, "longest": 2, "block_size": 2}
    text = report({"settings": settings, "models": {"gpt": [result(1.0), result(9.0), result(2.0)]}})
    assert "2.000" in text
    assert "50.0%" in text
    assert "5.0e-01" in text
