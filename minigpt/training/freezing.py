"""Which layers learn: the last k only, or one more every n steps.

A frozen parameter has requires_grad False: ops compute no gradient for it, and below the lowest layer that learns
there is no backward pass at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import ArgumentError
from ..nn import Module, Parameter


def layers(model: Module) -> list[list[Parameter]]:
    """The parameters in layers, from the output to the input, which is the order in which they are unfrozen.

    First what stands above the blocks (a head, the last norm) together with the last block, then one block after the
    other, at the end the tables of tokens and positions. GPT's own head is the table of tokens, so it comes last.
    model: a GPT, or one with a GPT as `model.gpt`
    """
    gpt: Any = getattr(model, "gpt", model)
    if not all(hasattr(gpt, name) for name in ("h", "wte", "wpe")):
        raise ArgumentError(f"layers needs a GPT, or a model with one as .gpt; got {type(model).__name__}")
    below = [list(block.parameters()) for block in gpt.h]
    tables = [*gpt.wte.parameters(), *gpt.wpe.parameters()]
    known = {id(p) for group in (*below, tables) for p in group}
    top = [p for p in model.parameters() if id(p) not in known]
    return [top + below[-1], *reversed(below[:-1]), tables]


def train_last(model: Module, k: int, also: Iterable[str] = ()) -> None:
    """The last k of `layers` learn, the others are frozen; `also` names parameters that learn in any case.

    Raises ArgumentError unless 1 <= k <= number of layers, or for a name that the model does not have.
    """
    groups = layers(model)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(groups):
        raise ArgumentError(f"k, how many of the last layers learn, is from 1 to {len(groups)}, got {k!r}")
    named = dict(model.named_parameters())
    unknown = [name for name in also if name not in named]
    if unknown:
        raise ArgumentError(f"the model has no parameter {unknown[0]!r}")
    learning = {id(p) for group in groups[:k] for p in group} | {id(named[name]) for name in also}
    for p in named.values():
        p.requires_grad = id(p) in learning
        if not p.requires_grad:
            p.grad = None


def unfrozen_at(step: int, every: int, n_layers: int) -> int:
    """How many layers learn in a step, counted from 0: one at first, one more after each `every` steps.

    Source: Howard & Ruder 2018, "Universal language model fine-tuning for text classification", section 3.3 ("gradual
    unfreezing"), where `every` is one epoch.
    """
    return min(1 + step // every, n_layers)


def parameter_share(model: Module) -> tuple[int, int]:
    """(numbers that learn, all numbers) of the model."""
    parameters = list(model.parameters())
    return sum(p.size for p in parameters if p.requires_grad), sum(p.size for p in parameters)
