"""The time-to-loss benchmark: it stops where it should, counts only the whole validation part, and tells failures."""

import json
import math
import signal
import sys

import numpy as np
import pytest

import minigpt as mg
from minigpt.bench import time_to_loss as bench
from minigpt.bench.time_to_loss import RECIPE, Sample, report, train_to
from minigpt.cli import main
from minigpt.data import TokenData
from minigpt.errors import BackendError
from minigpt.training import TrainConfig, Trainer

pytestmark = pytest.mark.skipif(mg.backends()["cpu"] is not True, reason="trains on the cpu row")
TEXT = "the cat sat on the mat and saw a bat.\n" * 100


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


@pytest.fixture
def small(monkeypatch):
    """A recipe of a few steps, and every Trainer that it makes."""
    made = []

    class Noted(Trainer):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(bench, "Trainer", Noted)
    made.append({**RECIPE, "steps": 6, "warmup": 2, "batch_size": 4, "progress": False})
    return made


class Scripted:
    """Stands for Trainer and Evaluations: training and validation losses are given, looks are noted."""

    row = "cpu"

    def __init__(self, train, whole, offset):
        self.train, self.whole, self.offset = train, whole, offset  # (steps,) each, and sample minus whole
        self.config = TrainConfig(steps=len(train), warmup=0, progress=False)
        self.step_number = 0
        self.data = TokenData(np.arange(20), np.arange(20), block_size=4)
        self.looks: list[tuple[int, str]] = []
        self.seconds = 0.0

    def step(self):
        self.step_number += 1
        return self.train[self.step_number - 1]

    def loss(self, data):
        is_whole = isinstance(data, TokenData)
        self.looks.append((self.step_number, "whole" if is_whole else "sample"))
        self.seconds += 1.0
        return self.whole[self.step_number - 1] + (0 if is_whole else self.offset)


@pytest.fixture
def scripted(monkeypatch):
    """scripted(train, whole, offset, target) -> (result, looks)"""

    class NoProgress:
        def __init__(self, trainer): ...
        def __enter__(self):
            return self

        def __exit__(self, *exc): ...
        def stepped(self, loss, step): ...
        def evaluated(self, loss): ...

    def follow(train, whole, offset, target):
        trainer = Scripted(train, whole, offset)
        monkeypatch.setattr(bench, "Progress", NoProgress)
        monkeypatch.setattr(bench, "Evaluations", lambda trainer: trainer)
        return train_to(trainer, target), trainer.looks

    return follow


# --- when it looks, and when it stops ----------------------------------------------------------------------------


def test_it_stops_when_the_whole_part_has_the_target(scripted):
    falling = np.linspace(4, 1, 301)  # 0.01 a step
    result, looks = scripted(falling, falling, 0.0, 2.0)
    assert result["steps"] == 220  # at 200 the last 20 steps had 2.1 on average, and nothing was looked at
    assert looks == [(220, "sample"), (220, "whole")]
    assert result["loss"] == falling[219] <= 2.0
    assert result["evaluation"] == len(looks)


def test_a_sample_that_is_too_easy_misleads_once(scripted):
    falling = np.linspace(4, 1, 1001)
    result, looks = scripted(falling - 0.5, falling, -0.1, 2.0)
    wholes = [step for step, kind in looks if kind == "whole"]
    assert len(wholes) == 2  # after the first one it is known how much too easy
    assert falling[wholes[0] - 1] > 2.0 >= falling[wholes[1] - 1] == result["loss"]
    assert result["steps"] == 680  # the first look after 2.0 at 668
    assert all(step % bench.LOOK_EVERY == 0 for step, _ in looks)


def test_a_training_loss_that_falls_alone_is_no_success(scripted):
    """The sample is looked at now and then, the whole part only at the end; what is told is its loss."""
    train, whole = np.linspace(4, 2.3, 501), np.full(501, 3.0)
    result, looks = scripted(train, whole, 0.0, 2.5)
    assert result["loss"] == 3.0
    assert result["steps"] == 501
    assert [step for step, kind in looks if kind == "whole"] == [501]
    assert len(looks) < 8


def test_a_hard_sample_does_not_hide_success_at_the_end(scripted):
    falling = np.linspace(4, 1.99, 200)
    result, _ = scripted(falling, falling, 0.5, 2.0)
    assert result == {"loss": 1.99, "steps": 200, "evaluation": 2.0}


def test_the_sample_is_every_sixth_window_with_its_targets():
    T = 4
    data = TokenData(np.arange(50), np.arange(1000, 1000 + 50 * T + 1), block_size=T)
    ids, targets = (np.concatenate([b[name] for b in Sample(data).val_batches(3)]) for name in ("ids", "targets"))
    starts = 1000 + T * np.arange(0, 50, bench.SAMPLED)
    np.testing.assert_array_equal(ids, starts[:, None] + np.arange(T))
    np.testing.assert_array_equal(targets, ids + 1)


# --- real training -----------------------------------------------------------------------------------------------


def test_the_loss_is_that_of_the_whole_part(small, text):
    recipe, trainers = small[0], small[1:]
    result = bench.run(text, 0.01, seed=3, threads=2, recipe=recipe)
    (trainer,) = small[1:]
    assert not trainers
    shape = trainer.model.config
    assert (shape.n_layer, shape.n_head, shape.n_embd, shape.block_size) == (4, 4, 128, 64)
    assert (shape.bias, shape.dropout) == (True, 0.0)
    assert (trainer.row, trainer.workers.count, trainer.config.seed) == ("cpu", 2, 3)
    assert len(trainer.data.val_ids) == len(TEXT) // 10
    assert result["steps"] == trainer.step_number == 6
    assert result["loss"] == pytest.approx(trainer.evaluate(), rel=1e-5)
    assert result["evaluation"] > 0


def test_a_fresh_process_on_the_command_line(text, capfd):
    assert main(["bench", "time-to-loss", "--data", text, "--target", "1.5", "--threads", "1"]) == 0
    out, err = capfd.readouterr()
    words = out.split()
    assert out.startswith("baby reached 1.5: ")
    loss, steps, seconds = float(words[3]), int(words[words.index("steps,") - 1]), float(words[words.index("s") - 1])
    assert loss <= 1.5 < math.log(len(set(TEXT)))  # it had to learn something
    assert 10 < steps < 300
    assert seconds > 0
    assert f"{steps}/{RECIPE['steps']}" in err  # the bar of the run itself


def test_a_target_that_is_not_reached_is_exit_code_1(monkeypatch, capsys):
    result = {"seconds": 40.0, "loss": 1.95, "steps": 680, "evaluation": 2.0}
    monkeypatch.setattr(bench, "time_to_loss", lambda *arguments: result)
    assert main(["bench", "time-to-loss", "--target", "1.91"]) == 1
    assert capsys.readouterr().out == (
        "baby did not reach 1.91: 1.9500 nats/char on the whole validation part after 680 steps, "
        "40.0 s from process start, 2.0 s of them for evaluations\n"
    )
    assert "reached 1.96: " in report(1.96, result)


# --- failures ----------------------------------------------------------------------------------------------------


def test_a_corpus_that_is_not_there_is_told_before_anything_is_launched(monkeypatch, capsys):
    monkeypatch.setattr(bench, "one_start", lambda *arguments: pytest.fail("launched"))
    assert main(["bench", "time-to-loss", "--data", "no-such-file"]) == 2
    assert "no corpus and no file 'no-such-file'" in capsys.readouterr().err


def test_a_run_that_fails_tells_why(monkeypatch, tmp_path, capfd):
    (tmp_path / "short.txt").write_text("too short", encoding="utf-8")
    monkeypatch.setattr(bench, "one_start", lambda *arguments: None)
    with pytest.raises(BackendError, match="ended with code 2"):
        bench.time_to_loss(str(tmp_path / "short.txt"), 1.0)
    out, err = capfd.readouterr()
    assert err.startswith("error: the text is too short")
    assert "Traceback" not in err + out


def test_ctrl_c_is_130_without_a_figure(small, text, monkeypatch, capsys):
    class Interrupted(Trainer):
        def step(self):
            signal.raise_signal(signal.SIGINT)
            return super().step()

    monkeypatch.setattr(bench, "Trainer", Interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a job started in the background
    try:
        assert bench.main([text, "1.0", "1", "1"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().out == ""


def test_a_run_that_was_stopped_stops_the_command(monkeypatch, text, capsys):
    monkeypatch.setattr(bench, "one_start", lambda *arguments: None)
    stopped = "import sys; sys.exit(130)"
    monkeypatch.setattr(bench, "command", lambda *arguments: [sys.executable, "-c", stopped])
    assert main(["bench", "time-to-loss", "--data", text]) == 130
    assert capsys.readouterr().out == ""


def test_the_line_of_the_child_is_read_whatever_it_says_on_stderr(monkeypatch, text):
    monkeypatch.setattr(bench, "one_start", lambda *arguments: None)
    said = {"loss": 1.5, "steps": 3, "evaluation": 0.25}
    program = f"import sys; print('noise', file=sys.stderr); print({json.dumps(said)!r})"
    monkeypatch.setattr(bench, "command", lambda *arguments: [sys.executable, "-c", program])
    result = bench.time_to_loss(text, 1.91)
    assert result.pop("seconds") > 0
    assert result == said
