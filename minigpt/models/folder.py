"""A model as a folder in a layout of our own: config.json says which model it is, model.safetensors has its weights.

GPT keeps the layout of Hugging Face's GPT-2 (`pretrained.py`); this is for the models that have no such counterpart.
"""

from __future__ import annotations

import numpy as np

from ..errors import CheckpointError, ConfigError
from ..files import FileGroup, read_json
from ..randomness import Undrawn
from ..tokenizers import KINDS, find_tokenizer
from .pretrained import CONFIG, misfits, find_folder
from .weights import INDEX, WEIGHTS, stored_tensors


def model_type(cls) -> str:
    """EncoderDecoder -> "minigpt-encoder-decoder" """
    return "minigpt" + "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__)


def save_model(model, folder) -> None:
    """Write all files of the model; each appears whole or not. Raises CheckpointError; files from before stay."""
    with FileGroup(folder) as files:
        add_files(files, model)


def add_files(files: FileGroup, model) -> None:
    """The model's files as part of a group that changes together."""
    files.tensors(WEIGHTS, {name: p.numpy() for name, p in model.named_parameters()})
    files.json(CONFIG, {"model_type": model_type(type(model)), **model.config.to_dict()})
    # what an earlier model left here would be read in place of this one, or as its tokenizer
    own = () if model._tokenizer is None else model._tokenizer.file_names()
    stale = [INDEX, *(name for kind in KINDS for name in kind.file_names() if name not in own)]
    for name in [*stale, *(path.name for path in files.folder.glob("model-*-of-*.safetensors"))]:
        files.remove(name)
    if model._tokenizer is not None:
        model._tokenizer.add_files(files)


def load_model(cls, config_class, folder):
    """Inverse of save_model, in evaluation mode. float64 weights stay so, others become float32.

    Raises CheckpointError if files are missing or damaged, of another kind of model, or do not fit config.json.
    """
    folder = find_folder(folder)
    values = read_json(folder / CONFIG)
    kind = values.pop("model_type", None)
    if kind != model_type(cls):
        raise CheckpointError(f"{folder / CONFIG}: model_type is {kind!r}, {cls.__name__} needs {model_type(cls)!r}")
    try:
        model = cls(config_class.from_dict(values), seed=Undrawn())
    except ConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    tensors = stored_tensors(folder)
    problems = misfits(model, tensors)
    if problems:
        raise CheckpointError(f"{folder}: these tensors do not fit config.json: {'; '.join(problems)}")
    dtype = np.dtype(np.float64 if all(tensor.dtype == "F64" for tensor in tensors.values()) else np.float32)
    for name, p in model.named_parameters():
        if p.dtype != dtype:
            p.data = np.empty(p.shape, dtype)
        tensors[name].copy_into(p.data)
    model.tokenizer = find_tokenizer(folder)
    return model.eval()
