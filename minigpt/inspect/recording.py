"""The time machine, looked at: what `minigpt/inspect/recorder.py` has written, as arrays over training steps.

    rec = Recording.load("runs/cat")
    rec.steps, rec.loss, rec.prompts                     # what there is
    rec["h.0.attn.weights"]                              # (S, H, T, T), of the first prompt
    rec.at(128)["h.0.attn.weights"]                      # (H, T, T)
    mg.viz.HeadTraining.of(rec, layer=0, head=1)         # a picture with a slider

A file for each step holds `prompt/name` -> float16 array, the losses since the file before, and a checksum of each
parameter. It can be read while the run goes on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ArgumentError, CheckpointError
from ..files import read_json, read_tensor
from ..training.snapshots import SETTINGS, recording_folder, snapshots
from .capture import Activations
from .points import nearest

LOSS, CHECKSUMS = "loss", "parameter_checksums"


def step_file(step: int) -> str:
    return f"step_{step:08d}.safetensors"


def recorded_steps(folder) -> list[int]:
    """By step. Files that were still being written when the run ended have other names."""
    return sorted(int(path.stem.removeprefix("step_")) for path in Path(folder).glob("step_*.safetensors"))


def losses_of(folder, steps) -> np.ndarray:
    """Of each training step up to the last that is recorded, nats per token."""
    return np.concatenate([np.empty(0), *(read_tensor(Path(folder) / step_file(step), LOSS) for step in steps)])


class Recording:
    """What prompts made a model compute at S steps of its training.

    steps       (S,) int64: after how many steps
    loss        {"steps": (n,), "losses": (n,)} of every training step up to the last of these, nats per token
    prompts     texts; names: of the activations; tokens(prompt): T strings
    snapshots   the steps that Trainer.resume(folder, step=…) can go back to
    rec[name]   (S, …) float32 with the precision of float16, 0.05 % of each number: as `capture` gives it, steps in
                place of the batch axis. rec[name, prompt] for others than the first prompt: by number, or by text
    """

    def __init__(self, folder: Path, settings: dict):
        self.folder, self._settings = folder, settings
        steps = recorded_steps(folder)
        self.steps = np.array(steps, np.int64)
        losses = losses_of(folder, steps)
        self.loss = {"steps": np.arange(1, len(losses) + 1), "losses": losses}
        self.prompts = [shown(prompt) for prompt in settings["prompts"]]
        self.snapshots = list(snapshots(folder))

    @classmethod
    def load(cls, folder) -> Recording:
        """The recording in the folder of a run, or in its own. Raises CheckpointError if there is none, or damaged."""
        folder = recording_folder(folder)
        settings = read_json(folder / SETTINGS)
        try:
            return cls(folder, settings)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{folder} holds no complete recording: {error!r}") from None

    @property
    def names(self) -> list[str]:
        """Of what is recorded, in the order of computation."""
        return self._settings["recorded"]

    def tokens(self, prompt=0) -> list[str]:
        """What the model read: T strings. Of a model with several inputs, those of the last."""
        return self._settings["prompts"][self._number(prompt)]["tokens"][-1]

    def __getitem__(self, key) -> np.ndarray:
        name, prompt = key if isinstance(key, tuple) else (key, 0)
        self._refuse_unknown(name)
        if not len(self.steps):
            raise ArgumentError(f"{self.folder} has not recorded any step yet")
        return np.stack([self._read(step, name, self._number(prompt)) for step in self.steps])  # (S, …)

    def at(self, step: int, prompt=0) -> Activations:
        """Name -> array of one step. Raises ArgumentError for a step that was not recorded, naming the nearest."""
        if step not in self.steps:
            near = sorted(sorted(self.steps.tolist(), key=lambda k: abs(k - step))[:4])
            raise ArgumentError(f"step {step} was not recorded; the nearest: {', '.join(map(str, near))}")
        number = self._number(prompt)
        return Activations({name: self._read(step, name, number) for name in self.names})

    def _read(self, step, name, number):
        return read_tensor(self.folder / step_file(int(step)), f"{number}/{name}").astype(np.float32)

    def _refuse_unknown(self, name):
        if name not in self.names:
            raise ArgumentError(f"no activation {name!r} was recorded; {nearest(str(name), self.names)}")

    def _number(self, prompt) -> int:
        """Of a prompt, given by number or text."""
        if isinstance(prompt, str) and prompt in self.prompts:
            return self.prompts.index(prompt)
        if isinstance(prompt, int | np.integer) and 0 <= prompt < len(self.prompts):
            return int(prompt)
        known = ", ".join(f"{k}: {text!r}" for k, text in enumerate(self.prompts))
        raise ArgumentError(f"there is no prompt {prompt!r}; there are {known}")

    def __repr__(self):
        span = f", {self.steps[0]} to {self.steps[-1]}" if len(self.steps) else ""
        back = f", {len(self.snapshots)} to go back to" if self.snapshots else ""
        return f"Recording({len(self.prompts)} prompts, {len(self.names)} names, {len(self.steps)} steps{span}{back})"


def shown(prompt: dict) -> str:
    """The text of a prompt; its tokens, where ids were given."""
    return prompt["text"] if prompt["text"] is not None else " ".join(prompt["tokens"][-1])
