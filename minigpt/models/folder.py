"""What models on text share: a tokenizer of their own, and a folder that they are saved in and read from.

    config.json           "model_type", by which a folder is known, and the numbers of the config
    model.safetensors     every parameter under its own name
    tokenizer files       if the model has a tokenizer

GPT has a layout of its own, that of Hugging Face's GPT-2: `pretrained.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError, CheckpointError, ConfigError, TokenizerError
from ..files import FileGroup, read_json
from ..nn import Module
from ..randomness import Undrawn
from ..tokenizers import find_tokenizer
from .pretrained import CONFIG, add_tokenizer_files, misfits
from .weights import WEIGHTS, stored_tensors


class TextModel(Module):
    """Base of models that read token ids. Subclasses set `model_type` and `config_class`, and self.config."""

    model_type: ClassVar[str]
    config_class: ClassVar[type]
    config: Any
    _tokenizer: Any = None

    @classmethod
    def check_config(cls, config) -> None:
        """Raise ArgumentError unless the config is of the class that this model needs."""
        if type(config) is not cls.config_class:
            wanted = cls.config_class.__name__
            raise ArgumentError(
                f"{cls.__name__} needs {_with_article(wanted)}, got "
                f"{type(config).__name__}; from a dict: {wanted}.from_dict(d)"
            )

    @property
    def tokenizer(self):
        """The tokenizer that belongs to the weights. Raises TokenizerError if there is none."""
        if self._tokenizer is None:
            raise TokenizerError(
                "this model has no tokenizer: set model.tokenizer = tok, or pass the tokenizer to the function"
            )
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer):
        if tokenizer is not None and tokenizer.vocab_size > self.config.vocab_size:
            raise ArgumentError(
                f"the tokenizer knows {tokenizer.vocab_size} tokens, the model only {self.config.vocab_size}"
            )
        self._tokenizer = tokenizer

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the folder; each file appears whole or not. Raises CheckpointError if it cannot be written."""
        with FileGroup(folder) as files:
            self.add_files(files)

    def add_files(self, files: FileGroup) -> None:
        """The model's files as part of a group that changes together."""
        files.json(CONFIG, {"model_type": self.model_type, **self.config.to_dict()})
        files.tensors(WEIGHTS, {name: p.numpy() for name, p in self.named_parameters()})
        add_tokenizer_files(files, self._tokenizer)

    @classmethod
    def from_pretrained(cls, folder: str | Path):
        """The model that save_pretrained wrote, in evaluation mode. Raises CheckpointError, which lists all misfits."""
        folder = Path(folder)
        if not folder.is_dir():
            raise CheckpointError(f"no folder {folder}: wanted one that save_pretrained wrote")
        values = read_json(folder / CONFIG)
        kind = values.pop("model_type", None)
        if kind != cls.model_type:
            raise CheckpointError(
                f"{folder / CONFIG}: model_type is {kind!r}, {_with_article(cls.__name__)} needs {cls.model_type!r}"
            )
        try:
            model = cls(cls.config_class.from_dict(values), seed=Undrawn())  # type: ignore[attr-defined, call-arg]
        except ConfigError as error:
            raise CheckpointError(f"{folder / CONFIG}: {error}") from None
        tensors = stored_tensors(folder)
        problems = misfits(model, tensors)
        if problems:
            raise CheckpointError(f"{folder}: these tensors do not fit config.json: {'; '.join(problems)}")
        double = all(tensor.dtype == "F64" for tensor in tensors.values())
        for name, p in model.named_parameters():
            p.data = np.empty(p.shape, np.float64 if double else np.float32)
            tensors[name].copy_into(p.data)
        model.tokenizer = find_tokenizer(folder)
        return model.eval()


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"
