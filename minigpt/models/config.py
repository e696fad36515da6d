"""The numbers that define a GPT, and shapes with a name."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields

import numpy as np

from ..errors import ConfigError


@dataclass(frozen=True)
class GPTConfig:
    """vocab_size V, block_size the longest context T, n_layer blocks, n_head heads, n_embd channels C.

    Raises ConfigError if the numbers do not fit together.
    """

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    dropout: float = 0.0  # probability of dropping, in [0, 1)
    bias: bool = True  # biases in Linear and LayerNorm, as GPT-2 has them
    layer_norm_eps: float = 1e-5

    def __post_init__(self):
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} must be a positive integer, got {value!r}")
            object.__setattr__(self, name, int(value))  # NumPy's integers cannot be written as JSON
        for name, least, wanted in (("dropout", 0.0, "in [0, 1)"), ("layer_norm_eps", 1e-30, "above 0")):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < 1.0:
                raise ConfigError(f"{name} must be a number {wanted}, got {value!r}")
        if not isinstance(self.bias, bool):
            raise ConfigError(f"bias must be True or False, got {self.bias!r}")
        if self.n_embd % self.n_head:
            fitting = [n for n in range(1, self.n_embd + 1) if self.n_embd % n == 0]
            nearest = min(fitting, key=lambda n: abs(n - self.n_head))
            raise ConfigError(
                f"n_embd {self.n_embd} is not divisible by n_head {self.n_head}: a head gets n_embd / n_head channels. "
                f"n_head={nearest} would fit, or n_embd={self.n_head * -(-self.n_embd // self.n_head)}"
            )

    @classmethod
    def named(cls, name: str, vocab_size: int, **changes) -> GPTConfig:
        """One of SHAPES with a vocabulary size; `changes` replace single numbers."""
        if not isinstance(name, str) or name not in SHAPES:
            raise ConfigError(f"there is no shape {name!r}; there are {', '.join(SHAPES)}")
        return cls.from_dict({"vocab_size": vocab_size, **SHAPES[name], **changes})

    @classmethod
    def from_dict(cls, values: dict) -> GPTConfig:
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"unknown settings {unknown}; known are {sorted(known)}")
        missing = sorted({field.name for field in fields(cls) if field.default is MISSING} - set(values))
        if missing:
            raise ConfigError(f"settings {missing} are missing")
        return cls(**values)

    def to_dict(self) -> dict:
        return asdict(self)


# The first is nanoGPT's CPU recipe, the second its shakespeare_char, the third GPT-2's smallest.
SHAPES: dict[str, dict] = {
    "baby": {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64},
    "char": {"n_layer": 6, "n_head": 6, "n_embd": 384, "block_size": 256},
    "gpt2": {"n_layer": 12, "n_head": 12, "n_embd": 768, "block_size": 1024},
}
