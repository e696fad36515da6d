"""A RecurrentLM in a folder: config.json, model.safetensors, tokenizer files."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError, ConfigError
from ..files import FileGroup, read_json, read_tensors
from ..randomness import Undrawn
from ..tokenizers import KINDS, find_tokenizer
from .recurrent_config import RecurrentConfig
from .weights import WEIGHTS

CONFIG = "config.json"
MODEL_TYPE = "minigpt-recurrent"


def save_recurrent(model, folder) -> None:
    """Raises CheckpointError if the folder cannot be written; files from before stay."""
    with FileGroup(folder) as files:
        files.tensors(WEIGHTS, model.state_dict())
        files.json(CONFIG, {"model_type": MODEL_TYPE, **model.config.to_dict()})
        tokenizer = model._tokenizer
        own = () if tokenizer is None else tokenizer.file_names()
        for name in (name for kind in KINDS for name in kind.file_names()):
            if name not in own:
                files.remove(name)  # the tokenizer of another model that was saved here before
        if tokenizer is not None:
            tokenizer.add_files(files)


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
