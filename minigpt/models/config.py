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
        check_counts(self, "vocab_size", "block_size", "n_layer", "n_head", "n_embd")
        check_number(self, "dropout", 0.0, "in [0, 1)")
        check_number(self, "layer_norm_eps", 1e-30, "above 0")
        if not isinstance(self.bias, bool):
            raise ConfigError(f"bias must be True or False, got {self.bias!r}")
        check_heads(self)

    @classmethod
    def named(cls, name: str, vocab_size: int | None = None, **changes) -> GPTConfig:
        """One of SHAPES; `changes` replace single numbers. The sizes of GPT-2 and GPT-3 bring their vocabulary size."""
        if not isinstance(name, str) or name not in SHAPES:
            raise ConfigError(f"there is no shape {name!r}; there are {', '.join(SHAPES)}")
        given = {} if vocab_size is None else {"vocab_size": vocab_size}
        values = {**SHAPES[name], **given, **changes}
        if "vocab_size" not in values:
            raise ConfigError(
                f"the shape {name!r} has no vocabulary of its own: "
                f"GPTConfig.named({name!r}, vocab_size=tokenizer.vocab_size)"
            )
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: dict) -> GPTConfig:
        return config_from_dict(cls, values)

    def to_dict(self) -> dict:
        return asdict(self)

    def n_parameters(self) -> int:
        """Learnable numbers of GPT(self), from the shapes alone: V C + T C + L (12 C^2 + 13 C) + 2 C with biases."""
        V, T, C, L = self.vocab_size, self.block_size, self.n_embd, self.n_layer
        norm = C + (C if self.bias else 0)
        # c_attn (C, 3C), c_proj (C, C), c_fc (C, 4C), c_proj (4C, C), each with one bias per output
        block = 2 * norm + 12 * C * C + (9 * C if self.bias else 0)
        return V * C + T * C + L * block + norm


def check_counts(config, *names: str) -> None:
    """These settings are positive integers, and become plain ints. Raises ConfigError."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} must be a positive integer, got {value!r}")
        object.__setattr__(config, name, int(value))  # NumPy's integers cannot be written as JSON


def check_ids(config, *names: str) -> None:
    """These settings are ids of the vocabulary, and become plain ints. Raises ConfigError."""
    for name in names:
        value = getattr(config, name)
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not 0 <= value < config.vocab_size:
            raise ConfigError(f"{name} must be a token id from 0 to {config.vocab_size - 1}, got {value!r}")
        object.__setattr__(config, name, int(value))


def check_number(config, name: str, least: float, wanted: str) -> None:
    """This setting is a number from `least` up and below 1. Raises ConfigError."""
    value = getattr(config, name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < 1.0:
        raise ConfigError(f"{name} must be a number {wanted}, got {value!r}")


def check_heads(config) -> None:
    """n_embd is divisible by n_head. Raises ConfigError with two suggestions."""
    n_embd, n_head = config.n_embd, config.n_head
    if n_embd % n_head:
        fitting = [n for n in range(1, n_embd + 1) if n_embd % n == 0]
        nearest = min(fitting, key=lambda n: abs(n - n_head))
        raise ConfigError(
            f"n_embd {n_embd} is not divisible by n_head {n_head}: a head gets n_embd / n_head channels. "
            f"n_head={nearest} would fit, or n_embd={n_head * -(-n_embd // n_head)}"
        )


def config_from_dict(cls, values: dict):
    """cls(**values). Raises ConfigError, naming all settings that are unknown or missing."""
    known = {field.name for field in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"unknown settings {unknown}; known are {sorted(known)}")
    missing = sorted({field.name for field in fields(cls) if field.default is MISSING} - set(values))
    if missing:
        raise ConfigError(f"settings {missing} are missing")
    return cls(**values)


def _shape(n_layer: int, n_head: int, n_embd: int, block_size: int, **vocab_size: int) -> dict[str, int]:
    return {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "block_size": block_size, **vocab_size}


_V = 50257  # 256 bytes, 50,000 merges and <|endoftext|>: GPT-2's byte-level BPE, which GPT-3 uses too

# The first is nanoGPT's CPU recipe, the second its shakespeare_char. GPT-2: Radford et al. 2019, table 2, with the
# heads of the published files. GPT-3: Brown et al. 2020, table 2.1, with a context of 2048. Two rows of that table
# contradict themselves; here a head keeps the 128 channels it has there, so gpt3-xl has 16 heads (not 24) and gpt3-13b
# 5120 channels (not 5140). GPT-3's attention is sparse in every other layer, ours dense in all.
SHAPES: dict[str, dict[str, int]] = {
    "baby": _shape(4, 4, 128, 64),
    "char": _shape(6, 6, 384, 256),
    "gpt2": _shape(12, 12, 768, 1024, vocab_size=_V),
    "gpt2-medium": _shape(24, 16, 1024, 1024, vocab_size=_V),
    "gpt2-large": _shape(36, 20, 1280, 1024, vocab_size=_V),
    "gpt2-xl": _shape(48, 25, 1600, 1024, vocab_size=_V),
    "gpt3-small": _shape(12, 12, 768, 2048, vocab_size=_V),
    "gpt3-medium": _shape(24, 16, 1024, 2048, vocab_size=_V),
    "gpt3-large": _shape(24, 16, 1536, 2048, vocab_size=_V),
    "gpt3-xl": _shape(24, 16, 2048, 2048, vocab_size=_V),
    "gpt3-2.7b": _shape(32, 32, 2560, 2048, vocab_size=_V),
    "gpt3-6.7b": _shape(32, 32, 4096, 2048, vocab_size=_V),
    "gpt3-13b": _shape(40, 40, 5120, 2048, vocab_size=_V),
    "gpt3-175b": _shape(96, 96, 12288, 2048, vocab_size=_V),
}
# Those whose weights are public: `minigpt data fetch NAME`, then GPT.from_pretrained(NAME).
PUBLISHED = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
