"""The benchmark of tasks, on models so small that they learn nothing."""

from dataclasses import replace

import pytest

from minigpt.bench import tasks
from minigpt.cli import main
from minigpt.data.tasks import TASKS
from minigpt.errors import ArgumentError
from minigpt.training import TrainConfig
from minigpt.training.finetune import FinetuneSettings, prepare

TINY = {"examples": 30, "val_examples": 5, "n_layer": 1, "n_head": 2, "n_embd": 8}
STEPS = {"steps": 2, "batch_size": 4}


@pytest.fixture
def tiny(monkeypatch):
    recipe = tasks.Recipe(0.9, STEPS, TINY)
    monkeypatch.setattr(tasks, "RECIPES", {"copy": recipe, "sentiment": recipe})
    monkeypatch.setattr(tasks, "BASE", tasks.Recipe(0.0, STEPS, {**TINY, "mix": "copy,arithmetic", "block_size": 56}))
    monkeypatch.setattr(tasks, "LORA_TUNING", {"examples": 30, "val_examples": 5, "rank": 1})
    monkeypatch.setattr(tasks, "TUNED", {"full": STEPS, "lora": STEPS})


def test_recipes_are_within_their_terms():
    """Fresh models of at most a million parameters, tasks that exist, settings that fit."""
    assert {name: recipe.wanted for name, recipe in tasks.RECIPES.items()} == {
        "arithmetic": 0.95, "reverse": 0.90, "sentiment": 0.90, "dates": 0.95
    }  # fmt: skip
    for name, recipe in tasks.RECIPES.items():
        settings = FinetuneSettings(task=name, **{**recipe.tuning, "examples": 50, "val_examples": 5})
        model, _ = prepare(settings)
        assert model.num_parameters() <= 1_000_000
        TrainConfig.from_dict({**tasks.SHARED, **recipe.train})
    assert not set(tasks.BASE_MIX.split(",")) & set(tasks.LORA_TASKS)
    assert {*tasks.BASE_MIX.split(","), *tasks.LORA_TASKS} <= set(TASKS)
    assert len(tasks.LORA_TASKS) >= 2


def test_tasks(tiny, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--out", str(out), "--test-examples", "6", "--backend", "numpy"]
    assert main(["bench", "tasks", *words]) == 1  # which it says with its exit code too
    printed = capsys.readouterr().out
    assert "fell short: copy (full), sentiment (full)" in printed
    assert "seed 0" in printed
    assert "bag of words" in printed
    assert (out / "copy" / "model.safetensors").exists()
    assert main(["bench", "tasks", "--task", "cooking"]) == 2
    assert "no recipe for 'cooking'" in capsys.readouterr().err
    assert main(["bench", "tasks", "--task", "copy", "--lora"]) == 2


def test_lora(tiny, tmp_path, capsys):
    words = ["--out", str(tmp_path), "--test-examples", "6", "--backend", "numpy"]
    assert main(["bench", "tasks", "--lora", *words]) == 1  # these cannot do their tasks
    printed = capsys.readouterr().out
    assert "fell short: reverse (full), dates (full)" in printed  # LoRA is within five points of nothing
    assert printed.count(" lora ") == printed.count(" full ") - 1 == 2
    assert "mix of 2" in printed
    assert (tmp_path / "reverse-lora" / "adapter_model.safetensors").exists()
    assert not (tmp_path / "reverse-full" / "adapter_model.safetensors").exists()


def test_what_counts_as_reached():
    good = tasks.Outcome("reverse", "full", 95, 100, 3.0, 10, 10, 0.9)
    assert good.reached
    assert not replace(good, right=89).reached
    assert not replace(good, minutes=10.1).reached
    assert replace(good, bag_of_words=0.7).reached
    assert not replace(good, bag_of_words=0.95).reached  # must be beaten
    lora = replace(good, method="lora", wanted=0.9, learning=100, total=1000)
    assert lora.reached
    assert not replace(lora, learning=101).reached  # a tenth of the parameters at most
    assert "all reached" in tasks.report([good], 0)
    text = tasks.report([good, replace(good, task="dates", right=3)], 7)
    assert "fell short: dates (full)" in text
    assert "seed 7" in text


def test_unknown_task():
    with pytest.raises(ArgumentError, match="there are arithmetic"):
        tasks.run_tasks(["cooking"])
