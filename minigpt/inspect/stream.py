"""How large numbers are on their way through a stack of blocks: the residual stream, and its gradient.

    numbers = stream_numbers(model, {"GPT": model.h}, lambda: model(ids, targets)[1])["GPT"]

activation       root mean square (RMS) of the residual stream: as it enters the first block, then after each block
gradient         RMS of d loss / d residual stream, at the same places
weight_gradient  RMS of the gradients of each block's matrices
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..nn import Module
from ..observe import observing
from ..tensor import Tensor


@dataclass(frozen=True)
class LayerNumbers:
    """Of one stack: loss in nats; activation and gradient (L + 1,), weight_gradient (L,), float64."""

    loss: float
    activation: np.ndarray
    gradient: np.ndarray
    weight_gradient: np.ndarray


class _Streams:
    """An observer that keeps what the first block of each stack takes in, and what each block gives."""

    def __init__(self, stacks):
        self.owner = {id(block): name for name, blocks in stacks.items() for block in blocks}
        self.streams: dict[str, list[Tensor]] = {name: [] for name in stacks}

    def around_module(self, module, args, kwargs, proceed):
        output = proceed()
        name = self.owner.get(id(module))
        if name is not None:
            stream = self.streams[name]
            stream += [args[0], output] if not stream else [output]
        return output


@contextmanager
def keeping_gradients(model):
    """Inside the block the model is in evaluation mode and has no gradients; afterwards both are as they were.

    Unlike `model.evaluating()`, what is computed inside has a graph: backward passes belong here.
    """
    modes = [(module, module.training) for _, module in model.named_modules()]
    saved = [(p, p.grad) for p in model.parameters()]
    model.zero_grad()
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for p, grad in saved:
            p.grad = grad


def stream_numbers(
    model, stacks: Mapping[str, Sequence[Module]], loss: Callable[[], Tensor]
) -> dict[str, LayerNumbers]:
    """One forward and backward pass without dropout; name -> LayerNumbers of that stack of blocks.

    stacks: name -> blocks that hand the stream on as their first argument; loss: runs the model, gives a scalar.
    The model's own gradients are left as they are.
    """
    with keeping_gradients(model):
        observer = _Streams(stacks)
        with observing(observer):
            value = loss()
        for stream in observer.streams.values():
            for x in stream:
                x.retain_grad()
        value.backward()
        return {
            name: LayerNumbers(
                value.item(),
                np.array([rms([x.numpy()]) for x in observer.streams[name]]),
                np.array([rms([Tensor(x.grad).numpy()]) for x in observer.streams[name]]),
                np.array([rms([Tensor(p.grad).numpy() for p in b.parameters() if p.ndim == 2]) for b in blocks]),
            )
            for name, blocks in stacks.items()
        }


def rms(arrays) -> float:
    """Root of the mean square over all numbers of some arrays."""
    return float(np.sqrt(sum((a**2).sum() for a in arrays) / sum(a.size for a in arrays)))
