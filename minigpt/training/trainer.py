"""Trainer: batches in, gradients, one AdamW step, again; with evaluation, checkpoints and a progress bar.

One step, which is all of training:

    for each round of accumulation:
        loss_sum, count = model.loss_sum(**data.batch(rng, batch_size))
        loss_sum.backward()                        gradients add up in .grad
    gradients / total count                        mean over all tokens of the step
    clip to a global norm;  AdamW at the learning rate of the schedule

A graphics card works through what it is told while Python goes on. So within a step nobody asks for a number: loss and
norm stay where they were computed, and `_wait` fetches those of all steps since the last time.
"""

from __future__ import annotations

import math
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..backend import best_row, row_of, use
from ..errors import ArgumentError, ConfigError, NumericsError
from ..optim import AdamW, cosine_warmup, noam
from ..optim.clipping import check_norm
from ..randomness import as_generator
from . import checkpoint, freezing, lora
from .config import TrainConfig
from .early_stopping import EarlyStopping
from .evaluate import evaluate
from .interrupt import StopRequest
from .memory import peak_bytes
from .progress import Progress
from .snapshots import Watcher
from .workers import ThreadSettings, Workers, usable_cores


class Ordered(NamedTuple):
    """A step whose loss has not been looked at yet."""

    losses: list[list]  # sums of losses, as arrays: for each round of accumulation those of its shards
    norm: Any  # of the gradients
    tokens: int  # that count
    lr: float
    moves: list  # of the optimizer


class Trainer:
    """Trains `model` on `data` as `config` says.

    model:   has parameters() and loss_sum(**batch) -> (Tensor, count)
    data:    has batch(rng, n) -> dict of arrays; with `with_block_size`, it is bound to the model's block size; with
             `val_batches` and a validation part, it is evaluated
    recorder: looks at chosen steps, such as minigpt.inspect.Recorder; None: nobody does
    history: arrays so far: "loss" (steps,), "lr" (steps,), "val_step" and "val_loss" (evaluations,); nats per token
    Raises:  ConfigError, ArgumentError, DataError
    """

    def __init__(self, model, data, config: TrainConfig | None = None, recorder: Watcher | None = None):
        self.config = config or TrainConfig()
        on_device = next((row_of(p.data) for p in model.parameters()), None)
        self.row = self.config.backend or (on_device.name if on_device else best_row())
        block_size = getattr(getattr(model, "config", None), "block_size", None)
        if hasattr(data, "with_block_size") and block_size is not None:
            data = data.with_block_size(block_size)
        if hasattr(data, "check") and hasattr(model, "config"):
            data.check(model.config.vocab_size)
        self.model, self.data, self.recorder = model, data, recorder
        self.rng = as_generator(self.config.seed)
        if self.config.unfreeze_every and lora.lora_layers(model):
            raise ConfigError("unfreeze_every is for models without adapters: with LoRA all layers stay frozen")
        self._layers = len(freezing.layers(model)) if self.config.unfreeze_every else 0
        self.stopping: EarlyStopping | None = None
        if self.config.patience is not None:
            if not getattr(data, "has_val", False):
                raise ConfigError("patience needs data with a validation part, whose loss tells when to stop")
            self.stopping = EarlyStopping(model, self.config.patience)
        with use(self.row) as row:
            if not all(row.is_array(p.data) for p in model.parameters()):
                model.to(self.row)
            cores = 1 if self.row == "cuda" else usable_cores()  # a card is kept busy by one thread
            self.workers = Workers(model, min(self.config.workers or cores, self.config.batch_size))
            self.optimizer = AdamW(
                decay_groups(model, self.config.weight_decay), self.config.lr, self.config.betas, weight_decay=0.0
            )
        self._threads = ThreadSettings()
        out = self.config.out
        if out is not None and Path(out).exists() and not Path(out).is_dir():
            raise ConfigError(f"out={out!r} is a file; checkpoints need a folder")
        self.step_number = 0  # steps done
        self.data_saved_in: set[Path] = set()  # folders that hold this trainer's data already
        self.interrupted = False
        self.command = "train"  # of minigpt, which goes on with a run that was stopped
        self._ordered: list[Ordered] = []
        self._scale: Any = 1.0  # of the last step ordered; see clip_scale
        self._loss: list[float] = []
        self._lr: list[float] = []
        self._val: list[tuple[int, float]] = []

    @property
    def history(self) -> dict[str, np.ndarray]:
        self._wait()
        return {
            "loss": np.array(self._loss),
            "lr": np.array(self._lr),
            "val_step": np.array([step for step, _ in self._val], np.int64),
            "val_loss": np.array([loss for _, loss in self._val]),
        }

    def step(self) -> float:
        """One whole optimizer step; returns its mean training loss in nats per token, for which it waits at the end.

        Raises NumericsError if loss or gradients are NaN or Inf; parameters are then still those before the step.
        """
        self._record()
        self._order_step()
        self._wait()
        self._record()
        return self._loss[-1]

    def _order_step(self):
        """A step without waiting for it: on a card, it may not even have begun when this returns.

        If its loss or norm is NaN or Inf, its scale is 0 and nothing moves, nor in the steps after it, until `_wait`
        finds out.
        """
        config = self.config
        if not self.model.training:
            self.model.train()
        self.workers.zero_grad()
        if config.unfreeze_every:
            freezing.train_last(self.model, freezing.unfrozen_at(self.step_number, config.unfreeze_every, self._layers))
        losses, count = [], 0
        with use(self.row) as row, self._threads:
            for round_ in range(config.accumulate):
                batch = self.data.batch(self.rng, config.batch_size)
                first_example = round_ * config.batch_size
                sums, n = self.workers.backward(batch, config.seed, self.step_number, first_example)
                losses.append(sums)
                count += n
            if count == 0:
                raise ArgumentError(f"step {self.step_number + 1}: no target of the batch counts (all are ignored)")
            self._scale, norm = row.clip_scale(
                self.workers.squares(), list(chain(*losses)), 1.0 / count, config.grad_clip or math.inf, self._scale
            )
            lr = self.optimizer.lr = learning_rate(config, self.step_number)
            moves = self.optimizer.moves()
            self.workers.step(self.optimizer, moves, self._scale)
        self._ordered.append(Ordered(losses, norm, count, lr, moves))
        self.step_number += 1

    def _wait(self):
        """Fetch loss and norm of the steps that were ordered, in one copy, and note them in the history.

        Raises NumericsError at the first step whose loss or norm is NaN or Inf, and takes it and those after it back.
        """
        ordered, self._ordered, self._scale = self._ordered, [], 1.0
        with use(self.row) as row:
            numbers = iter(row.fetch([x for step in ordered for x in (*chain(*step.losses), step.norm)]))
        for n, (losses, _, tokens, lr, _) in enumerate(ordered):
            loss = sum(sum(next(numbers) for _ in shards) for shards in losses) / tokens
            norm = next(numbers)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                for step in ordered[n:]:
                    self.optimizer.undo(step.moves)
                self.step_number -= len(ordered) - n
                if not math.isfinite(loss):
                    raise NumericsError(
                        f"step {self.step_number + 1}: the loss is {loss}; a lower learning rate usually helps"
                    )
                check_norm(norm)
            self._loss.append(loss)
            self._lr.append(lr)

    def _recording_due(self) -> bool:
        return self.recorder is not None and self.recorder.due(self)

    def _record(self):
        """Let the recorder look, if it wants to see this step."""
        if self.recorder is not None and self.recorder.due(self):
            self._wait()
            self.recorder.record(self)

    def evaluate(self) -> float:
        """Validation loss in nats per token, over `eval_tokens` of it or all; noted in the history."""
        config = self.config
        with use(self.row), self._threads:
            loss = evaluate(
                self.model, self.data, config.batch_size, config.eval_tokens, loss_sum=self.workers.loss_sum
            )  # fmt: skip
        self._val.append((self.step_number, loss))
        return loss

    def fit(self) -> dict[str, np.ndarray]:
        """Train up to config.steps, evaluating and saving at the intervals set; returns the history.

        Ctrl-C finishes the step, saves if there is a folder, sets `interrupted`, and returns; a second one stops at
        once. A full disk while saving raises CheckpointError and leaves the checkpoint from before.

        It waits for the card only when a loss is to be shown, or for an evaluation or a checkpoint; so a NumericsError
        may come some steps late. Parameters, optimizer and step_number are then those before the step that failed.
        """
        config = self.config
        can_evaluate = getattr(self.data, "has_val", False)
        stopping = self.stopping
        self.interrupted = False
        self._record()  # before the first step
        with Progress(self) as progress, StopRequest() as stop:
            while self.step_number < config.steps and not stop.requested and not self.stopped:
                self._order_step()
                evaluates = can_evaluate and _due(self.step_number, config.eval_interval, config.steps)
                saves = bool(config.out) and _due(self.step_number, config.save_interval, config.steps)
                records = self._recording_due()
                if (
                    evaluates
                    or saves
                    or records
                    or progress.due()
                    or stop.requested
                    or self.step_number == config.steps
                ):
                    self._wait()
                    progress.stepped(self._loss[-1], self.step_number)
                if evaluates:
                    loss = self.evaluate()
                    progress.evaluated(loss)
                    if stopping:
                        stopping.seen(self.model, self.step_number, loss)
                        if stopping.exhausted or self.step_number == config.steps:
                            stopping.restore(self.model)
                            progress.restored(stopping)
                            saves = bool(config.out)
                if records:
                    self._record()
                if saves:
                    self.save()
                if evaluates or saves or records:
                    progress.restart()
            self.interrupted = stop.requested and self.step_number < config.steps and not self.stopped
            if self.interrupted:
                if config.out:
                    self.save()
                progress.interrupted()
        return self.history

    @property
    def stopped(self) -> bool:
        """Whether training ended before its last step because the validation loss had stopped falling."""
        return self.stopping is not None and self.stopping.exhausted

    def memory(self) -> dict[str, int]:
        """Bytes so far: "peak", the most that the whole process has had in RAM at once (0 if the system does not tell),
        and "held", what the workers keep for activations and gradients (0 on rows that do not use memory again)."""
        return {"peak": peak_bytes(), "held": self.workers.held_bytes()}

    def save(self, folder=None) -> None:
        """Write a checkpoint, from which Trainer.resume goes on bit for bit, into `folder` or config.out."""
        checkpoint.save(self, folder or self.config.out)

    @classmethod
    def resume(cls, folder, data=None, model=None, step=None, out=None, recorder=None) -> Trainer:
        """The trainer that was saved into `folder`, ready to go on. data: needed only if it was not saved along.

        model: needed only if it is more than a GPT that learns as a whole: made ready as before (frozen layers, new
        adapters, another head), it gets the numbers that were saved.
        step: go back to this one, of a run that recorded its weights. The run itself stays as it is: what follows is
        written into `out`, or nowhere. Without `step`, it is written into `folder` unless `out` says otherwise.
        Raises CheckpointError if the folder is no training checkpoint, or damaged.
        """
        return checkpoint.resume(cls, folder, data, model, step, out, recorder)


def decay_groups(model, weight_decay: float) -> list[dict]:
    """Two parameter groups: matrices and embeddings with weight decay; biases, norm scales and shifts without."""
    params = [p for p in model.parameters() if p.requires_grad]  # the others are frozen
    groups = [
        {"params": [p for p in params if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def learning_rate(config: TrainConfig, step: int) -> float:
    """Of the step, counted from 0, by the schedule of the config.

    noam has its highest rate, lr, at step `warmup`; lr = (d_model * warmup)^-0.5 is the one of Vaswani et al. 2017.
    """
    if config.schedule == "noam":
        return config.lr * config.warmup**0.5 * noam(step + 1, config.warmup, 1)
    return cosine_warmup(step, config.warmup, config.steps, config.lr, config.min_lr)


def _due(step: int, interval: int, last: int) -> bool:
    return step == last or (interval > 0 and step % interval == 0)
