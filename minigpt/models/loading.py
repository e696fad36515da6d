"""A model and its folder, of whatever kind the model is."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError
from ..files import FileGroup, read_json
from .classifier import SETTINGS, GPTClassifier
from .encoder import MaskedLM
from .encoder_classifier import EncoderClassifier
from .folder import TextModel
from .gpt import GPT
from .pretrained import CONFIG, add_model_files

KINDS: tuple[type[TextModel], ...] = (MaskedLM, EncoderClassifier)  # beside GPT; each known by its model_type


def load_model(folder: str | Path) -> GPT | GPTClassifier | TextModel:
    """What save_pretrained wrote, as the class that wrote it. Raises CheckpointError."""
    if (Path(folder) / SETTINGS).exists():
        return GPTClassifier.from_pretrained(folder)
    found = read_json(Path(folder) / CONFIG).get("model_type")
    for kind in KINDS:
        if kind.model_type == found:
            return kind.from_pretrained(folder)
    return GPT.from_pretrained(folder)  # which refuses what is no GPT-2


def add_files(files: FileGroup, model) -> None:
    """The files of a model as part of a group that changes together. Raises CheckpointError for other models."""
    if isinstance(model, GPT):
        add_model_files(files, model)
    elif hasattr(model, "add_files"):
        model.add_files(files)
    else:
        classes: tuple[type, ...] = (GPT, GPTClassifier, *KINDS)
        names = ", ".join(kind.__name__ for kind in classes)
        raise CheckpointError(
            f"models that can be saved are {names}, and any with a method add_files(files); this is a "
            f"{type(model).__name__}"
        )
