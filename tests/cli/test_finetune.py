"""`minigpt finetune` as a user runs it: from a trained model or from scratch, every method, going on, refusals."""

import json
import re

import numpy as np
import pytest

from minigpt.cli import main
from minigpt.data import has_dialogue_tokens
from minigpt.models import GPT, GPTClassifier, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import Trainer

TINY = ["--n-layer", "2", "--n-head", "2", "--n-embd", "8", "--examples", "40", "--val-examples", "8"]
FAST = [*TINY, "--batch-size", "4", "--warmup", "1", "--steps", "4", "--eval-interval", "2", "--test-examples", "5",
        "--no-progress", "--backend", "numpy"]  # fmt: skip


def finetune(*words):
    return main(["finetune", *(str(word) for word in words)])


@pytest.fixture
def base(tmp_path):
    """A checkpoint whose tokenizer knows neither digits nor dialogue."""
    tok = CharTokenizer("abcdefghijklmnopqrstuvwxyz ")
    model = GPT(GPTConfig(tok.vocab_size, 64, 2, 2, 8), seed=3)
    model.tokenizer = tok
    model.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_from_a_trained_model(tmp_path, base, capsys):
    out = tmp_path / "sums"
    assert finetune("--task", "arithmetic", "--from", base, "--out", out, *FAST) == 0
    printed, noted = capsys.readouterr()
    assert re.search(r"arithmetic: \d\d conversations of up to 3 questions", noted)
    assert "100.0%, full" in noted
    assert "before" in printed
    assert "after" in printed
    assert "(5 examples)" in printed
    assert "95% intervals (Wilson)" in printed
    assert "wrong  'What is " in printed
    assert f"python -m minigpt chat --temperature 0 --model {out}" in printed
    model = GPT.from_pretrained(out)
    assert has_dialogue_tokens(model.tokenizer)
    assert model.tokenizer.encode("What is 1 + 2?")
    assert not has_dialogue_tokens(GPT.from_pretrained(base).tokenizer)  # the base is as it was


@pytest.mark.parametrize(
    "flags", [("--method", "lora", "--rank", 2), ("--method", "last-k", "--last-k", 1), ("--unfreeze-every", 1)]
)
def test_stopped_and_resumed_it_ends_as_if_never_stopped(tmp_path, base, flags, monkeypatch, capsys):
    words = ("--task", "arithmetic", "--from", base, *FAST, *flags)
    assert finetune(*words, "--out", tmp_path / "straight") == 0
    order = Trainer._order_step

    def interrupted(self):
        order(self)
        if self.step_number == 2:
            import signal

            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_order_step", interrupted)
        assert finetune(*words, "--out", tmp_path / "halves") == 130
    assert f"python -m minigpt finetune --resume {tmp_path / 'halves'}" in capsys.readouterr().err
    assert finetune("--resume", tmp_path / "halves") == 0
    straight, halves = (GPT.from_pretrained(tmp_path / name).state_dict() for name in ("straight", "halves"))
    for name in straight:
        np.testing.assert_array_equal(straight[name], halves[name], err_msg=name)


def test_head(tmp_path, capsys):
    out = tmp_path / "head"
    words = ("--task", "sentiment", "--method", "head", "--class-weights", "--out", out, *FAST)
    assert finetune(*words) == 0
    printed, _ = capsys.readouterr()
    assert "bag of words" in printed
    assert "minigpt chat" not in printed
    assert GPTClassifier.from_pretrained(out).class_names == ["negative", "positive"]
    assert finetune("--resume", out) == 0  # there is nothing left to do but to measure


def test_own_records_and_a_mixture(tmp_path, capsys):
    rows = "".join(f"say {i}\t{i}\n" for i in range(80))
    (tmp_path / "mine.tsv").write_text("prompt\treply\n" + rows, encoding="utf-8")
    assert finetune("--data", tmp_path / "mine.tsv", "--out", tmp_path / "a", *FAST) == 0
    assert "mine.tsv" in capsys.readouterr().out
    assert finetune("--mix", "copy,reverse", "--out", tmp_path / "b", *FAST) == 0
    printed = capsys.readouterr().out
    assert "  copy " in printed
    assert "  reverse " in printed


def test_config_file(tmp_path):
    (tmp_path / "run.toml").write_text(
        '[finetune]\ntask = "copy"\nfrom = "scratch"\nmethod = "lora"\nrank = 2\n[train]\nlr = 0.004\n',
        encoding="utf-8",
    )
    out = tmp_path / "run"
    assert finetune("--config", tmp_path / "run.toml", "--rank", 1, "--out", out, *FAST) == 0
    settings = json.loads((out / "finetune.json").read_text("utf-8"))["settings"]
    assert (settings["task"], settings["method"], settings["rank"]) == ("copy", "lora", 1)
    assert json.loads((out / "trainer.json").read_text("utf-8"))["config"]["lr"] == 0.004
    assert json.loads((out / "adapter_config.json").read_text("utf-8"))["rank"] == 1
    assert finetune("--config", tmp_path / "run.toml", "--mix", "copy,dates", "--out", tmp_path / "b", *FAST) == 0


def test_refused(tmp_path, base, capsys):
    for words, message in (
        ((), "one of task, mix and data"),
        (("--task", "cooking"), "no task 'cooking'"),
        (("--task", "copy", "--from", tmp_path / "nothing"), "no checkpoint folder"),
        (("--task", "copy", "--from", base, "--out", base), "choose another folder"),
        (("--task", "sentiment", "--from", base), "block_size"),
        (("--data", tmp_path / "no.tsv"), "no.tsv"),
        (("--resume", tmp_path / "nothing"), "is missing"),
        (("--task", "copy", "--method", "head"), "needs a task with classes"),
    ):
        assert finetune(*words, *([] if "--resume" in words else FAST)) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "lr"), [((), 2e-3), (("--method", "lora"), 5e-3), (("--method", "lora", "--lr", 0.1), 0.1)]
)
def test_lora_takes_larger_steps_unless_told(tmp_path, base, flags, lr):
    out = tmp_path / "out"
    assert finetune("--task", "copy", "--from", base, "--out", out, *FAST, *flags) == 0
    assert json.loads((out / "trainer.json").read_text(encoding="utf-8"))["config"]["lr"] == lr
    assert json.loads((out / "finetune.json").read_text(encoding="utf-8"))["settings"]["turns"] == 3
