"""A GPT as a folder: config.json and model.safetensors in the layout of Hugging Face's GPT-2."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import CheckpointError, ConfigError
from ..files import FileGroup, read_json, read_tensors
from ..tokenizers import find_tokenizer
from .config import GPTConfig

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
# our name -> the name in config.json
HF_NAMES = {
    "vocab_size": "vocab_size",
    "block_size": "n_positions",
    "n_layer": "n_layer",
    "n_head": "n_head",
    "n_embd": "n_embd",
    "layer_norm_eps": "layer_norm_epsilon",
}
PREFIX = "transformer."
NOT_PARAMETERS = (".attn.bias", ".attn.masked_bias")  # old files store the causal mask under these names
HEAD = "lm_head.weight"


def save_gpt(model, folder) -> None:
    """Write config.json, model.safetensors and, if the model has one, its tokenizer. Each file appears whole or not.

    Raises CheckpointError if the folder cannot be written (disk full, no permission); files from before stay.
    """
    with FileGroup(folder) as files:
        add_model_files(files, model)


def add_model_files(files: FileGroup, model) -> None:
    """The model's files as part of a group that changes together."""
    files.tensors(WEIGHTS, {PREFIX + name: p.numpy() for name, p in model.named_parameters()})
    files.json(CONFIG, config_to_hf(model.config))
    if model._tokenizer is not None:
        model._tokenizer.add_files(files)


def load_gpt(cls, folder):
    """Inverse of save_gpt; reads Hugging Face's own GPT-2 files too.

    Raises CheckpointError if files are missing or damaged, or tensors missing, unexpected or wrongly shaped.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint folder at {folder}; it should hold {CONFIG} and {WEIGHTS}")
    config = config_from_hf(read_json(folder / CONFIG), folder / CONFIG)
    state = read_tensors(folder / WEIGHTS)
    state = {name.removeprefix(PREFIX): array for name, array in state.items() if not name.endswith(NOT_PARAMETERS)}
    head = state.pop(HEAD, None)
    if head is not None and "wte.weight" in state and not np.array_equal(head, state["wte.weight"]):
        raise CheckpointError(f"{folder / WEIGHTS}: {HEAD} differs from wte.weight, but minigpt's GPT ties them")
    model = cls(config, seed=0)
    if state and all(a.dtype == np.float64 for a in state.values()):
        model.astype(np.float64)
    model.load_state_dict(state)
    model.tokenizer = find_tokenizer(folder)
    return model


def config_to_hf(config: GPTConfig) -> dict:
    values = {theirs: getattr(config, ours) for ours, theirs in HF_NAMES.items()}
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **values,
        "n_ctx": config.block_size,
        "activation_function": "gelu_new",
        "attn_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
        "minigpt": {"bias": config.bias, "dropout": config.dropout},
    }


def config_from_hf(values: dict, path) -> GPTConfig:
    if values.get("model_type") != "gpt2":
        raise CheckpointError(f"{path}: model_type is {values.get('model_type')!r}, a GPT needs 'gpt2'")
    missing = [theirs for theirs in HF_NAMES.values() if theirs not in values]
    if missing:
        raise CheckpointError(f"{path} lacks {missing}")
    if values.get("activation_function", "gelu_new") != "gelu_new":
        raise CheckpointError(
            f"{path}: activation_function {values['activation_function']!r}; only 'gelu_new' is known"
        )
    own = values.get("minigpt", {})
    settings = {ours: values[theirs] for ours, theirs in HF_NAMES.items()}
    try:
        return GPTConfig(
            **settings, dropout=own.get("dropout", values.get("resid_pdrop", 0.0)), bias=own.get("bias", True)
        )
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
