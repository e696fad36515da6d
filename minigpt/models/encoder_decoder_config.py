"""The numbers that define an EncoderDecoder."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..errors import ConfigError
from .config import check_counts, check_heads, check_ids, check_number, config_from_dict

CHOICES = {"positions": ("sinusoidal", "learned"), "norm": ("pre", "post"), "activation": ("gelu", "relu")}


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """vocab_size V of the target, block_size the longest source and the longest target, n_layer blocks each, n_head
    heads, n_embd channels C; start_id and end_id: the target tokens before the first and after the last one.

    The defaults are those that train most easily; "Attention is all you need" has norm="post", activation="relu",
    dropout=0.1 and label_smoothing=0.1.
    Raises ConfigError if the numbers do not fit together.
    """

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    start_id: int
    end_id: int
    src_vocab_size: int | None = None  # of the source, with a table of its own; None: one table for both
    n_decoder_layer: int | None = None  # None: n_layer
    hidden: int | None = None  # width of the MLPs; None: 4C
    positions: str = "sinusoidal"  # or "learned"
    norm: str = "pre"  # or "post"
    activation: str = "gelu"  # or "relu"
    dropout: float = 0.0  # probability of dropping, in [0, 1)
    label_smoothing: float = 0.0  # share of the target that is spread over the vocabulary, in training only
    bias: bool = True  # biases in Linear and LayerNorm
    layer_norm_eps: float = 1e-5

    def __post_init__(self):
        optional = [n for n in ("src_vocab_size", "n_decoder_layer", "hidden") if getattr(self, n) is not None]
        check_counts(self, "vocab_size", "block_size", "n_layer", "n_head", "n_embd", *optional)
        check_number(self, "dropout", 0.0, "in [0, 1)")
        check_number(self, "label_smoothing", 0.0, "in [0, 1)")
        check_number(self, "layer_norm_eps", 1e-30, "above 0")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")
        if not isinstance(self.bias, bool):
            raise ConfigError(f"bias must be True or False, got {self.bias!r}")
        check_ids(self, "start_id", "end_id")
        check_heads(self)
        if self.positions == "sinusoidal" and self.n_embd % 2:
            raise ConfigError(f"sinusoidal positions need an even n_embd, got {self.n_embd}; or positions='learned'")

    @classmethod
    def from_dict(cls, values: dict) -> EncoderDecoderConfig:
        return config_from_dict(cls, values)

    def to_dict(self) -> dict:
        return asdict(self)

    def n_parameters(self) -> int:
        """Learnable numbers of EncoderDecoder(self), from the shapes alone."""
        C, F, bias = self.n_embd, self.hidden or 4 * self.n_embd, int(self.bias)
        norm = C + bias * C
        attention = 4 * C * C + bias * 4 * C
        mlp = 2 * C * F + bias * (F + C)
        encoder = self.n_layer * (attention + mlp + 2 * norm)
        decoder = (self.n_decoder_layer or self.n_layer) * (2 * attention + mlp + 3 * norm)
        tables = (self.vocab_size + (self.src_vocab_size or 0)) * C
        positions = 2 * self.block_size * C if self.positions == "learned" else 0
        return tables + positions + encoder + decoder + (2 * norm if self.norm == "pre" else 0)
