"""`minigpt train --record` and `finetune --record`: recorded, gone on with, gone back in; errors are one line."""

import numpy as np
import pytest

from minigpt.cli import main
from minigpt.inspect import Recording
from minigpt.training import Trainer

TINY = ["--block-size", "8", "--n-layer", "1", "--n-head", "2", "--n-embd", "8", "--batch-size", "2", "--warmup", "1",
        "--no-progress", "--backend", "numpy", "--steps", "4"]  # fmt: skip


def run(*words, code=0):
    assert main([str(word) for word in words]) == code


def test_train_record_and_go_back(tmp_path, text, capsys):
    out, branch = tmp_path / "run", tmp_path / "branch"
    run("train", "--data", text, "--out", out, *TINY, "--record", "the cat", "--record", "mat", "--record-weights",
        "--record-names", "*.weights", "output", "--record-every", 2)  # fmt: skip
    rec = Recording.load(out)
    assert rec.prompts == ["the cat", "mat"]
    assert rec.steps.tolist() == rec.snapshots == [0, 1, 2, 4]
    assert rec.names == ["h.0.attn.weights", "output"]
    assert rec.tokens("mat") == ["m", "a", "t"]
    capsys.readouterr()
    run("train", "--resume", out, "--step", 2, "--out", branch)
    noted = capsys.readouterr().err
    assert "going on after step 2 of 4" in noted
    assert "ignored" not in noted
    assert Recording.load(branch).steps.tolist() == [2, 4]  # recorded as the run was
    assert (branch / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def test_resume_goes_on_recording(tmp_path, text):
    out = tmp_path / "run"
    run("train", "--data", text, "--out", out, *TINY, "--record", "cat", "--record-steps", 0, 3, 4)
    whole = (out / "recording/step_00000004.safetensors").read_bytes()
    back = tmp_path / "back"
    run("train", "--data", text, "--out", back, *TINY, "--record", "cat", "--record-steps", 0, 3, 4, "--record-weights")
    trainer = Trainer.resume(back, step=3)
    trainer.save(back)  # as if the run had ended there
    run("train", "--resume", back)
    assert (back / "recording/step_00000004.safetensors").read_bytes() == whole


def test_the_size_is_said_before_it_is_taken(tmp_path, text, capsys):
    run("train", "--data", text, "--out", tmp_path / "run", *TINY, "--progress", "--record", "cat", "--record-weights")
    noted = capsys.readouterr().err
    assert f"recording 1 prompt at 5 steps into {tmp_path / 'run' / 'recording'}: 0.0" in noted
    assert "MB of checkpoints" in noted


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--record-steps", 1], "--record-steps needs --record PROMPT"),
        (["--record", "the cat sat on the mat"], "prompt 0, 'the cat sat on the mat', cannot be recorded"),
        (["--record", "cat", "--record-names", "h.0.atn.weights"], "nearest: h.0.attn.weights"),
        (["--record", "cat", "--record-steps", 99], "the run ends after step 4"),
        (["--record", "cat", "--record-steps", 1, "--record-every", 2], "not both"),
        (["--record", "dog!"], "unknown character"),
        (["--step", 1], "--step goes with --resume FOLDER"),
    ],
    ids=lambda value: " ".join(map(str, value))[:30] if isinstance(value, list) else "",
)
def test_what_does_not_fit_is_one_line(tmp_path, text, capsys, flags, message):
    run("train", "--data", text, "--out", tmp_path / "run", *TINY, *flags, code=2)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "run").exists()


def test_going_back_needs_a_folder_of_its_own(tmp_path, text, capsys):
    out = tmp_path / "run"
    run("train", "--data", text, "--out", out, *TINY, "--record", "cat", "--record-weights")
    for more in ([], ["--out", out], ["--out", out / "recording"]):
        run("train", "--resume", out, "--step", 1, *more, code=2)
        assert "give another folder with --out" in capsys.readouterr().err
    run("train", "--resume", out, "--step", 7, "--out", tmp_path / "b", code=2)
    assert "no weights of step 7; the nearest steps that have: 1, 2, 3, 4" in capsys.readouterr().err
    run("train", "--data", text, "--out", out, *TINY, "--record", "cat", code=2)
    assert "holds" in capsys.readouterr().err


def test_help_has_an_example(capsys):
    for command in ("train", "finetune"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "--record PROMPT" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "minigpt train --resume runs/book --step 64 --out runs/book-from-64" in capsys.readouterr().out


def test_finetune_record_and_go_back(tmp_path, capsys):
    out, branch = tmp_path / "run", tmp_path / "branch"
    run("finetune", "--task", "copy", "--out", out, "--examples", 20, "--val-examples", 4, "--test-examples", 2,
        "--n-layer", 1, "--n-head", 2, "--n-embd", 8, "--batch-size", 2, "--warmup", 1, "--steps", 4, "--no-progress",
        "--backend", "numpy", "--record", "<|user|>Repeat: mop<|end|><|assistant|>", "--record-weights")  # fmt: skip
    rec = Recording.load(out)
    assert rec.tokens()[0] == "<|user|>"
    assert rec.steps.tolist() == [0, 1, 2, 3, 4]
    run("finetune", "--resume", out, "--step", 2, "--out", branch, "--test-examples", 2)
    assert (branch / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    assert (branch / "finetune.json").read_bytes() == (out / "finetune.json").read_bytes()
    np.testing.assert_array_equal(Recording.load(branch)["h.0.attn.weights"], rec["h.0.attn.weights"][2:])
