"""Train small models on tasks from fixed seeds, and measure how many unseen questions they answer exactly right.

Each recipe starts from a fresh model of a few hundred thousand parameters. Its cost is the processor time of training
on two threads, divided by two: minutes on two cores that have nothing else to do.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from ..generation.before_after import accuracies
from ..training import TrainConfig, Trainer
from ..training.evaluation.intervals import CONFIDENCE, wilson
from ..training.finetune import FinetuneSettings, prepare
from ..training.freezing import parameter_share

LIMIT = 10.0  # minutes of training on two cores
TEST_EXAMPLES = 1000


@dataclass(frozen=True)
class Recipe:
    """wanted: exact match to reach; train, tuning: settings that differ from SHARED and from FinetuneSettings'"""

    wanted: float
    train: dict[str, Any] = field(default_factory=dict)
    tuning: dict[str, Any] = field(default_factory=dict)


SHARED = {"batch_size": 64, "lr": 2e-3, "min_lr": 1e-4, "workers": 2, "eval_interval": 500, "eval_tokens": 2000}
RECIPES = {
    "arithmetic": Recipe(0.95, {"steps": 3000}, {"n_layer": 2, "n_embd": 128}),
    "reverse": Recipe(0.90, {"steps": 1000}),
    "sentiment": Recipe(0.90, {"steps": 2000}),
    "dates": Recipe(0.95, {"steps": 1200}),
}
# LoRA against full fine-tuning, both from one model that has learned other tasks. LoRA's rate is five times the full
# one: it starts from corrections of zero and has to go further in the few directions that it has.
BASE_MIX = "copy,sort-letters,count,arithmetic"
BASE = Recipe(0.0, {"steps": 3000}, {"mix": BASE_MIX, "examples": 10_000, "block_size": 64, "n_embd": 128})
LORA_TASKS = ("reverse", "dates")
LORA_TUNING: dict[str, Any] = {"examples": 20_000}
TUNED = {"full": {"steps": 800, "lr": 1e-3}, "lora": {"steps": 800, "lr": 5e-3}}
FULL_WANTED = 0.90  # of full fine-tuning: within five points of a model that cannot do the task would mean nothing
LORA_WITHIN = 0.05  # of the accuracy of full fine-tuning
LORA_SHARE = 0.10  # of the parameters, at most


@dataclass(frozen=True)
class Outcome:
    """right of n unseen questions; minutes on two cores; learning of total parameters"""

    task: str
    method: str
    right: int
    n: int
    minutes: float
    learning: int
    total: int
    wanted: float
    bag_of_words: float | None = None

    @property
    def accuracy(self) -> float:
        return self.right / self.n

    @property
    def reached(self) -> bool:
        better = self.bag_of_words is None or self.accuracy > self.bag_of_words
        few = self.method != "lora" or self.learning <= LORA_SHARE * self.total
        return self.accuracy >= self.wanted and self.minutes <= LIMIT and better and few


def run_recipe(
    settings: FinetuneSettings, train: dict, wanted: float, seed=0, n=TEST_EXAMPLES, out=None, backend=None,
    progress=True,
) -> Outcome:  # fmt: skip
    """Train, then ask n unseen questions of each task; several tasks count as one."""
    model, data = prepare(settings, seed)
    config = TrainConfig.from_dict(
        {**SHARED, "seed": seed, "backend": backend, "out": out, "progress": progress, **train}
    )
    trainer = Trainer(model, data, config)
    start = time.process_time()
    trainer.fit()
    minutes = (time.process_time() - start) / 60 / 2
    if trainer.interrupted:
        raise KeyboardInterrupt
    found = accuracies(trainer, settings, n)
    learning, total = parameter_share(model)
    right, asked = sum(entry["right"] for entry in found), sum(entry["n"] for entry in found)
    name = found[0]["task"] if len(found) == 1 else f"mix of {len(found)}"
    bag = found[0].get("bag_of_words")
    return Outcome(name, settings.method, right, asked, minutes, learning, total, wanted, bag)


def run_tasks(names=None, seed=0, n=TEST_EXAMPLES, out=None, backend=None) -> list[Outcome]:
    """The recipes of these tasks, or of all; each is told on stderr as soon as it is there."""
    unknown = sorted(set(names or ()) - set(RECIPES))
    if unknown:
        raise ArgumentError(f"there is no recipe for {unknown[0]!r}; there are {', '.join(RECIPES)}")
    outcomes = []
    for name in names or RECIPES:
        recipe = RECIPES[name]
        settings = FinetuneSettings(task=name, **recipe.tuning)
        folder = None if out is None else str(Path(out) / name)
        outcomes.append(run_recipe(settings, recipe.train, recipe.wanted, seed, n, folder, backend))
        print(line(outcomes[-1]), file=sys.stderr, flush=True)
    return outcomes


def run_lora(out, seed=0, n=TEST_EXAMPLES, backend=None) -> list[Outcome]:
    """A base trained on BASE_MIX, then each of LORA_TASKS by full fine-tuning and by LoRA: base, full, lora, full …"""
    base = str(Path(out) / "base")
    outcomes = [run_recipe(FinetuneSettings(**BASE.tuning), BASE.train, BASE.wanted, seed, n // 5 or 1, base, backend)]
    print(line(outcomes[0]), file=sys.stderr, flush=True)
    for task in LORA_TASKS:
        for method, train in TUNED.items():
            settings = FinetuneSettings(task=task, base=base, method=method, **LORA_TUNING)
            wanted = FULL_WANTED if method == "full" else outcomes[-1].accuracy - LORA_WITHIN
            folder = str(Path(out) / f"{task}-{method}")
            outcomes.append(run_recipe(settings, train, wanted, seed, n, folder, backend))
            print(line(outcomes[-1]), file=sys.stderr, flush=True)
    return outcomes


def line(o: Outcome) -> str:
    low, high = wilson(o.right, o.n)
    text = (
        f"  {o.task:<12}{o.method:<7}{o.accuracy:>7.1%} ({low:.1%} … {high:.1%}) of {o.n:<6}"
        f"{o.wanted:>8.1%}{o.minutes:>8.1f}  {o.learning:,} of {o.total:,}"
    )
    return text if o.bag_of_words is None else f"{text}; bag of words {o.bag_of_words:.1%}"


def report(outcomes: list[Outcome], seed: int) -> str:
    """The table, and what fell short."""
    head = (
        f"exact match on unseen inputs, {CONFIDENCE:.0%} intervals (Wilson); seed {seed}; minutes: training, two cores"
    )
    columns = f"  {'task':<12}{'method':<7}{'exact match':<35}{'wanted':>6}{'min':>8}  parameters that learn"
    short = [f"{o.task} ({o.method})" for o in outcomes if not o.reached]
    end = f"fell short: {', '.join(short)}" if short else f"all reached, each within {LIMIT:.0f} minutes"
    return "\n".join([head, columns, *map(line, outcomes), end])
