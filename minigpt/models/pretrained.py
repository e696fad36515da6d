"""A GPT as a folder: config.json and model.safetensors in the layout of Hugging Face's GPT-2."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import CheckpointError, ConfigError
from ..files import FileGroup, read_json, read_tensors
from ..tokenizers import KINDS, find_tokenizer
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
    own = () if model._tokenizer is None else model._tokenizer.file_names()
    for name in (name for kind in KINDS for name in kind.file_names()):
        if name not in own:
            files.remove(name)  # the tokenizer of another model that was saved here before
    if model._tokenizer is not None:
        model._tokenizer.add_files(files)


def load_gpt(cls, folder):
    """Inverse of save_gpt; reads Hugging Face's own GPT-2 files too.

    The model comes in evaluation mode: no dropout. Raises CheckpointError if files are missing or damaged, or tensors
    missing, unexpected or wrongly shaped.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint folder at {folder}; it should hold {CONFIG} and {WEIGHTS}")
    values = read_json(folder / CONFIG)
    if not (folder / WEIGHTS).exists() and (folder / f"{WEIGHTS}.index.json").exists():
        raise CheckpointError(f"{folder}: the weights are split over several files, which this version cannot read yet")
    state = read_tensors(folder / WEIGHTS)
    state = {name.removeprefix(PREFIX): array for name, array in state.items() if not name.endswith(NOT_PARAMETERS)}
    config = config_from_hf(values, folder / CONFIG, bias=any(name.endswith(".bias") for name in state))
    head = state.pop(HEAD, None)
    if head is not None and "wte.weight" in state and not np.array_equal(head, state["wte.weight"]):
        raise CheckpointError(f"{folder / WEIGHTS}: {HEAD} differs from wte.weight, but minigpt's GPT ties them")
    model = cls(config, seed=0)
    if state and all(a.dtype == np.float64 for a in state.values()):
        model.astype(np.float64)
    model.load_state_dict(state)
    model.tokenizer = find_tokenizer(folder)
    return model.eval()


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
        "minigpt": {"dropout": config.dropout},
    }


# What GPT-2 files may ask for and this GPT does not do: name -> the only value that it computes
FIXED = {
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}


def config_from_hf(values: dict, path, bias: bool) -> GPTConfig:
    """bias: whether the weights have any; the config of Transformers does not say."""
    if values.get("model_type") != "gpt2":
        raise CheckpointError(f"{path}: model_type is {values.get('model_type')!r}, a GPT needs 'gpt2'")
    missing = [theirs for theirs in HF_NAMES.values() if theirs not in values]
    if missing:
        raise CheckpointError(f"{path} lacks {missing}")
    for name, only in FIXED.items():
        if values.get(name, only) != only:
            raise CheckpointError(f"{path}: {name} is {values[name]!r}; minigpt's GPT computes {only!r} only")
    own = values.get("minigpt", {})
    if not isinstance(own, dict):
        raise CheckpointError(f"{path}: 'minigpt' must be a table of settings, got {own!r}")
    settings = {ours: values[theirs] for ours, theirs in HF_NAMES.items()}
    try:
        return GPTConfig(**settings, dropout=own.get("dropout", values.get("resid_pdrop", 0.0)), bias=bias)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
