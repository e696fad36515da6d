"""RecurrentSeq2Seq: an LSTM reads the source, another one writes the target and looks back by attention.

    memory, state = encoder(src_emb[src])             one state for each token of the source
    y, _ = decoder(tgt_emb[tgt], state)               the decoder begins where the encoder ended
    z = attention(y, memory)                          what of the source matters at this step
    logits = head(ln(tanh([z, y] @ combine)))

Attention acts after the decoder's step (Luong, Pham & Manning 2015, section 3), whichever score is chosen, so that all
steps run in one op; Bahdanau, Cho & Bengio 2015 let it act before, and feed z into the next step.

Axes: B batch, S source tokens, T target tokens, C = n_embd channels of tables and states, V vocabulary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .. import functional as F
from .. import nn
from ..decoding import Reader, Sampling, decode
from ..decoding.reader import id_rows
from ..errors import ConfigError, ShapeError
from ..nn.recurrent import selected
from ..nn.recurrent_attention import SCORES, RecurrentAttention
from ..randomness import as_generator
from ..tensor import Tensor
from .config import check_counts, check_heads, check_ids, check_number, config_from_dict
from .folder import TextModel
from .recurrent import NO_LIMIT, NO_TARGET


@dataclass(frozen=True)
class Seq2SeqConfig:
    """vocab_size V of both languages, start_id and end_id of a target; attention: "additive" (Bahdanau), "general" or
    "dot" (Luong), "multihead" (n_head heads). Raises ConfigError."""

    vocab_size: int
    n_embd: int
    start_id: int
    end_id: int
    n_layer: int = 1
    attention: str = "additive"
    n_head: int = 4
    dropout: float = 0.0

    def __post_init__(self):
        check_counts(self, "vocab_size", "n_embd", "n_layer", "n_head")
        check_ids(self, "start_id", "end_id")
        check_number(self, "dropout", 0.0, "in [0, 1)")
        if self.attention not in (*SCORES, "multihead"):
            raise ConfigError(f"attention must be one of {', '.join(SCORES)}, multihead; got {self.attention!r}")
        if self.attention == "multihead":
            check_heads(self)

    @classmethod
    def from_dict(cls, values: dict) -> Seq2SeqConfig:
        return config_from_dict(cls, values)

    def to_dict(self) -> dict:
        return asdict(self)


class RecurrentSeq2Seq(TextModel):
    """config: a Seq2SeqConfig; seed: int, Generator or None."""

    model_type = "minigpt-recurrent-seq2seq"
    config_class = Seq2SeqConfig

    def __init__(self, config: Seq2SeqConfig, seed=0):
        self.check_config(config)
        rng = as_generator(seed)
        V, C = config.vocab_size, config.n_embd
        self.config = config
        self.src_emb = nn.Embedding(V, C, rng=rng, init_std=0.1)
        self.tgt_emb = nn.Embedding(V, C, rng=rng, init_std=0.1)
        self.encoder = nn.LSTM(C, C, config.n_layer, rng=rng, dropout=config.dropout)
        self.decoder = nn.LSTM(C, C, config.n_layer, rng=rng, dropout=config.dropout)
        self.attention: nn.Module
        if config.attention == "multihead":
            self.attention = nn.MultiHeadAttention(C, config.n_head, rng=rng)
        else:
            self.attention = RecurrentAttention(C, config.attention, rng=rng)
        self.combine = nn.Linear(2 * C, C, bias=False, rng=rng)
        self.ln = nn.LayerNorm(C)
        self.drop = nn.Dropout(config.dropout, rng=rng)
        self.head = nn.Linear(C, V, rng=rng)

    def forward(self, src, tgt, targets=None, src_mask=None):
        """src (B, S), tgt (B, T) beginning with start_id; targets (B, T), -100 where none counts -> (logits, loss)

        src_mask: boolean (B, S), True for tokens; padding may only follow them.
        """
        memory, state = self.encode(src, src_mask)
        logits, _ = self.decode(tgt, memory, state, src_mask)
        return logits, None if targets is None else F.cross_entropy(logits, targets)

    def loss_sum(self, src, tgt, targets, src_mask=None) -> tuple[Tensor, int]:
        """(sum of the losses in nats, number of targets that count)."""
        logits, _ = self(src, tgt, None, src_mask)
        loss = F.cross_entropy(logits, targets, NO_TARGET, "sum")
        return loss, int((np.asarray(targets) != NO_TARGET).sum())

    def encode(self, src, src_mask=None):
        """(memory (B, S, C), the encoder's state after each row's last token)"""
        src = id_rows("RecurrentSeq2Seq", src)
        lengths = None if src_mask is None else source_lengths(src, src_mask)
        return self.encoder(self.drop(self.src_emb(src)), None, lengths)  # (B, S, C)

    def decode(self, tgt, memory, state, src_mask=None):
        """(logits (B, T, V), the decoder's state after the last token)"""
        tgt = id_rows("RecurrentSeq2Seq", tgt)
        if tgt.shape[0] != memory.shape[0]:
            raise ShapeError(f"RecurrentSeq2Seq: {memory.shape[0]} sources, but tgt has {tgt.shape[0]} rows")
        y, state = self.decoder(self.drop(self.tgt_emb(tgt)), state)  # (B, T, C)
        mask = None if src_mask is None else np.asarray(src_mask)[:, None, None]  # (B, 1, 1, S)
        z = self.attention(y, memory, mask=mask)  # (B, T, C)
        x = F.tanh(self.combine(F.concatenate([z, y], axis=-1)))  # (B, T, C)
        return self.head(self.drop(self.ln(x))), state  # (B, T, V)

    def reader(self, src, src_mask=None) -> Reader:
        """Sources ready for decoding.decode and decoding.beam_search (one source). Inside model.evaluating()."""
        memory, state = self.encode(src, src_mask)

        def new_cache(batch):
            return SourceCache(memory, state, src_mask)

        prompts = np.full((len(src), 1), self.config.start_id)
        return Reader(
            self._next_logits, new_cache, prompts, block_size=NO_LIMIT, vocab_size=self.config.vocab_size
        )  # fmt: skip

    def generate(self, src, max_new_tokens, temperature=0.0, top_k=None, top_p=None, seed=None, src_mask=None):
        """The target of each source, (B, max_new_tokens) int64, filled up with end_id; temperature 0 is greedy."""
        with self.evaluating():
            reader = self.reader(src, src_mask)
            steps = decode(
                reader, max_new_tokens, Sampling(temperature, top_k, top_p), as_generator(seed),
                eos_id=self.config.end_id,
            )  # fmt: skip
            out = np.full((len(src), max_new_tokens), self.config.end_id, np.int64)
            for column, step in enumerate(steps):
                out[step.rows, column] = step.ids
        return out

    def _next_logits(self, ids, cache) -> np.ndarray:
        logits, cache.state = self.decode(ids, cache.memory, cache.state, cache.src_mask)
        return logits.numpy()[:, -1]  # (B, V)

    def extra_repr(self):
        return ", ".join(f"{name}={value}" for name, value in self.config.to_dict().items())


class SourceCache:
    """What decoding keeps: the encoder's memory and mask, and the decoder's state."""

    def __init__(self, memory, state, src_mask):
        self.memory, self.state = memory, state
        self.src_mask = None if src_mask is None else np.asarray(src_mask)

    def select(self, rows) -> None:
        """Row i becomes what row rows[i] was."""
        self.memory, self.state = self.memory.detach()[rows], selected(self.state, rows)
        if self.src_mask is not None:
            self.src_mask = self.src_mask[rows]


def source_lengths(src, src_mask) -> np.ndarray:
    """How many tokens each row of a boolean mask (B, S) has. Raises ShapeError for a mask of another kind."""
    mask = np.asarray(src_mask)
    if mask.shape != src.shape or mask.dtype.kind != "b":
        raise ShapeError(
            f"RecurrentSeq2Seq: src_mask must be boolean (B, S) as src {src.shape}, got {mask.dtype} {mask.shape}"
        )
    lengths = mask.sum(axis=1)  # (B,)
    wrong = np.flatnonzero((mask != (np.arange(mask.shape[1]) < lengths[:, None])).any(axis=1) | (lengths == 0))
    if wrong.size:
        raise ShapeError(
            f"RecurrentSeq2Seq: row {int(wrong[0])} of src_mask is not True for the first tokens and False after them; "
            "the encoder reads from left to right, so padding follows the tokens, and each source has at least one"
        )
    return lengths
