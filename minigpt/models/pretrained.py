"""A GPT as a folder: config.json and model.safetensors in the layout of Hugging Face's GPT-2.

How tensors lie in files is the business of `weights.py`; here is what they are called and what config.json says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ArgumentError, CheckpointError, ConfigError
from ..files import FileGroup, data_folder, read_json
from ..nn.lora import without_adapters
from ..randomness import Undrawn
from ..tokenizers import KINDS, find_tokenizer
from ..tokenizers.special import end_token, start_token
from .config import PUBLISHED, GPTConfig
from .weights import FLOATS, INDEX, WEIGHTS, StoredTensor, split_into_shards, stored_tensors

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


def save_gpt(model, folder, max_shard_bytes: int | None = None) -> None:
    """Write config.json, the weights and, if the model has one, its tokenizer. Each file appears whole or not.

    max_shard_bytes: weights that are larger go into several files of at most that size (or of a single tensor), and
    an index; None writes one file.
    Raises ArgumentError, or CheckpointError if the folder cannot be written (disk full, no permission); files from
    before stay.
    """
    whole = isinstance(max_shard_bytes, int) and not isinstance(max_shard_bytes, bool)
    if max_shard_bytes is not None and not (whole and max_shard_bytes >= 1):
        raise ArgumentError(f"max_shard_bytes is a positive number of bytes, or None; got {max_shard_bytes!r}")
    with FileGroup(folder) as files:
        add_model_files(files, model, max_shard_bytes)


def add_model_files(files: FileGroup, model, max_shard_bytes: int | None = None) -> None:
    """The model's files as part of a group that changes together; adapters are merged into the matrices."""
    model = without_adapters(model)
    arrays = {PREFIX + name: p.numpy() for name, p in model.named_parameters()}
    shards, index = split_into_shards(arrays, max_shard_bytes or sum(a.nbytes for a in arrays.values()))
    if len(shards) == 1:
        shards = {WEIGHTS: arrays}
    else:
        files.json(INDEX, index)
    for name, group in shards.items():
        files.tensors(name, group)
    # Weights that were saved here before under other names would be read in their stead, or lie about unused.
    for name in {WEIGHTS, INDEX, *(path.name for path in files.folder.glob("model-*-of-*.safetensors"))}:
        if name not in shards and (name != INDEX or len(shards) == 1):
            files.remove(name)
    files.json(CONFIG, config_to_hf(model.config, model._tokenizer))
    add_tokenizer_files(files, model._tokenizer)


def add_tokenizer_files(files: FileGroup, tokenizer) -> None:
    """The files of a model's tokenizer, if it has one; those of a model that was saved here before go."""
    own = () if tokenizer is None else tokenizer.file_names()
    for name in (name for kind in KINDS for name in kind.file_names()):
        if name not in own:
            files.remove(name)
    if tokenizer is not None:
        tokenizer.add_files(files)


def load_gpt(cls, folder):
    """Inverse of save_gpt; reads Hugging Face's own GPT-2 files too, with or without "transformer." before the names.

    folder: a path, or one of PUBLISHED for what `minigpt data fetch` has put into the data folder.
    Weights in float16 or bfloat16 become float32; those in float64 stay so if all are. The model comes in evaluation
    mode: no dropout. Nothing of the files stays open.
    Raises CheckpointError if files are missing or damaged, or tensors missing, unexpected or wrongly shaped: all of
    them are listed. A pickle (pytorch_model.bin) is never read.
    """
    folder = find_folder(folder)
    values = read_json(folder / CONFIG)
    tensors, problems = _own_names(stored_tensors(folder))
    head = tensors.pop(HEAD, None)
    config = config_from_hf(values, folder / CONFIG, bias=any(name.endswith(".bias") for name in tensors))
    model = cls(config, seed=Undrawn())
    problems += misfits(model, tensors)
    if problems:
        raise CheckpointError(f"{folder}: these tensors do not fit config.json: {'; '.join(problems)}")

    dtype = np.dtype(np.float64 if all(tensor.dtype == "F64" for tensor in tensors.values()) else np.float32)
    for name, p in model.named_parameters():
        if p.dtype != dtype:
            p.data = np.empty(p.shape, dtype)
        tensors[name].copy_into(p.data)
    if head is not None and not (head.dtype in FLOATS and head.equals(model.wte.weight.data)):
        raise CheckpointError(f"{folder}: {HEAD} differs from wte.weight, but minigpt's GPT ties them")
    model.tokenizer = find_tokenizer(folder)
    return model.eval()


def find_folder(folder) -> Path:
    """A folder by its path, or the one where `minigpt data fetch NAME` puts a published model of that name."""
    path = Path(folder)
    if path.is_dir():
        return path
    if str(folder) in PUBLISHED:
        fetched = data_folder() / str(folder)
        if (fetched / WEIGHTS).is_file():  # of the four files it is fetched last
            return fetched
        raise CheckpointError(
            f"{folder} is not there yet (looked in {fetched}): get it once with `minigpt data fetch {folder}`"
        )
    names = ", ".join(PUBLISHED)
    raise CheckpointError(f"no checkpoint folder at {path}; wanted one with {CONFIG} and {WEIGHTS}, or a name: {names}")


def _own_names(stored: dict[str, StoredTensor]) -> tuple[dict[str, StoredTensor], list[str]]:
    """(our name -> tensor, names that would stand for two); without what is no parameter."""
    tensors: dict[str, StoredTensor] = {}
    twice = []
    for name, tensor in stored.items():
        own = name.removeprefix(PREFIX)
        if own in tensors:
            twice.append(f"{own}: there with and without {PREFIX!r}")
        if not own.endswith(NOT_PARAMETERS):
            tensors[own] = tensor
    return tensors, twice


def misfits(model, tensors: dict[str, StoredTensor]) -> list[str]:
    """What is missing, unexpected, wrongly shaped or no float, each with its name and shapes."""
    own = dict(model.named_parameters())
    problems = [
        f"{name}: shape {tensor.shape} given, {own[name].shape} needed"
        for name, tensor in tensors.items()
        if name in own and tensor.shape != own[name].shape
    ]
    problems += [f"{name}: missing (shape {p.shape})" for name, p in own.items() if name not in tensors]
    problems += [
        f"{name}: not a parameter of this {type(model).__name__} (shape {tensor.shape})"
        for name, tensor in tensors.items()
        if name not in own
    ]
    problems += [
        f"{name}: dtype {tensor.dtype} is not one of {', '.join(FLOATS)}"
        for name, tensor in tensors.items()
        if name in own and tensor.dtype not in FLOATS
    ]
    return problems


def config_to_hf(config: GPTConfig, tokenizer=None) -> dict:
    """What config.json says; the ids that begin and end a text are those of the tokenizer, if it has any."""
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
        "bos_token_id": None if tokenizer is None else start_token(tokenizer),
        "eos_token_id": None if tokenizer is None else end_token(tokenizer),
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
