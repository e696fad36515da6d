"""What initial weights do to a deep model before its first step: how large numbers are, layer by layer.

    print(initialisation_study(config, ids, targets).table())

    activation       root mean square (RMS) of the residual stream: after the embeddings, then after each block
    gradient         RMS of d loss / d residual stream, at the same places
    weight_gradient  RMS of the gradients of each block's matrices

In a sound start none of them grows or shrinks by orders of magnitude from layer to layer, and the loss is that of a
guess, ln V. The schemes differ in the deviation of the matrices (n_in, n_out); L blocks:

    gpt2        0.02, output projections 0.02 / sqrt(2 L): each block adds to the residual twice; Radford et al. 2019
    unscaled    0.02 for all
    xavier      sqrt(2 / (n_in + n_out)): as much forward as backward (Glorot & Bengio 2010, equation 12)
    he          sqrt(2 / n_in): for ReLU, which drops half (He et al. 2015, equation 10)
    large       1, embeddings too: what `standard_normal` without a thought gives
    zeros       0, embeddings too: every gradient is 0, so nothing is ever learnt
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..backend import use
from ..errors import ArgumentError
from ..models import GPT, GPTConfig
from ..nn import Linear
from ..randomness import as_generator
from ..tensor import Tensor
from .stream import LayerNumbers, stream_numbers

TABLES = 0.02  # deviation of the embeddings where the scheme is about matrices
# name -> deviation of a matrix, from (n_in, n_out, whether it is an output projection, L); and of the embeddings
Deviation = Callable[[int, int, bool, int], float]
SCHEMES: dict[str, tuple[Deviation, float]] = {
    "gpt2": (lambda n_in, n_out, is_output, L: 0.02 / math.sqrt(2 * L) if is_output else 0.02, TABLES),
    "unscaled": (lambda n_in, n_out, is_output, L: 0.02, TABLES),
    "xavier": (lambda n_in, n_out, is_output, L: math.sqrt(2 / (n_in + n_out)), TABLES),
    "he": (lambda n_in, n_out, is_output, L: math.sqrt(2 / n_in), TABLES),
    "large": (lambda n_in, n_out, is_output, L: 1.0, 1.0),
    "zeros": (lambda n_in, n_out, is_output, L: 0.0, 0.0),
}


@dataclass(frozen=True)
class InitialisationStudy:
    """`schemes`: name -> LayerNumbers; `guess`: ln V, the loss of a model that knows nothing."""

    schemes: dict[str, LayerNumbers]
    guess: float

    def table(self) -> str:
        """The loss, and each number at the first and last layer, as lines of text."""
        head = f"{'':<10}{'loss':>9}{'activation, layers 0 → L':>28}{'gradient, L → 0':>28}{'weights, L → 1':>28}"
        lines = [f"a guess has the loss ln V = {self.guess:.3f}; root mean squares:", head]
        for name, n in self.schemes.items():
            cells = (n.activation, n.gradient[::-1], n.weight_gradient[::-1])
            shown = [f"{values[0]:.2e} → {values[-1]:.2e}" for values in cells]
            lines.append(f"{name:<10}{n.loss:>9.3f}" + "".join(f"{cell:>28}" for cell in shown))
        return "\n".join(lines)

    def by_layer(self) -> dict[str, dict[str, np.ndarray]]:
        """scheme -> quantity -> values by layer: what `viz.LayerStatistics` draws."""
        return {
            name: {"activation": n.activation, "gradient": n.gradient, "weight gradient": n.weight_gradient}
            for name, n in self.schemes.items()
        }


def initialise(model: GPT, scheme: str, rng=None) -> None:
    """Draw all matrices and embeddings anew, normal with the scheme's deviations; biases 0, scales of norms 1.

    c_attn (C, 3C) counts as three matrices (C, C). Raises ArgumentError for an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise ArgumentError(f"there is no scheme {scheme!r}; there are {', '.join(SCHEMES)}")
    deviation, tables = SCHEMES[scheme]
    rng = as_generator(rng)
    new = {}
    for name, module in model.named_modules():
        for key, p in vars(module).items():
            if not isinstance(p, Tensor):
                continue
            if isinstance(module, Linear) and key == "weight":
                n_in, n_out = p.shape
                n_out = n_in if name.endswith("c_attn") else n_out
                std = deviation(n_in, n_out, name.endswith("c_proj"), len(model.h))
            else:
                std = tables
            if p.ndim == 1:
                new[f"{name}.{key}"] = np.full(p.shape, 1.0 if "ln_" in name and key == "weight" else 0.0)
            else:
                new[f"{name}.{key}"] = std * rng.standard_normal(p.shape)
    model.load_state_dict(new)


def layer_numbers(model: GPT, ids, targets) -> LayerNumbers:
    """Forward and backward once on ids and targets (B, T) each, without dropout; see inspect/stream.py."""
    return stream_numbers(model, {"GPT": list(model.h)}, lambda: model(ids, targets)[1])["GPT"]


def initialisation_study(
    config: GPTConfig, ids, targets, schemes: Sequence[str] = tuple(SCHEMES), seed=0
) -> InitialisationStudy:
    """A GPT of this config under each scheme, the same random numbers in all; on the numpy row, in float64.

    ids, targets: (B, T) each, one batch. Raises ArgumentError for an unknown scheme.
    """
    results = {}
    with use("numpy"):
        for scheme in schemes:
            model = GPT(config, seed=seed).astype(np.float64)
            initialise(model, scheme, seed)
            results[scheme] = layer_numbers(model, ids, targets)
    return InitialisationStudy(results, math.log(config.vocab_size))
