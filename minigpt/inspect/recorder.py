"""The time machine, while a run goes on: what chosen prompts make the model compute, written down at chosen steps.

    recorder = Recorder(["the cat sat"], weights=True)
    Trainer(model, data, TrainConfig(steps=2000, out="runs/cat"), recorder).fit()
    rec = Recording.load("runs/cat")                 # inspect/recording.py
    Trainer.resume("runs/cat", step=128)             # back to an earlier step, if weights are recorded

Each step has a file of its own, which appears whole or not at all, so that a recording can be read whenever, and
however, the run ended. Recording changes no bit of the training: it happens between two steps, in evaluation mode.
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import use
from ..errors import ConfigError, MiniGPTError
from ..files import FileGroup, read_json, read_tensor
from ..training import checkpoint
from ..training.snapshots import RECORDING, SETTINGS, recording_folder, snapshot_folder, snapshots
from .capture import capture
from .points import matches, refuse_unmatched
from .recorder_prompts import Prompt, encoded, naming, prompt_list, tokens_of
from .recording import CHECKSUMS, LOSS, losses_of, recorded_steps, step_file

ATTENTION = ("*.weights",)  # the weights of every attention
LIMIT = 200_000_000  # bytes
EVENLY = 20  # so many evenly spaced steps, besides those that double


def default_steps(total: int, every: int | None = None) -> list[int]:
    """0, 1, 2, 4, 8 … and every `every` (a twentieth of the run) up to `total`: early on a model changes fastest."""
    every = max(1, total // EVENLY) if every is None else every
    doubling = [2**k for k in range(total.bit_length()) if 2**k < every]
    return sorted({0, *doubling, *range(every, total + 1, every), total})


class Recorder:
    """Records a run that is given it: Trainer(model, data, config, recorder).

    prompts: a text, ids (T,), or a list of them. For models with several inputs, tuples of these
    names:   of activations, as in `capture`, with wildcards; unless given, all attention weights
    steps:   after how many steps; unless given, 0, 1, 2, 4, 8 … and every `every`, a twentieth of the run
    weights: also keep a checkpoint of each of these steps, three times the size of the weights, to go on from
    folder:  None: `recording` in the run's own
    limit:   bytes that it may take, checkpoints included
    Numbers are kept as float16: to 0.05 % of each, attention weights below 6e-8 as 0, activations up to 65504.
    A run that goes on after an interruption goes on with its recording: give it Recorder.of(folder).
    Attributes from the first step on: `steps`; `bytes`, what the recording will take without checkpoints, exactly;
    `weight_bytes`, about what the checkpoints will take.
    Raises, before the first step: ArgumentError for names that the model does not have; ShapeError or TokenizerError
    for prompts that it cannot read; ConfigError for a folder of another run, and where more than `limit` is needed
    """

    def __init__(
        self, prompts, names=ATTENTION, steps=None, every: int | None = None, weights=False, folder=None, limit=LIMIT
    ):
        self._prompts = prompt_list(prompts)
        self._names = [names] if isinstance(names, str) else list(names)
        self._wanted = None if steps is None else sorted({_checked(step, 0) for step in steps})
        if not self._prompts or not self._names or self._wanted == []:
            raise ConfigError("a recorder needs at least one prompt, one name and one step")
        if every is not None and steps is not None:
            raise ConfigError("give a recorder steps=, or every=, not both")
        self._every = None if every is None else _checked(every, 1)
        self.weights, self.limit = bool(weights), limit
        self.folder: Any = None if folder is None else Path(folder)  # a Path from the first step on
        self.steps: list[int] = []
        self.bytes = self.weight_bytes = 0
        self._trainer = None
        self._done: list[int] = []
        self._count = 0  # done and to come

    @classmethod
    def of(cls, folder, into=None, limit=None) -> Recorder:
        """The recorder of the recording in the folder of a run, to go on with it, or to record `into` another folder.

        Raises CheckpointError if there is none.
        """
        folder = recording_folder(folder)
        known = read_json(folder / SETTINGS)
        prompts = [Prompt(p["text"], tuple(p["ids"])) for p in known["prompts"]]
        limit = known["limit"] if limit is None else limit
        return cls(prompts, known["names"], known["steps"], None, known["weights"], into or folder, limit)

    # --- what a trainer asks for (training/snapshots.py) ----------------------------------------------------------

    def due(self, trainer) -> bool:
        """Whether this step is to be recorded and is not yet. The first time, everything is checked and made ready."""
        if self._trainer is not trainer:
            self._begin(trainer)
            self._trainer = trainer
        return trainer.step_number in self.steps and trainer.step_number not in self._done

    def record(self, trainer) -> None:
        """Write what the model computes now, the losses since the last time, and the checkpoint."""
        step, since = trainer.step_number, self._done[-1] if self._done else 0
        arrays = {key: _halved(key, array) for key, array in self._look(trainer, self._names).items()}
        arrays[LOSS] = trainer.history["loss"][since:step]
        arrays[CHECKSUMS] = checkpoint.fingerprints(trainer.model)
        if self.weights:  # first, so that one can go back to whatever is shown
            checkpoint.save(trainer, snapshot_folder(self.folder, step), data_folder=self.folder)
        with FileGroup(self.folder) as files:
            files.tensors(step_file(step), arrays)
        self._done.append(step)

    def _look(self, trainer, names) -> dict[str, np.ndarray]:
        """prompt/name -> activation without its batch axis, for all prompts."""
        found: dict[str, np.ndarray] = {}
        with use(trainer.row), trainer.model.evaluating():
            for k, prompt in enumerate(self._prompts):
                try:
                    with capture(trainer.model, names, copy=True) as acts:
                        trainer.model(*(np.array([ids], np.int64) for ids in prompt.inputs))  # (1, T) each
                except MiniGPTError as error:
                    raise naming(k, prompt, error) from None
                found |= {f"{k}/{name}": array[0] if array.ndim > 2 else array for name, array in acts.items()}
        return found

    # --- before the first step --------------------------------------------------------------------------------------

    def _begin(self, trainer) -> None:
        if self.folder is None:
            if not trainer.config.out:
                raise ConfigError("a recorder needs a folder: Recorder(..., folder=...), or TrainConfig(out=...)")
            self.folder = Path(trainer.config.out) / RECORDING
        total = trainer.config.steps
        self.steps = default_steps(total, self._every) if self._wanted is None else self._wanted
        if self.steps[-1] > total:
            raise ConfigError(f"step {self.steps[-1]} cannot be recorded: the run ends after step {total}")
        self._prompts = [encoded(prompt, trainer.model) for prompt in self._prompts]
        everything = {key: (key.split("/", 1)[1], array) for key, array in self._look(trainer, None).items()}
        refuse_unmatched(self._names, list(dict.fromkeys(name for name, _ in everything.values())))
        arrays = {
            key: _halved(key, array)
            for key, (name, array) in everything.items()
            if any(matches(name, pattern) for pattern in self._names)
        }
        settings = self._settings(trainer.model, arrays)
        stale = self._steps_to_drop(trainer, settings)
        self._done = [step for step in recorded_steps(self.folder) if step not in stale]
        self._count = len(self._done) + len(self._to_come(trainer))
        content = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        self.bytes = len(content.encode("utf-8")) + self._file_bytes(trainer, arrays)
        self.weight_bytes = self._checkpoint_bytes(trainer) if self.weights else 0
        if self.bytes + self.weight_bytes > self.limit:
            raise ConfigError(
                f"{self.describe()}; that is more than the limit of {self.limit / 1e6:.0f} MB: record fewer steps or "
                "names, leave the weights out, or raise the limit"
            )
        for step in stale:
            (self.folder / step_file(step)).unlink()
        for step, path in snapshots(self.folder).items():
            if step > trainer.step_number:
                shutil.rmtree(path)
        with FileGroup(self.folder) as files:
            files.text(SETTINGS, content)
        if trainer.config.progress:
            print(self.describe(), file=sys.stderr)

    def describe(self) -> str:
        """What will be written, in a line."""
        prompts = f"{len(self._prompts)} prompt{'s' if len(self._prompts) > 1 else ''}"
        text = f"recording {prompts} at {self._count} steps into {self.folder}: {self.bytes / 1e6:.2f} MB"
        return text + (f", and about {self.weight_bytes / 1e6:.1f} MB of checkpoints" if self.weights else "")

    def _settings(self, model, arrays) -> dict:
        """What recording.json holds."""
        prompts = [
            {"text": p.text, "ids": list(p.inputs), "tokens": [tokens_of(ids, model) for ids in p.inputs]}
            for p in self._prompts
        ]
        recorded = [key.removeprefix("0/") for key in arrays if key.startswith("0/")]
        return {"prompts": prompts, "names": self._names, "recorded": recorded, "steps": self.steps,
                "weights": self.weights, "limit": self.limit}  # fmt: skip

    def _steps_to_drop(self, trainer, settings) -> list[int]:
        """Recorded steps that the trainer, going on from an earlier one, will come to again.

        Raises ConfigError if the folder holds a recording of another run, which shows in its losses and parameters.
        """
        folder, now, steps = self.folder, trainer.step_number, recorded_steps(self.folder)
        if not steps:
            return []
        known = read_json(folder / SETTINGS)
        if [p["ids"] for p in known["prompts"]] != [p["ids"] for p in settings["prompts"]] or any(
            known[key] != settings[key] for key in ("names", "recorded", "weights")
        ):
            raise ConfigError(
                f"{folder} holds a recording of other prompts or names: go on with these (Recorder.of), or choose "
                "another folder"
            )
        losses = losses_of(folder, steps)[:now]
        same = (now > 0 or steps == [0]) and np.array_equal(losses, trainer.history["loss"][: len(losses)])
        if same and now in steps:
            seen = read_tensor(folder / step_file(now), CHECKSUMS)
            same = np.array_equal(seen, checkpoint.fingerprints(trainer.model))
        if not same:
            raise ConfigError(
                f"{folder} holds the recording of another run, steps {steps[0]} to {steps[-1]}: choose another folder, "
                "or delete that one"
            )
        return [step for step in steps if step > now]

    def _to_come(self, trainer) -> list[int]:
        return [step for step in self.steps if step >= trainer.step_number and step not in self._done]

    def _file_bytes(self, trainer, arrays) -> int:
        """Of all step files: those that are there, and those to come."""
        from safetensors.numpy import save

        total = sum((self.folder / step_file(step)).stat().st_size for step in self._done)
        to_come = self._to_come(trainer)
        raw = sum(array.nbytes for array in arrays.values())
        if total + raw * len(to_come) > self.limit:
            return total + raw * len(to_come)  # near enough to refuse
        checksums = checkpoint.fingerprints(trainer.model)
        before = self._done[-1] if self._done else 0
        for step in to_come:
            content = {**arrays, LOSS: np.zeros(step - before), CHECKSUMS: checksums}
            total, before = total + len(save(content, metadata={"format": "pt"})), step
        return total

    def _checkpoint_bytes(self, trainer) -> int:
        """About: parameters, their two moments, with early stopping the best so far, the losses, the token ids."""
        learning = sum(p.data.nbytes for p in trainer.model.parameters() if p.requires_grad)
        every = sum(p.data.nbytes for p in trainer.model.parameters())
        steps = [*self._done, *self._to_come(trainer)]
        moments = (3 if trainer.stopping else 2) * learning
        total = sum(every + 16 * step + (moments if step else 0) for step in steps)  # 16: a loss, a learning rate
        return total + checkpoint.data_bytes(trainer.data)


def _checked(step, least: int) -> int:
    if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < least:
        raise ConfigError(f"steps to record are integers from {least} up, got {step!r}")
    return int(step)


def _halved(key: str, array: np.ndarray) -> np.ndarray:
    """As float16."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if np.isinf(half).any() and not np.isinf(array).any():
        warnings.warn(f"{key}: float16 ends at 65504, numbers beyond are recorded as Inf", stacklevel=2)
    return half
