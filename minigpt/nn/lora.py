"""LoRALinear: a linear layer that stays as it is, plus a small product of two thin matrices that learns.

A trained matrix W (in, out) has in · out numbers; a correction of rank r has r · (in + out). For 128 x 384 and rank 4
that is 2,048 instead of 49,152. How adapters are put into a model, and saved alone: `training/lora.py`.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np

from .. import functional as F
from ..backend import row_of
from ..errors import ArgumentError
from ..randomness import as_generator
from ..tensor import Tensor
from .linear import Linear, check_size, uniform
from .module import Module, Parameter

M = TypeVar("M", bound=Module)


class LoRALinear(Module):
    """y = x @ W + bias + s (x @ A) @ B + residual,  s = alpha / rank

    Shapes:  x (..., in) -> (..., out); W (in, out) and bias (out,) belong to `base`, which is frozen;
             lora_a A (in, rank), lora_b B (rank, out)
    Init:    A uniform in ±1 / sqrt(in), B zero: the output is at first that of the base, bit for bit
    Source:  Hu et al. 2021, "LoRA: Low-rank adaptation of large language models", section 4.1
    """

    def __init__(self, base: Linear, rank: int, alpha: float, rng=None):
        if not isinstance(base, Linear):
            raise ArgumentError(f"LoRALinear goes around a Linear, got {type(base).__name__}")
        check_size("LoRALinear", rank=rank)
        if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha < np.inf:
            raise ArgumentError(f"LoRALinear: alpha is a number above 0, got {alpha!r}")
        n_in, n_out = base.weight.shape
        if rank > min(n_in, n_out):
            raise ArgumentError(f"LoRALinear: rank {rank} is more than a matrix of {n_in} x {n_out} can have")
        self.base, self.rank, self.alpha = base, int(rank), float(alpha)
        for p in base.parameters():
            p.requires_grad, p.grad = False, None
        device, dtype = row_of(base.weight.data), base.weight.dtype
        a = uniform(as_generator(rng), n_in**-0.5, (n_in, rank)).astype(dtype, copy=False)
        b = np.zeros((rank, n_out), dtype)
        self.lora_a, self.lora_b = (Parameter(x if device is None else device.from_host(x)) for x in (a, b))
        self.merged = False

    @property
    def scale(self) -> float:
        """s = alpha / rank: with it, another rank needs no other learning rate."""
        return self.alpha / self.rank

    @property
    def weight(self) -> Tensor:
        """W + s A @ B (in, out), for who multiplies by parts of the matrix, as cross-attention does."""
        return self.base.weight if self.merged else self.base.weight + self.lora_a @ self.lora_b * self.scale

    @property
    def bias(self):
        return self.base.bias

    def forward(self, x, residual=None):
        y = self.base(x, residual)  # (..., out)
        if self.merged:
            return y
        thin = F.linear(x, self.lora_a) * self.scale  # (..., rank)
        return F.linear(thin, self.lora_b, residual=y)  # (..., out)

    def merge(self):
        """W = W + s A @ B: as fast as a Linear from here on. It cannot be trained meanwhile."""
        self._shift(not self.merged, 1)
        self.merged = True

    def unmerge(self):
        """W = W - s A @ B, the matrix from before up to rounding."""
        self._shift(self.merged, -1)
        self.merged = False

    def _shift(self, needed: bool, sign: int):
        if needed:
            W = self.base.weight
            moved = W.numpy() + sign * self.difference()
            device = row_of(W.data)
            W.data = moved if device is None else device.from_host(moved)

    def difference(self) -> np.ndarray:
        """s A @ B, (in, out), on the host."""
        product = self.lora_a.numpy() @ self.lora_b.numpy()
        return product * product.dtype.type(self.scale)

    def plain(self) -> Linear:
        """A Linear of its own with the matrix W + s A @ B."""
        twin = copy.copy(self.base)
        twin.weight = Parameter(np.array(self.base.weight.numpy()) + (0 if self.merged else self.difference()))
        return twin

    def extra_repr(self):
        return f"rank={self.rank}, alpha={self.alpha:g}{', merged' if self.merged else ''}"


def without_adapters(module: M) -> M:
    """The module itself if it has no LoRALinear; else a copy in which each is a Linear with the merged matrix.

    Everything else is shared with the original, which stays as it was.
    """
    if not any(isinstance(part, LoRALinear) for _, part in module.named_modules()):
        return module

    def copy_of(part: Any) -> Any:
        if isinstance(part, LoRALinear):
            return part.plain()
        twin = copy.copy(part)
        for name, child in part.children():
            setattr(twin, name, copy_of(child))
        return twin

    return copy_of(module)
