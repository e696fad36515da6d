"""Models of one size: the width of each architecture at which its parameters come closest to a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError
from ..models import GPT, GPTConfig, RecurrentConfig, RecurrentLM

NAMES = ("gpt", "lstm", "gru", "rnn")
TOLERANCE = 0.05
LAYERS = {"gpt": 4, "lstm": 2, "gru": 2, "rnn": 2}
HEADS = (4, 2, 1)  # of a GPT, the first that fits: its width moves in steps of so many channels


@dataclass(frozen=True)
class Sized:
    """An architecture at the width that fits the budget."""

    name: str
    config: Any

    def make(self, seed: int):
        return GPT(self.config, seed) if self.name == "gpt" else RecurrentLM(self.config, seed)

    @property
    def width(self) -> int:
        return self.config.n_embd

    @property
    def parameters(self) -> int:
        return self.config.n_parameters()


def sized(name: str, budget: int, vocab_size: int, block_size: int) -> Sized:
    """Raises ArgumentError for an unknown name, or if no width comes within 5 % of the budget."""
    if name not in NAMES:
        raise ArgumentError(f"there is no architecture {name!r}; there are {', '.join(NAMES)}")

    def config(width, heads):
        if name == "gpt":
            return GPTConfig(vocab_size, block_size, LAYERS[name], heads, width)
        return RecurrentConfig(vocab_size, LAYERS[name], width, cell=name, block_size=block_size)

    def nearest(heads):
        width = heads
        while config(width, heads).n_parameters() < budget:
            width += heads
        both = [config(w, heads) for w in (max(width - heads, heads), width)]
        return min(both, key=lambda c: abs(c.n_parameters() - budget))

    for heads in HEADS if name == "gpt" else (1,):
        best = nearest(heads)
        if abs(best.n_parameters() - budget) <= TOLERANCE * budget:
            return Sized(name, best)
    raise ArgumentError(
        f"{name}: no width comes within {TOLERANCE:.0%} of {budget:,} parameters; the nearest has "
        f"{best.n_parameters():,}. Choose a larger budget"
    )
