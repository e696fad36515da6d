"""A model and its folder, of whatever kind the model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..files import FileGroup, read_json
from .classifier import SETTINGS, GPTClassifier
from .encoder import MaskedLM
from .encoder_classifier import EncoderClassifier
from .encoder_decoder import EncoderDecoder
from .folder import TextModel
from .gpt import GPT
from .pretrained import CONFIG, add_model_files
from .recurrent import RecurrentLM
from .recurrent_seq2seq import RecurrentSeq2Seq

KINDS: tuple[type[TextModel], ...] = (
    EncoderDecoder,
    MaskedLM,
    EncoderClassifier,
    RecurrentLM,
    RecurrentSeq2Seq,
)  # beside GPT; each known by its model_type


def load_model(folder: str | Path) -> Any:
    """What save_pretrained wrote, as the class that wrote it. Raises CheckpointError."""
    if not Path(folder).is_dir():
        raise CheckpointError(f"no checkpoint folder at {folder}")
    if (Path(folder) / SETTINGS).exists():
        return GPTClassifier.from_pretrained(folder)
    found = read_json(Path(folder) / CONFIG).get("model_type")
    kinds: dict[str, Any] = {"gpt2": GPT, **{kind.model_type: kind for kind in KINDS}}
    if found not in kinds:
        raise CheckpointError(f"{Path(folder) / CONFIG}: model_type is {found!r}, known are {', '.join(kinds)}")
    return kinds[found].from_pretrained(folder)


def add_files(files: FileGroup, model) -> None:
    """The files of a model as part of a group that changes together. Raises CheckpointError for other models."""
    if isinstance(model, GPT):
        add_model_files(files, model)
    elif hasattr(model, "add_files"):
        model.add_files(files)
    else:
        names = ", ".join(kind.__name__ for kind in (GPT, GPTClassifier, *KINDS))
        raise CheckpointError(
            f"models that can be saved are {names}, and any with a method add_files(files); this is a "
            f"{type(model).__name__}"
        )
