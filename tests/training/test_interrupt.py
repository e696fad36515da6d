"""Ctrl-C: the first one ends the run after the step, saved and ready to go on; the second one ends it at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import minigpt
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer
from minigpt.training.interrupt import StopRequest

V, T = 11, 8
ROOT = Path(minigpt.__file__).parents[1]


class CtrlC:
    """TokenData in front of someone who presses Ctrl-C in the middle of step number `at`, `times` times."""

    has_val = False

    def __init__(self, at, times=1):
        self.data = TokenData(np.arange(100) % V, block_size=T)
        self.at, self.times, self.step = at, times, 0

    def batch(self, rng, n):
        self.step += 1
        if self.step == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)
        return self.data.batch(rng, n)


def new_trainer(data, out=None, **changes):
    model = GPT(GPTConfig(vocab_size=V, block_size=T, n_layer=1, n_head=2, n_embd=8), seed=0)
    usual = {"steps": 6, "batch_size": 2, "warmup": 1, "backend": "numpy", "workers": 1, "progress": False}
    return Trainer(model, data, TrainConfig(**{**usual, "out": out and str(out), **changes}))


def test_stop_request_notes_the_first_and_obeys_the_second():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert stop.requested is False
        signal.raise_signal(signal.SIGINT)
        assert stop.requested is True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def fail_after_ctrl_c(stop):
    signal.raise_signal(signal.SIGINT)
    assert stop.requested
    raise ZeroDivisionError


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler, lambda *_: None])
def test_stop_request_restores_the_handler_also_after_an_error(handler):
    mine = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(ZeroDivisionError), StopRequest() as stop:
            fail_after_ctrl_c(stop)
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, mine)


def test_stop_requests_nest_and_can_be_used_again():
    before = signal.getsignal(signal.SIGINT)
    outer = StopRequest()
    for _ in range(2):
        with outer:
            with StopRequest() as inner:
                signal.raise_signal(signal.SIGINT)
            assert inner.requested
            assert not outer.requested
        assert signal.getsignal(signal.SIGINT) is before


def test_training_in_another_thread_needs_no_signals():
    trainer = new_trainer(TokenData(np.arange(100) % V))
    before, failures = signal.getsignal(signal.SIGINT), []

    def work():
        try:
            trainer.fit()
        except BaseException as error:  # noqa: BLE001  a thread would only print it
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=30)
    assert failures == []
    assert trainer.step_number == 6
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_finishes_the_step_and_saves(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    trainer = new_trainer(CtrlC(at=3), tmp_path, save_interval=0)
    trainer.fit()
    assert trainer.interrupted is True
    assert trainer.step_number == len(trainer.history["loss"]) == 3  # the step under way was finished
    assert signal.getsignal(signal.SIGINT) is before
    resumed = Trainer.resume(tmp_path, data=TokenData(np.arange(100) % V))
    assert resumed.step_number == 3
    resumed.fit()
    assert resumed.interrupted is False
    whole = new_trainer(TokenData(np.arange(100) % V))
    np.testing.assert_array_equal(resumed.history["loss"], whole.fit()["loss"])


def test_fit_goes_on_in_the_same_process():
    trainer = new_trainer(CtrlC(at=2))
    trainer.fit()
    assert (trainer.step_number, trainer.interrupted) == (2, True)
    trainer.fit()
    assert (trainer.step_number, trainer.interrupted) == (6, False)


def test_ctrl_c_in_the_last_step_is_an_ordinary_end(tmp_path):
    trainer = new_trainer(CtrlC(at=6), tmp_path)
    trainer.fit()
    assert (trainer.step_number, trainer.interrupted) == (6, False)
    assert (tmp_path / "trainer.json").exists()


def test_a_second_ctrl_c_stops_at_once_and_leaves_no_half_step(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    trainer = new_trainer(CtrlC(at=3, times=2), tmp_path, save_interval=1)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert signal.getsignal(signal.SIGINT) is before
    assert trainer.step_number == 2
    assert not list(tmp_path.glob(".*")), "temporary files are left"
    assert Trainer.resume(tmp_path, data=trainer.data.data).step_number == 2


def test_the_message_says_how_to_go_on(tmp_path, capsys):
    new_trainer(CtrlC(at=3), tmp_path, progress=True).fit()
    out, err = capsys.readouterr()
    assert "stopped after step 3" in err
    assert f"python -m minigpt train --resume {tmp_path}" in err
    assert out == ""
    new_trainer(CtrlC(at=3), progress=True).fit()
    assert "nothing was saved" in capsys.readouterr().err
    new_trainer(CtrlC(at=3), tmp_path).fit()
    assert capsys.readouterr() == ("", "")  # progress=False prints nothing; trainer.interrupted tells


def wait_for(path: Path, process, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to another process")
@pytest.mark.parametrize("flags", [(), ("--no-progress",)], ids=["progress", "no-progress"])
def test_ctrl_c_on_the_command_line(tmp_path, flags, capsys):
    """Exit code 130, a saved checkpoint, a message that says how to go on, and the way on works."""
    from minigpt.cli import main

    (tmp_path / "text.txt").write_text("the cat sat on the mat.\n" * 30, encoding="utf-8")
    out = tmp_path / "run"
    steps = 1_000_000_000
    command = [sys.executable, "-m", "minigpt", "train", "--data", str(tmp_path / "text.txt"), "--out", str(out),
               "--steps", str(steps), "--warmup", "1", "--batch-size", "1", "--block-size", "8", "--n-layer", "1",
               "--n-head", "1", "--n-embd", "8", "--save-interval", "10", "--backend", "numpy", *flags]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        wait_for(out / "trainer.json", process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "Traceback" not in stdout
    trainer = Trainer.resume(out)
    assert trainer.step_number > 0
    assert len(trainer.history["loss"]) == trainer.step_number
    assert not list(out.glob(".*")), "temporary files are left"
    end_early(out, trainer.step_number + 2)
    assert main(["train", "--resume", str(out)]) == 0
    assert Trainer.resume(out).step_number == trainer.step_number + 2
    capsys.readouterr()
    assert f"train --resume {out}" in stderr + stdout  # last, so that a silent end fails only here
    assert f"stopped after step {trainer.step_number}" in stderr


def end_early(folder: Path, steps: int):
    """Let the saved run end at `steps`, as if it had been started so."""
    import json

    path = folder / "trainer.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["config"]["steps"] = steps
    path.write_text(json.dumps(values), encoding="utf-8")
