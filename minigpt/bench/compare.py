"""Architectures side by side: same text, same number of parameters, same number of tokens, same seeds.

For each architecture and seed: a language model is trained on characters (validation loss, tokens a second, gradient
norm through time), and a second one of the same size on the recall task (accuracy by distance). Optimizer, schedule and
batches are the same for all; the learning rate is each architecture's own.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import load_corpus, tokenize_and_split
from ..errors import ArgumentError
from ..files import FileGroup
from ..tokenizers import CharTokenizer
from ..training import TrainConfig, Trainer
from .compare_gradient import gradient_through_time
from .compare_models import NAMES, Sized, sized
from .compare_recall import VALUES, Recall, accuracy

RATES = {"gpt": 2e-3, "lstm": 4e-3, "gru": 3e-3, "rnn": 1e-3}
UNTIMED = 2  # first steps, in which kernels may be compiled


@dataclass(frozen=True)
class Settings:
    """What all architectures share. Tokens are counted per architecture, seed and task."""

    models: tuple[str, ...] = NAMES
    seeds: int = 1
    parameters: int = 400_000
    data: str = "python"
    block_size: int = 128
    batch_size: int = 8  # small, so that the budget is many steps
    tokens: int = 1_000_000
    recall_tokens: int = 1_500_000
    longest: int = 128
    backend: str | None = None

    def rows(self, block_size: int) -> int:
        """Rows of a step: about as many tokens whatever the task."""
        return max(1, self.batch_size * self.block_size // block_size)


def compare(settings: Settings, progress=False) -> dict[str, Any]:
    """{"settings": …, "models": {name: [result of each seed]}, "seconds", "cpu_seconds"}; progress: bars on stderr."""
    if not settings.models or len(set(settings.models)) < len(settings.models):
        raise ArgumentError(f"name each architecture once, at least one of {', '.join(NAMES)}: got {settings.models}")
    corpus = load_corpus(settings.data)
    tokenizer = CharTokenizer.train(corpus.text)
    data = tokenize_and_split(corpus.text, tokenizer, settings.block_size)
    recall = Recall(settings.longest)
    every = [
        (
            sized(name, settings.parameters, tokenizer.vocab_size, settings.block_size),
            sized(name, settings.parameters, recall.symbols, recall.block_size),
        )
        for name in settings.models
    ]  # refused now rather than after minutes
    results: dict[str, list] = {name: [] for name in settings.models}
    start, cpu_start = time.perf_counter(), time.process_time()
    for seed in range(1, settings.seeds + 1):
        for language, copier in every:
            text = on_text(settings, language, data, seed, progress)
            results[language.name].append(text | on_recall(settings, copier, recall, seed, progress))
    return {
        "settings": {**vars(settings), "models": list(settings.models)}, "models": results,
        "seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start,
    }  # fmt: skip


def on_text(settings: Settings, model: Sized, data, seed: int, progress=False) -> dict[str, Any]:
    bar = f"{model.name}, seed {seed}, text" if progress else None
    trainer, rate = trained(settings, model, data, settings.tokens, settings.block_size, seed, bar)
    batch = next(iter(data.val_batches(settings.batch_size)))
    norms = gradient_through_time(trainer.model, batch["ids"], batch["targets"])
    history = trainer.history
    return {
        "width": model.width, "parameters": model.parameters, "val_loss": trainer.evaluate(), "tokens_per_s": rate,
        "gradient": norms.tolist(), "loss": history["loss"].tolist(),
    }  # fmt: skip


def on_recall(settings: Settings, model: Sized, task: Recall, seed: int, progress=False) -> dict[str, Any]:
    bar = f"{model.name}, seed {seed}, recall" if progress else None
    trainer, _ = trained(settings, model, task, settings.recall_tokens, task.block_size, seed, bar)
    found = accuracy(trainer.model, task, np.random.default_rng(seed + 10**6))
    return {"recall_width": model.width, "recall_parameters": model.parameters, "recall": found,
            "recall_loss": trainer.history["loss"].tolist()}  # fmt: skip


def trained(
    settings: Settings, model: Sized, data, tokens: int, block_size: int, seed: int, bar: str | None = None
) -> tuple[Trainer, float]:
    """(the trainer at the end of its budget, tokens a second); bar: what stands beside a bar on stderr, None: no bar"""
    from tqdm import trange

    rows, lr = settings.rows(block_size), RATES[model.name]
    steps = max(1, tokens // (rows * block_size))
    config = TrainConfig(
        steps=steps, batch_size=rows, lr=lr, min_lr=lr / 20, warmup=min(50, steps), weight_decay=0.01,
        backend=settings.backend, seed=seed, progress=False,
    )  # fmt: skip
    trainer = Trainer(model.make(seed), data, config)
    start, timed = time.perf_counter(), 0
    for number in trange(steps, desc=bar, disable=bar is None, unit="step", file=sys.stderr):
        if number == min(UNTIMED, steps - 1):
            start = time.perf_counter()
        trainer.step()
        timed += number >= min(UNTIMED, steps - 1)
    return trainer, timed * rows * block_size / (time.perf_counter() - start)


def median(results: list[dict], what) -> float:
    return statistics.median(what(result) for result in results)


def report(found: dict[str, Any]) -> str:
    """One table: a line per architecture, medians over the seeds."""
    settings = found["settings"]
    longest, block = settings["longest"], settings["block_size"]
    ks = [k for k in (4, 16, 32, 64, 128) if k < longest] + [longest]
    gs = [k for k in (8, 32, block - 1) if k < block]
    lines = [
        f"{settings['data']}, {settings['tokens']:,} characters; recall, {settings['recall_tokens']:,} tokens; "
        f"{settings['seeds']} seed{'s' * (settings['seeds'] > 1)}, medians; {found['seconds']:.0f} s "
        f"({found['cpu_seconds']:.0f} s of CPU time)",
        f"{'':6}{'width':>6}{'parameters':>12}{'val loss':>10}{'tokens/s':>10}"
        + "".join(f"{f'grad {k}':>10}" for k in gs) + "".join(f"{f'recall {k}':>12}" for k in ks),
    ]  # fmt: skip
    for name, results in found["models"].items():
        first = results[0]
        line = f"{name:6}{first['width']:>6}{first['parameters']:>12,}{median(results, lambda r: r['val_loss']):>10.3f}"
        line += f"{median(results, lambda r: r['tokens_per_s']):>10,.0f}"
        line += "".join(f"{median(results, lambda r, k=k: r['gradient'][k] / r['gradient'][0]):>10.1e}" for k in gs)
        line += "".join(f"{median(results, lambda r, k=k: r['recall'][k]):>12.1%}" for k in ks)
        lines.append(line)
    lines.append("grad k: gradient norm k tokens back, relative to k = 0;")
    lines.append(
        f"recall k: share of k tokens that are repeated rightly, k steps later; guessing gets {1 / VALUES:.0%}."
    )
    return "\n".join(lines)


def save(found: dict[str, Any], folder) -> list[Path]:
    """Write compare.json, compare.txt and compare.png into a folder; returns their paths."""
    from ..viz import Comparison

    with FileGroup(folder) as files:
        files.json("compare.json", found)
        files.text("compare.txt", report(found) + "\n")
    folder = Path(folder)
    gradient, recall, loss = {}, {}, {}
    for name, results in found["models"].items():
        ks = list(results[0]["recall"])
        gradient[name] = np.median([np.array(r["gradient"]) / r["gradient"][0] for r in results], axis=0)
        recall[name] = ([int(k) for k in ks], np.median([[r["recall"][k] for k in ks] for r in results], axis=0))
        loss[name] = np.median([r["loss"] for r in results], axis=0)
    Comparison(loss, gradient, recall).save(folder / "compare.png")
    return [folder / name for name in ("compare.json", "compare.txt", "compare.png")]
