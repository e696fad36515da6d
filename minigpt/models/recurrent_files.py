"""A RecurrentLM in a folder: config.json, model.safetensors, tokenizer files."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError, ConfigError
from ..files import FileGroup, read_json, read_tensors
from ..randomness import Undrawn
from ..tokenizers import find_tokenizer
from .pretrained import CONFIG, add_tokenizer_files
from .recurrent_config import RecurrentConfig
from .weights import WEIGHTS

MODEL_TYPE = "minigpt-recurrent"


def add_recurrent_files(files: FileGroup, model) -> None:
    """The model's files as part of a group that changes together."""
    files.tensors(WEIGHTS, model.state_dict())
    files.json(CONFIG, {"model_type": MODEL_TYPE, **model.config.to_dict()})
    add_tokenizer_files(files, model._tokenizer)


def load_recurrent(cls, folder):
    """Raises CheckpointError if files are missing, damaged, of another kind of model, or do not fit together."""
    folder = Path(folder)
    values = read_json(folder / CONFIG)
    kind = values.pop("model_type", None)
    if kind != MODEL_TYPE:
        raise CheckpointError(f"{folder / CONFIG}: model_type is {kind!r}, a RecurrentLM needs {MODEL_TYPE!r}")
    try:
        config = RecurrentConfig.from_dict(values)
    except ConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    tensors = read_tensors(folder / WEIGHTS)
    model = cls(config, seed=Undrawn())
    if tensors and all(tensor.dtype == "float64" for tensor in tensors.values()):
        model.astype("float64")
    model.load_state_dict(tensors)
    model.tokenizer = find_tokenizer(folder)
    return model.eval()
