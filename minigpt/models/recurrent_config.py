"""The numbers that define a RecurrentLM."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..errors import ConfigError
from .config import check_counts, check_number, config_from_dict

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class RecurrentConfig:
    """vocab_size V, n_layer layers, n_embd channels C of the token table, cell "rnn", "lstm" or "gru".

    n_hidden     width H of the state; n_embd unless given
    tied         the head is the token table, which needs n_hidden = n_embd; else it has weights of its own
    block_size   length of the windows a trainer cuts; None: the data decides. It limits neither reading nor writing.
    bptt         gradients pass through at most so many tokens; None: through the whole window
    Raises ConfigError if the numbers do not fit together.
    """

    vocab_size: int
    n_layer: int
    n_embd: int
    cell: str = "lstm"
    n_hidden: int | None = None
    dropout: float = 0.0  # on the embedding, between layers, and before the head
    tied: bool = True
    block_size: int | None = None
    bptt: int | None = None

    def __post_init__(self):
        if self.n_hidden is None:
            object.__setattr__(self, "n_hidden", self.n_embd)
        optional = [name for name in ("block_size", "bptt") if getattr(self, name) is not None]
        check_counts(self, "vocab_size", "n_layer", "n_embd", "n_hidden", *optional)
        if self.cell not in GATES:
            raise ConfigError(f"cell must be one of {', '.join(map(repr, GATES))}, got {self.cell!r}")
        check_number(self, "dropout", 0.0, "in [0, 1)")
        if not isinstance(self.tied, bool):
            raise ConfigError(f"tied must be True or False, got {self.tied!r}")
        if self.tied and self.n_hidden != self.n_embd:
            raise ConfigError(
                f"a tied head multiplies h (n_hidden = {self.n_hidden}) with the token table (n_embd = {self.n_embd}): "
                "make them equal, or set tied=False"
            )

    @classmethod
    def from_dict(cls, values: dict) -> RecurrentConfig:
        return config_from_dict(cls, values)

    def to_dict(self) -> dict:
        return asdict(self)

    def n_parameters(self) -> int:
        """Learnable numbers of RecurrentLM(self), from the shapes alone."""
        V, C, H, G = self.vocab_size, self.n_embd, int(self.n_hidden or 0), GATES[self.cell]
        layers = sum(G * H * ((H if layer else C) + H + 2) for layer in range(self.n_layer))
        return V * C + layers + (0 if self.tied else H * V + V)
