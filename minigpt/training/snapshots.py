"""Looking at a run on its way: what a trainer asks of a recorder, and the checkpoints of earlier steps to go back to.

runs/x/recording/recording.json               what is recorded (`minigpt/inspect/recorder.py` writes it)
runs/x/recording/step_00000128.safetensors    what was seen after 128 steps
runs/x/recording/weights_00000128/            a checkpoint of that step, if the run records its weights
runs/x/recording/data.safetensors             the token ids of all of these checkpoints
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from ..errors import CheckpointError

RECORDING = "recording"  # folder inside the run's own
SETTINGS = "recording.json"
COMPLETE = "trainer.json"  # what a checkpoint gets last


class Watcher(Protocol):
    """Somebody who looks at a trainer at some of its steps; `minigpt.inspect.Recorder` is one.

    due(trainer)     whether it wants to look now; asked before the first step and after each. May raise, the first time
    record(trainer)  looks, between two steps; must leave model, optimizer and random numbers as they are
    """

    def due(self, trainer: Any) -> bool: ...

    def record(self, trainer: Any) -> None: ...


def recording_folder(folder) -> Path:
    """The recording in the folder of a run; a recording's own folder is one too."""
    folder = Path(folder)
    return folder if (folder / SETTINGS).exists() else folder / RECORDING


def snapshot_folder(recording, step: int) -> Path:
    return Path(recording) / f"weights_{step:08d}"


def snapshots(recording) -> dict[int, Path]:
    """Step -> checkpoint, of all that are complete, by step."""
    found = (path for path in Path(recording).glob("weights_*") if (path / COMPLETE).exists())
    return {int(path.name.removeprefix("weights_")): path for path in sorted(found)}


def snapshot_at(folder, step: int) -> Path:
    """The checkpoint of that step. Raises CheckpointError, naming the steps nearest to it that have one."""
    known = snapshots(recording_folder(folder))
    if step in known:
        return known[step]
    if not known:
        raise CheckpointError(
            f"{folder} has no weights of earlier steps to go back to: record them while training "
            "(Recorder(..., weights=True), on the command line --record-weights)"
        )
    near = sorted(sorted(known, key=lambda k: abs(k - step))[:4])
    raise CheckpointError(
        f"{folder} has no weights of step {step}; the nearest steps that have: {', '.join(map(str, near))}"
    )
