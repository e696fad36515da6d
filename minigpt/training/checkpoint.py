"""Training checkpoints: a model folder plus all that is needed to go on as if nothing had happened.

    config.json, model.safetensors, tokenizer files     the model, for everyone
    trainer.json           settings, steps done, state of the random generator (which fixes the next batches)
    trainer.safetensors    optimizer moments, history; with early stopping the best weights so far
    adapter_*              adapters, if it has any (`lora.py`); model.safetensors then has them merged
    data.safetensors       the token ids, written once (not for memory maps: they are passed again)

All files that change are first written beside their final names and then moved there together, so that a full disk
or a crash while writing leaves the checkpoint from before whole.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np

from ..backend import use
from ..data import TokenData
from ..errors import CheckpointError
from ..files import FileGroup, read_json, read_tensors
from ..models.loading import add_files, load_model
from . import lora
from .config import TrainConfig
from .snapshots import snapshot_at

SETTINGS, STATE, DATA = "trainer.json", "trainer.safetensors", "data.safetensors"


def save(trainer, folder, data_folder=None) -> None:
    """Write everything. Raises CheckpointError if that fails; the folder is then as before.

    data_folder:  where the token ids lie, or are put, if not in `folder` itself: several checkpoints may share them
    """
    if folder is None:
        raise CheckpointError("save() needs a folder: pass one, or set TrainConfig(out=...)")
    folder = Path(folder)
    home = folder if data_folder is None else Path(data_folder)
    note = _data_note(trainer.data)
    writes_data = note is not None and home.resolve() not in trainer.data_saved_in
    model = trainer.model
    with use(trainer.row):
        arrays = {f"optimizer.{name}": a for name, a in trainer.optimizer.state_dict().items()}
    arrays |= {f"history.{name}": a for name, a in trainer.history.items()}
    arrays["parameter_checksums"] = fingerprints(model)
    if trainer.stopping:
        arrays |= trainer.stopping.arrays()
    settings = {
        "config": trainer.config.to_dict(),
        "step": trainer.step_number,
        "rng": trainer.rng.bit_generator.state,
        "data": note and Path(os.path.relpath(home / note, folder)).as_posix(),
    }
    if writes_data and home != folder:
        with FileGroup(home) as files:
            files.tensors(DATA, _compact(trainer.data))
    with FileGroup(folder) as files:
        if writes_data and home == folder:
            files.tensors(DATA, _compact(trainer.data))
        add_files(files, model)
        lora.add_adapter_files(files, model)
        files.tensors(STATE, arrays)
        files.json(SETTINGS, settings)
    trainer.data_saved_in.add(home.resolve())


def fingerprints(model) -> np.ndarray:
    """A checksum of every parameter, by which resume knows that model.safetensors is of the same step."""
    return np.array([zlib.crc32(np.ascontiguousarray(p.numpy()).data) for p in model.parameters()], np.int64)


def resume(cls, folder, data=None, model=None, step=None, out=None, recorder=None):
    """A trainer with model, optimizer, data position and history as saved. See Trainer.resume."""
    folder = Path(folder) if step is None else snapshot_at(folder, step)
    out = str(folder) if out is None and step is None else out
    settings = read_json(folder / SETTINGS)
    state = read_tensors(folder / STATE)
    if model is None and (folder / lora.CONFIG).exists():
        raise CheckpointError(
            f"{folder} holds adapters: pass model=, their base with adapters that are not trained yet"
        )
    model = load_model(folder) if model is None else _filled(model, folder)
    try:
        config = TrainConfig.from_dict({**settings["config"], "out": out})
        loaded = data if data is not None else _load_data(folder, settings["data"])
        trainer = cls(model, loaded, config, recorder)
        if data is None:
            trainer.data_saved_in.add(folder.resolve())
        trainer.rng.bit_generator.state = settings["rng"]
        trainer.step_number = int(settings["step"])
        trainer._loss = state["history.loss"].tolist()
        trainer._lr = state["history.lr"].tolist()
        trainer._val = list(zip(state["history.val_step"].tolist(), state["history.val_loss"].tolist(), strict=True))
        if trainer.stopping:
            trainer.stopping.load(state)
        same_step = np.array_equal(state["parameter_checksums"], fingerprints(model))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder} is no complete training checkpoint: {error!r}") from None
    prefix = "optimizer."
    with use(trainer.row):
        trainer.optimizer.load_state_dict({k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)})
    if len(trainer._loss) != trainer.step_number or not same_step:
        raise CheckpointError(
            f"{folder}: {SETTINGS}, {STATE} and model.safetensors are not of the same step; "
            "the files belong to different checkpoints"
        )
    return trainer


def _filled(model, folder):
    """The model with the numbers saved in the folder; what learns and what is frozen stays as it is."""
    if lora.lora_layers(model):
        return lora.load_adapter(model, folder)
    model.load_state_dict(type(model).from_pretrained(folder).state_dict())
    return model


def _data_note(data) -> str | None:
    """The file that holds the ids, or None: other kinds of data and memory maps, which may be huge, are not copied."""
    if not isinstance(data, TokenData) or any(_is_mapped(part) for part in (data.train_ids, data.val_ids)):
        return None
    return DATA


def _is_mapped(array) -> bool:
    """Whether the array, or what it is a view of, is a memory map."""
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False


def _compact(data) -> dict[str, np.ndarray]:
    """The ids in the smallest unsigned type that holds them."""
    parts = {"train_ids": data.train_ids, "val_ids": data.val_ids}
    return {k: p.astype(np.min_scalar_type(int(p.max()))) for k, p in parts.items() if p is not None}


def data_bytes(data) -> int:
    """What the token ids take beside checkpoints; 0 where they are not copied."""
    return sum(part.nbytes for part in _compact(data).values()) if _data_note(data) else 0


def saved_data(folder) -> TokenData | None:
    """The token ids that were saved with a training checkpoint; None where there are none (weights only, memory maps).

    Raises CheckpointError if the files are damaged.
    """
    folder = Path(folder)
    if not (folder / SETTINGS).exists():
        return None
    note = read_json(folder / SETTINGS).get("data")
    return None if note is None else _load_data(folder, note)


def _load_data(folder, note):
    if note is None:
        raise CheckpointError(f"{folder} does not hold its data; pass it: Trainer.resume(folder, data=...)")
    arrays = read_tensors(folder / note)
    return TokenData(arrays["train_ids"], arrays.get("val_ids"))
