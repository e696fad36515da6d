"""Which kind of model a folder holds, and how one is written: config.json says it by "model_type"."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError
from ..files import FileGroup, read_json
from .encoder_decoder import EncoderDecoder
from .folder import TextModel
from .gpt import GPT
from .pretrained import CONFIG, add_model_files

KINDS: dict[str, type[GPT] | type[TextModel]] = {"gpt2": GPT, **{kind.model_type: kind for kind in (EncoderDecoder,)}}


def add_files_of(files: FileGroup, model) -> None:
    """The model's files as part of a group. Raises CheckpointError for a model of a class that is not among KINDS."""
    if isinstance(model, GPT):
        add_model_files(files, model)
    elif isinstance(model, TextModel) and type(model) in KINDS.values():
        model.add_files(files)
    else:
        names = ", ".join(kind.__name__ for kind in KINDS.values())
        raise CheckpointError(f"models that can be saved are {names}; this is a {type(model).__name__}")


def load_any(folder: str | Path):
    """The model that the folder holds, of whatever kind. Raises CheckpointError."""
    kind = read_json(Path(folder) / CONFIG).get("model_type")
    if kind not in KINDS:
        raise CheckpointError(f"{Path(folder) / CONFIG}: model_type is {kind!r}, known are {', '.join(KINDS)}")
    return KINDS[kind].from_pretrained(folder)
