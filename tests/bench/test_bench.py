"""The benchmarks: the recipe's figure is the loss on the whole validation part, and imports are timed in pairs."""

import signal

import numpy as np
import pytest

from minigpt.bench import recipe
from minigpt.bench.startup import import_times, summary
from minigpt.cli import main
from minigpt.training import Trainer, evaluate

TEXT = "the cat sat on the mat and saw a bat.\n" * 20


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


@pytest.fixture
def trainers(monkeypatch):
    """Every Trainer that the recipe makes."""
    made = []

    class Noted(Trainer):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(recipe, "Trainer", Noted)
    return made


def test_the_recipe_is_nanogpts(text, trainers):
    loss = recipe.run_recipe(text, seed=1, backend="numpy", steps=2, progress=False)
    (trainer,) = trainers
    shape = trainer.model.config
    assert (shape.n_layer, shape.n_head, shape.n_embd, shape.block_size) == (4, 4, 128, 64)
    assert (shape.bias, shape.dropout) == (False, 0.0)
    config = trainer.config
    assert (config.batch_size, config.lr, config.min_lr, config.betas) == (12, 1e-3, 1e-4, (0.9, 0.99))
    assert (config.weight_decay, config.grad_clip, config.accumulate, config.eval_tokens) == (0.1, 1.0, 1, None)
    assert len(trainer.data.val_ids) == len(TEXT) // 10
    assert loss == pytest.approx(evaluate(trainer.model, trainer.data, batch_size=1), rel=1e-5)
    assert loss < np.log(len(set(TEXT)))


def test_recipe_on_the_command_line(text, capsys):
    assert main(["bench", "recipe", "--data", text, "--seeds", "2", "--steps", "1", "--backend", "numpy"]) == 0
    out = capsys.readouterr().out.splitlines()
    losses = [float(line.split(": ")[1].split()[0]) for line in out]
    assert out[0].startswith("seed 1: ")
    assert out[1].startswith("seed 2: ")
    assert out[2].startswith("mean of 2: ")
    assert losses[0] != losses[1]
    assert losses[2] == pytest.approx((losses[0] + losses[1]) / 2, abs=1e-4)


def test_ctrl_c_during_the_recipe_is_130_without_traceback(text, monkeypatch, capsys):
    class Interrupted(Trainer):
        def _order_step(self):
            signal.raise_signal(signal.SIGINT)
            super()._order_step()

    monkeypatch.setattr(recipe, "Trainer", Interrupted)
    assert main(["bench", "recipe", "--data", text, "--seeds", "1", "--steps", "9", "--backend", "numpy"]) == 130
    assert "mean" not in capsys.readouterr().out  # a run that was cut short gives no figure


def test_import_times_are_pairs():
    times = import_times(rounds=1)
    assert set(times) == {"numpy", "minigpt"}
    assert all(len(seconds) == 1 and 0 < seconds[0] < 30 for seconds in times.values())


def test_summary_shows_medians_and_the_median_of_the_ratios():
    text = summary({"numpy": [0.1, 0.2, 0.4], "minigpt": [0.11, 0.3, 0.4]})
    assert text == "import numpy 200 ms, import minigpt 300 ms; ratio 1.10 (1.00 to 1.50 in 3 pairs)"


def test_import_on_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(
        "minigpt.bench.startup.import_times", lambda rounds: {"numpy": [0.1], "minigpt": [0.1 * rounds]}
    )
    assert main(["bench", "import", "--rounds", "2"]) == 0
    assert "ratio 2.00" in capsys.readouterr().out
