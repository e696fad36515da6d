"""Weights in safetensors files: which tensors a folder holds, and how they get into arrays.

A safetensors file is the length of a header (8 bytes), the header (JSON: name -> dtype, shape, place), and the numbers.
The library checks a file; the numbers are copied from a memory map of one piece after another. So a model of 500 MB
takes 500 MB and a piece while it is read, the arrays are ours to train, and the file may change or vanish afterwards.
Large models come in several files ("shards") and an index that says which tensor lies in which.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import CheckpointError
from ..files import read_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PIECE = 4 * 2**20  # bytes of a file that are mapped at a time
# The float types; bfloat16, which NumPy lacks, is the upper half of a float32.
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class StoredTensor:
    """Where the numbers of one tensor lie. dtype as in the file: "F32", "F16", "BF16" …; start in bytes."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int

    def pieces(self) -> Iterator[tuple[int, np.ndarray]]:
        """(index of the first, numbers as floats, 1-D), from first to last, a piece of the file at a time."""
        stored = np.dtype(FLOATS[self.dtype])
        total, step = math.prod(self.shape), PIECE // stored.itemsize
        for first in range(0, total, step):
            place = self.start + first * stored.itemsize
            piece = np.memmap(self.path, stored, mode="r", offset=place, shape=min(step, total - first))
            if self.dtype == "BF16":
                yield first, (piece.astype(np.uint32) << 16).view(np.float32)
            else:
                yield first, piece

    def copy_into(self, array: np.ndarray) -> None:
        """Write the numbers into a contiguous array of the same shape, converted to its dtype."""
        flat = array.reshape(-1)
        for first, piece in self.pieces():
            flat[first : first + piece.size] = piece

    def equals(self, array: np.ndarray) -> bool:
        """Whether copy_into would change nothing, not even the bits of a NaN."""
        flat, bits = array.reshape(-1), f"u{array.itemsize}"
        return self.shape == array.shape and all(
            np.array_equal(piece.astype(flat.dtype, copy=False).view(bits), flat[first : first + piece.size].view(bits))
            for first, piece in self.pieces()
        )


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Name -> tensor, for all weights of a folder: in model.safetensors, or else in the shards of its index.

    Raises CheckpointError if there are none, or the files are damaged, missing, or not what the index says.
    """
    if (folder / WEIGHTS).exists():
        return read_header(folder / WEIGHTS)
    if (folder / INDEX).exists():
        return _sharded_tensors(folder)
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    if pickled:
        raise CheckpointError(
            f"{folder / WEIGHTS} is missing; there is {pickled[0]}, which is not read: it is a pickle, a program that "
            "runs when it is opened and may do anything. If you trust it, convert it once where Transformers is "
            "installed, and load the new folder: from transformers import GPT2LMHeadModel; "
            f'GPT2LMHeadModel.from_pretrained(r"{folder}").save_pretrained("converted")'
        )
    raise CheckpointError(f"{folder / WEIGHTS} is missing")


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Name -> tensor, for a safetensors file. Raises CheckpointError if it cannot be read or is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass  # it refuses overlaps, gaps, places outside of the file, and shapes that do not fit their bytes
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from None
    header.pop("__metadata__", None)
    return {
        name: StoredTensor(path, entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in header.items()
    }


def _sharded_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Name -> tensor, each from the shard that the index gives for it."""
    path = folder / INDEX
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointError(f'{path} is damaged: wanted "weight_map", an object of tensor names and file names')
    shards = sorted(set(weight_map.values()))
    elsewhere = [shard for shard in shards if not shard.endswith(".safetensors") or set(shard) & set("/\\:\0")]
    if elsewhere:
        raise CheckpointError(
            f"{path} names {elsewhere}: refused, since a shard is a .safetensors file beside the index, not a path"
        )
    absent = [shard for shard in shards if not (folder / shard).is_file()]
    if absent:
        raise CheckpointError(f"{folder} lacks {len(absent)} of the {len(shards)} files that its index names: {absent}")

    found, problems = {}, []
    for shard in shards:
        for name, tensor in read_header(folder / shard).items():
            if weight_map.get(name) == shard:
                found[name] = tensor
            else:
                problems.append(f"{name}: lies in {shard}, but the index says {weight_map.get(name, 'nothing of it')}")
    problems += [f"{name}: is not in {shard}" for name, shard in weight_map.items() if name not in found]
    if problems:
        raise CheckpointError(f"{path} does not fit its files: {'; '.join(problems)}")
    return found


def split_into_shards(arrays: dict[str, np.ndarray], max_bytes: int) -> tuple[dict[str, dict[str, np.ndarray]], dict]:
    """(file name -> its tensors, what the index says): in order, as many to a file as fit; a larger tensor is alone."""
    groups: list[dict[str, np.ndarray]] = [{}]
    for name, array in arrays.items():
        if groups[-1] and sum(a.nbytes for a in groups[-1].values()) + array.nbytes > max_bytes:
            groups.append({})
        groups[-1][name] = array
    files = {f"model-{i:05d}-of-{len(groups):05d}.safetensors": group for i, group in enumerate(groups, start=1)}
    index = {
        "metadata": {"total_size": sum(a.nbytes for a in arrays.values())},
        "weight_map": {name: file for file, group in files.items() for name in group},
    }
    return files, index
