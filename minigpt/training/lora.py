"""LoRA: tune a model by a few thousand new numbers, which fit into a file of their own.

    add_lora(model, rank=8, targets=("c_attn", "c_proj", "c_fc"))     all else is frozen
    Trainer(model, data, config).fit()
    save_adapter(model, "runs/adapter")                              the new numbers alone

    model = GPT.from_pretrained("runs/base")
    load_adapter(model, "runs/adapter")                              and merge_lora(model) to write fast

The folder of an adapter:

    adapter_config.json          {"format": "minigpt-lora", "version": 1, "rank": 8, "alpha": 16.0,
                                  "layers": ["h.0.attn.c_attn", …], "also": ["wte.weight"], "base_checksum": …}
    adapter_model.safetensors    "<layer>.lora_a" (in, rank) and "<layer>.lora_b" (rank, out) for each layer, and the
                                 parameters of "also" whole

The formula is in `nn/lora.py`. Source: Hu et al. 2021.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..backend import row_of
from ..errors import ArgumentError, CheckpointError
from ..files import FileGroup, read_json, read_tensors
from ..nn import Linear, Module, Parameter
from ..nn.lora import LoRALinear
from ..randomness import as_generator

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FORMAT = "minigpt-lora"
TARGETS = ("c_attn", "c_proj", "c_fc")  # every matrix of the blocks


def add_lora(
    model: Module, rank: int = 8, alpha: float | None = None, targets: Sequence[str] = TARGETS,
    also: Sequence[str] = (), rng=0,
) -> Module:  # fmt: skip
    """Put a LoRALinear around every Linear that is named in targets, and freeze everything else; returns the model.

    alpha:    the correction counts alpha / rank; None: twice the rank
    targets:  last parts of names: "c_attn", or "mlp.c_proj" for that of the MLPs only
    also:     parameters that are trained whole, such as "wte.weight" after new tokens
    The output of the model stays the same, bit for bit, until it is trained.
    Raises ArgumentError: nothing of that name, adapters there already, rank, alpha.
    """
    if isinstance(targets, str) or isinstance(also, str):
        raise ArgumentError("targets and also are lists of names, such as ('c_attn', 'c_proj')")
    if lora_layers(model):
        raise ArgumentError("the model has adapters already: remove_lora(model) first, or merge them for good")
    linears = {name: part for name, part in model.named_modules() if type(part) is Linear}
    chosen = [name for name in linears if any(f".{name}".endswith(f".{target}") for target in targets)]
    for target in targets:
        if not any(f".{name}".endswith(f".{target}") for name in linears):
            last = sorted({name.rpartition(".")[2] for name in linears})
            raise ArgumentError(f"no Linear of this model is called {target!r}; there are {', '.join(last)}")
    _wrap(model, chosen, rank, 2.0 * rank if alpha is None else alpha, also, rng)
    return model


def _wrap(model: Module, layers: Sequence[str], rank: int, alpha: float, also: Sequence[str], rng) -> None:
    parts, parameters, rng = dict(model.named_modules()), dict(model.named_parameters()), as_generator(rng)
    unknown = [name for name in also if name not in parameters]
    if unknown:
        raise ArgumentError(f"the model has no parameter {unknown[0]!r}")
    wrapped = [LoRALinear(parts[name], rank, alpha, rng) for name in layers]  # type: ignore[arg-type]
    for name, p in parameters.items():
        p.requires_grad = name in also
        p.grad = None
    for name, layer in zip(layers, wrapped, strict=True):
        _put(model, name, layer)


def _put(model: Module, name: str, part: Module) -> None:
    owner, _, last = name.rpartition(".")
    setattr(dict(model.named_modules())[owner], last, part)


def lora_layers(model: Module) -> dict[str, LoRALinear]:
    """Name -> adapter, for all of the model."""
    return {name: part for name, part in model.named_modules() if isinstance(part, LoRALinear)}


def _some_layers(model: Module) -> dict[str, LoRALinear]:
    layers = lora_layers(model)
    if not layers:
        raise ArgumentError("this model has no adapters: add_lora(model) or load_adapter(model, folder) puts them in")
    return layers


def merge_lora(model: Module) -> Module:
    """Add the corrections to the matrices, so that the model is as fast as without adapters; returns it."""
    for layer in _some_layers(model).values():
        layer.merge()
    return model


def unmerge_lora(model: Module) -> Module:
    """Take the corrections out of the matrices again, up to rounding; returns the model."""
    for layer in _some_layers(model).values():
        layer.unmerge()
    return model


def remove_lora(model: Module) -> Module:
    """Linear layers again, with all parameters trainable: the base, or after merge_lora the tuned model for good."""
    for name, layer in _some_layers(model).items():
        _put(model, name, layer.base)
    for p in model.parameters():
        p.requires_grad = True
    return model


def save_adapter(model: Module, folder: str | Path) -> None:
    """Write the adapters alone. Raises ArgumentError if there are none, CheckpointError."""
    _some_layers(model)
    with FileGroup(folder) as files:
        add_adapter_files(files, model)


def add_adapter_files(files: FileGroup, model: Module) -> None:
    """The adapters' files as part of a group that changes together; what other adapters left is removed."""
    layers = lora_layers(model)
    if not layers:
        files.remove(CONFIG)
        files.remove(WEIGHTS)
        return
    first = next(iter(layers.values()))
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    also = [name for name in learned if not name.endswith((".lora_a", ".lora_b"))]
    adapters = {name: p for name, p in model.named_parameters() if name.endswith((".lora_a", ".lora_b"))}
    files.tensors(WEIGHTS, {name: p.numpy() for name, p in {**adapters, **learned}.items()})
    files.json(
        CONFIG,
        {
            "format": FORMAT, "version": 1, "rank": first.rank, "alpha": first.alpha, "layers": list(layers),
            "also": also, "base_checksum": None if first.merged else _base_checksum(model, also),
        },
    )  # fmt: skip


def load_adapter(model: Module, folder: str | Path) -> Module:
    """Put saved adapters into their base model, frozen but for them; returns it.

    A model that has adapters of the same layers already gets the saved numbers. Warns if the base has other weights
    than the one they were trained on. Raises CheckpointError if the files are damaged or of another shape.
    """
    folder = Path(folder)
    values, arrays = read_json(folder / CONFIG), read_tensors(folder / WEIGHTS)
    if values.get("format") != FORMAT or values.get("version") != 1:
        raise CheckpointError(f'{folder / CONFIG}: wanted "format": {FORMAT!r} and "version": 1')
    try:
        layers, also = list(values["layers"]), list(values["also"])
        if not lora_layers(model):
            linears = {name for name, part in model.named_modules() if type(part) is Linear}
            foreign = [name for name in layers if name not in linears]
            if foreign:
                raise CheckpointError(f"{folder}: the model has no linear layer {foreign[0]!r}: another kind of base")
            _wrap(model, layers, values["rank"], values["alpha"], also, rng=0)
    except (KeyError, TypeError, ArgumentError) as error:
        raise CheckpointError(f"{folder / CONFIG} does not fit this model: {error}") from None
    own: dict[str, Parameter] = dict(model.named_parameters())
    wanted = [f"{name}.lora_{x}" for name in layers for x in "ab"] + also
    problems = [f"{name}: missing" for name in wanted if name not in arrays or name not in own]
    problems += [f"{name}: not part of the adapter" for name in arrays if name not in wanted]
    problems += [
        f"{name}: shape {arrays[name].shape} given, {own[name].shape} needed"
        for name in wanted
        if name in arrays and name in own and arrays[name].shape != own[name].shape
    ]
    if problems:
        raise CheckpointError(f"{folder}: this adapter does not fit the model: {'; '.join(problems[:6])}")
    for name in wanted:
        p = own[name]
        array = np.array(arrays[name].astype(p.dtype, copy=False))
        device = row_of(p.data)
        p.data = array if device is None else device.from_host(array)
    if values.get("base_checksum") not in (None, _base_checksum(model, also)):
        warnings.warn(f"{folder} was trained on a model with other weights than this one", UserWarning, stacklevel=2)
    return model


def _base_checksum(model: Module, also: Sequence[str]) -> int:
    """Of all parameters that are no part of the adapter."""
    checksum = 0
    for name, p in model.named_parameters():
        if name not in also and not name.endswith((".lora_a", ".lora_b")):
            checksum = zlib.crc32(np.ascontiguousarray(p.numpy()).data, checksum)
    return checksum
