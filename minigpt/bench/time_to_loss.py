"""How long training the `baby` model takes until its loss over the whole validation part is at most a target.

    python -m minigpt.bench.time_to_loss SOURCE TARGET SEED THREADS        one such run, as `time_to_loss` launches it

The clock is that of the process that launches the run, from before the launch until the run says that it is done.
Python's start, imports, reading the text, training and all evaluations count. Compiling the kernels does not: a start
that is not counted fills Numba's cache first (`bench start --cold` is about that).

Only a loss over the whole validation part counts, and that takes as long as some thirty steps. So the loss of the
training batches, which costs nothing, says when to look at a sample of the validation part, and the sample's loss says
when to look at all of it. After the last step all of it is looked at in any case.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from typing import Any

from ..backend import load, use
from ..data import TokenData, load_corpus, tokenize_and_split
from ..errors import BackendError, MiniGPTError
from ..models import GPT, GPTConfig
from ..tokenizers import CharTokenizer
from ..training import TrainConfig, Trainer, evaluate
from ..training.progress import Progress
from ..training.workers import ThreadSettings
from .start import one_start

# For Tiny Shakespeare and 1.91 nats per character. Tried with the same time for each, about 40 s, one or two seeds:
# - Learning rate: 3e-3 ends 0.03 above 1e-2, 6e-3 about 0.01 above; 1.3e-2 is no better, 1.6e-2 unstable (batch 12).
# - Weight decay: 0.2 ends 0.02 to 0.03 below 0.1; 0.3 is worse by up to 0.02, 0.5 and 1.0 by much more.
# - Batch: all runs stand at 2.5 nats, what pairs of letters can tell, until attention has formed. With 24 windows that
#   takes 175 steps whatever the seed; with 16 windows 150 to 250, so that some seeds lose; with 8 windows over 300.
# - No help for that: longer warm-up, clipping at 0.25, betas (0.8, 0.99) or (0.95, 0.99), shorter windows at first.
# - Steps: from 640 to 680 the end falls by 0.02 to 0.04; 680 leave a margin, and a good seed stops before.
RECIPE: dict[str, Any] = {
    "steps": 680, "batch_size": 24, "lr": 1e-2, "min_lr": 0.0, "warmup": 50, "weight_decay": 0.2, "betas": (0.9, 0.99),
    "grad_clip": 1.0,
}  # fmt: skip

EVALUATION_BATCH = 64  # windows at once
SAMPLED = 6  # every sixth window is in the sample
LOOK_EVERY = 20  # steps, over which the training loss is averaged too


class Sample:
    """Every sixth window of the validation part: evenly spread, since one scene can be much easier than another."""

    def __init__(self, data: TokenData):
        self.data = data

    def val_batches(self, n: int, max_tokens: int | None = None):
        for batch in self.data.val_batches(n * SAMPLED, max_tokens):
            yield {name: array[::SAMPLED] for name, array in batch.items()}  # (n, T)


class Evaluations:
    """Validation losses of a trainer's model in nats per token; `seconds` adds up what they took."""

    def __init__(self, trainer: Trainer):
        self.trainer, self.seconds = trainer, 0.0

    def loss(self, data: TokenData | Sample) -> float:
        start, trainer = time.perf_counter(), self.trainer
        with use(trainer.row), ThreadSettings():
            loss = evaluate(trainer.model, data, EVALUATION_BATCH, loss_sum=trainer.workers.loss_sum)
        self.seconds += time.perf_counter() - start
        return loss


def train_to(trainer: Trainer, target: float) -> dict[str, Any]:
    """Train until the loss over the whole validation part is at most `target`, or all steps are done.

    Returns "loss" (the last one over the whole part, nats per token), "steps", "evaluation" (seconds).
    """
    validation = Evaluations(trainer)
    whole, offset = math.inf, 0.0  # offset: what the loss over the whole part was above that over the sample
    losses: list[float] = []  # of the steps since the last look that was due
    with Progress(trainer) as progress:
        while whole > target and trainer.step_number < trainer.config.steps:
            losses.append(trainer.step())
            progress.stepped(losses[-1], trainer.step_number)
            last = trainer.step_number == trainer.config.steps
            due = trainer.step_number % LOOK_EVERY == 0
            if last or (due and sum(losses) / len(losses) <= target):
                sample = validation.loss(Sample(trainer.data))
                expected = sample + offset
                if last or expected <= target:
                    whole = expected = validation.loss(trainer.data)
                    offset = whole - sample
                progress.evaluated(expected)
            if due:
                losses.clear()
    return {"loss": whole, "steps": trainer.step_number, "evaluation": validation.seconds}


def run(source: str, target: float, seed: int, threads: int, recipe: dict[str, Any] = RECIPE) -> dict[str, Any]:
    """All of it, in this process: read the text, make the model, train; see `train_to`."""
    text = load_corpus(source).text
    tokenizer = CharTokenizer.train(text)
    model = GPT(GPTConfig.named("baby", tokenizer.vocab_size), seed=seed)
    data = tokenize_and_split(text, tokenizer, model.config.block_size)
    trainer = Trainer(model, data, TrainConfig(**recipe, backend="cpu", workers=threads, seed=seed))
    return train_to(trainer, target)


def command(source: str, target: float, seed: int, threads: int) -> list[str]:
    """What launches one run."""
    return [sys.executable, "-m", "minigpt.bench.time_to_loss", source, repr(target), str(seed), str(threads)]


def time_to_loss(source: str, target: float, seed: int = 1, threads: int = 2) -> dict[str, Any]:
    """Launch a fresh process that trains; returns `train_to`'s dict and "seconds" since before the launch.

    Raises DataError for a corpus that is not there, BackendError without Numba or if the process fails.
    """
    load("cpu")  # raises here what could not be raised across processes
    load_corpus(source)
    one_start(None, threads)  # kernels into the cache
    start = time.perf_counter()
    with subprocess.Popen(command(source, target, seed, threads), stdout=subprocess.PIPE, text=True) as child:
        line = child.stdout.readline() if child.stdout else ""
        seconds = time.perf_counter() - start
    if child.returncode == 130:
        raise KeyboardInterrupt
    if child.returncode != 0:
        raise BackendError(f"the timed run ended with code {child.returncode}; see above")
    return {"seconds": seconds, **json.loads(line)}


def report(target: float, result: dict[str, Any]) -> str:
    """One line of text."""
    reached = "reached" if result["loss"] <= target else "did not reach"
    return (
        f"baby {reached} {target:g}: {result['loss']:.4f} nats/char on the whole validation part after "
        f"{result['steps']} steps, {result['seconds']:.1f} s from process start, "
        f"{result['evaluation']:.1f} s of them for evaluations"
    )


def main(argv: list[str]) -> int:
    source, target, seed, threads = argv
    try:
        print(json.dumps(run(source, float(target), int(seed), int(threads))), flush=True)
    except MiniGPTError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
