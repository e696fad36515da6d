"""RecurrentLM: a language model that reads one token after the other and remembers what it read in a state.

    x = wte[ids]                       what each token is
    y, state = rnn(x, state)           all that is known of the text so far is in the state, whatever its length
    logits = head(y)                   the token table again (tied), or a matrix of its own

Axes: B batch, T tokens, C = n_embd, H = n_hidden, V vocabulary. One step down: `nn/recurrent.py`.
Source: Mikolov et al. 2010; with LSTM: Sundermeyer, Schlüter & Ney 2012; tied head: Press & Wolf 2017.
"""

from __future__ import annotations

import sys

import numpy as np

from .. import functional as F
from .. import nn
from ..decoding.loop import generate_ids
from ..decoding.reader import Reader, id_rows
from ..errors import ShapeError
from ..nn.recurrent import selected
from ..randomness import as_generator
from ..tensor import Tensor
from .budget import check_memory
from .folder import TextModel
from .recurrent_config import RecurrentConfig

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
INIT_STD = 0.1  # of the token table: recurrent layers have no layer norm that would enlarge smaller numbers
NO_TARGET = -100  # a target that does not count: the `ignore_index` of cross entropy
NO_LIMIT = sys.maxsize  # a state has room for a text of any length


class RecurrentLM(TextModel):
    """Embedding, stacked recurrent layers with dropout between, head. config: a RecurrentConfig; seed as in GPT."""

    model_type = "minigpt-recurrent"
    config_class = RecurrentConfig

    def __init__(self, config: RecurrentConfig, seed=0):
        self.check_config(config)
        check_memory(config)
        rng = as_generator(seed)
        V, C, H = config.vocab_size, config.n_embd, config.n_hidden
        self.config = config
        self.wte = nn.Embedding(V, C, rng=rng, init_std=INIT_STD)
        self.drop = nn.Dropout(config.dropout, rng=rng)
        self.rnn = KINDS[config.cell](C, H, config.n_layer, rng=rng, dropout=config.dropout)
        self.head = None if config.tied else nn.Linear(H, V, rng=rng)

    def forward(self, ids, targets=None, state=None):
        """ids (B, T) integers; targets (B, T), already shifted by one -> (logits Tensor (B, T, V), loss or None)

        state: what was read before; see `read` for the state after. Raises ShapeError, ArgumentError.
        """
        logits, _ = self.read(ids, state)
        return logits, None if targets is None else F.cross_entropy(logits, targets)

    def read(self, ids, state=None):
        """(logits (B, T, V), the state after the last token): what the next piece of the same text goes on from."""
        y, state = self._hidden(ids, state)
        return self._scores(y), state

    def _hidden(self, ids, state=None, lengths=None):
        ids = id_rows("RecurrentLM", ids.data if isinstance(ids, Tensor) else ids)
        x = self.drop(self.wte(ids))  # (B, T, C)
        y, state = self.rnn(x, state, lengths)  # (B, T, H)
        return self.drop(y), state

    def _scores(self, y):
        return self.wte.scores(y) if self.head is None else self.head(y)  # (..., V)

    def loss_sum(self, ids, targets) -> tuple[Tensor, int]:
        """(sum of the losses in nats, number of tokens that count): what a trainer adds up over shards of a batch.

        With config.bptt, gradients end every bptt tokens: the state goes on without the graph (truncated
        back-propagation through time, Williams & Peng 1990). Raises ShapeError, ArgumentError.
        """
        ids, targets = id_rows("RecurrentLM", ids), np.asarray(targets)
        if targets.shape != ids.shape:
            raise ShapeError(f"RecurrentLM: targets {targets.shape} must have the shape of ids, {ids.shape}")
        T, state, parts = ids.shape[1], None, []
        step = self.config.bptt or T
        for start in range(0, T, step):
            logits, state = self.read(ids[:, start : start + step], state)
            parts.append(F.cross_entropy(logits, targets[:, start : start + step], reduction="sum"))
            state = nn.detached(state)
        return sum(parts[1:], parts[0]), int((targets != NO_TARGET).sum())

    def generate(
        self, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, seed=None, use_cache=True, eos_id=None,
        repetition_penalty=1.0, min_new_tokens=0,
    ) -> np.ndarray:  # fmt: skip
        """Prompt ids (B, T) -> prompt and continuation (B, T + new), int64; the settings are those of GPT.generate.

        The state is the cache. Without it (use_cache=False) the whole text is read anew for each token.
        """
        with self.evaluating():
            return generate_ids(
                self._next_logits, self._new_cache if use_cache else None, ids, max_new_tokens, block_size=NO_LIMIT,
                vocab_size=self.config.vocab_size, temperature=temperature, top_k=top_k, top_p=top_p,
                rng=as_generator(seed), eos_id=eos_id, repetition_penalty=repetition_penalty,
                min_new_tokens=min_new_tokens,
            )  # fmt: skip

    def reader(self, prompts, use_cache=True, vocab_size=None) -> Reader:
        """Prompts (B, T), or B lists of different lengths, ready for decoding; see GPT.reader."""
        return Reader(
            self._next_logits, self._new_cache if use_cache else None, prompts, block_size=NO_LIMIT,
            vocab_size=min(vocab_size or np.inf, self.config.vocab_size),
        )  # fmt: skip

    def _new_cache(self, batch: int) -> StateCache:
        return StateCache()

    def _next_logits(self, ids: np.ndarray, cache: StateCache | None) -> np.ndarray:
        """ids (B, T) -> logits of the token that follows (B, V)"""
        cache = cache or StateCache()
        ids, lengths = cache.left_aligned(ids)
        y, cache.state = self._hidden(ids, cache.state, lengths)  # (B, T, H)
        last = y.shape[1] - 1 if lengths is None else lengths - 1
        y = y[np.arange(y.shape[0]), last]  # (B, H)
        return self._scores(y).numpy()  # (B, V)

    def extra_repr(self):
        return ", ".join(f"{name}={value}" for name, value in self.config.to_dict().items())


class StateCache:
    """What a Reader keeps of the text read so far: the state. Its size does not grow with the text."""

    def __init__(self):
        self.state = None
        self.padding: np.ndarray | None = None

    def pad(self, padding) -> None:
        """Columns before the first token of each row, (B,); set before the first token is read."""
        self.padding = np.asarray(padding)

    def select(self, rows) -> None:
        """Row i becomes what row rows[i] was."""
        if self.state is not None:
            self.state = selected(self.state, rows)
        if self.padding is not None:
            self.padding = self.padding[rows]

    def left_aligned(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Ids with the padding moved behind the tokens, and how many tokens each row has; None: all columns.

        Padding comes only with the first tokens, so it is forgotten afterwards.
        """
        padding, self.padding = self.padding, None
        if padding is None:
            return ids, None
        columns = (np.arange(ids.shape[1]) + padding[:, None]) % ids.shape[1]  # (B, T)
        return np.take_along_axis(ids, columns, axis=1), ids.shape[1] - padding
