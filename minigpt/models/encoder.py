"""Encoder: a transformer whose tokens look both ways; MaskedLM: one that fills blanks.

A GPT may look back only, since it is to say what comes next. Where the whole text is there, nothing forbids to look
ahead as well: the same blocks without the causal mask.

    x = wte[ids] + wpe[positions]          as in gpt.py
    x = block(x), n_layer times            attention over all tokens but padding
    hidden = ln_f(x)                       one vector for each token, made from both its sides
    logits = hidden @ wte^T                what stands at each place; learned at blanks only, `data/masking.py`

Axes: B batch, T tokens, C = n_embd channels, V vocabulary, N places that are learned.
Source: Devlin et al. 2019 ("BERT"); here with pre-norm blocks and learned positions as in GPT-2, and without BERT's
segment embeddings, next-sentence task, and layer between hidden and logits: so a MaskedLM has exactly the parameters of
the GPT of the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import functional as F
from ..decoding.reader import id_rows
from ..errors import ArgumentError, ConfigError, ShapeError
from ..nn import Block, Dropout, Embedding, LayerNorm, Module, ModuleList, sinusoids
from ..randomness import Undrawn, as_generator
from ..tensor import Tensor
from .budget import check_memory
from .config import GPTConfig
from .folder import TextModel

NO_LOSS = -100  # a target that does not count


@dataclass(frozen=True)
class EncoderConfig(GPTConfig):
    """The numbers of a GPT, and two ids. Raises ConfigError if they do not fit together.

    mask_id: stands for a blank; pad_id: fills up short rows, where no mask is given nobody attends to it
    """

    mask_id: int | None = None
    pad_id: int | None = None

    def __post_init__(self):
        super().__post_init__()
        for name in ("mask_id", "pad_id"):
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 0 <= value < self.vocab_size:
                raise ConfigError(f"{name} must be an id in 0 … {self.vocab_size - 1}, or None; got {value!r}")
            object.__setattr__(self, name, int(value))
        if self.mask_id is not None and self.mask_id == self.pad_id:
            raise ConfigError(f"mask_id and pad_id are both {self.mask_id}: a blank is not padding")


class Encoder(Module):
    """ids (B, T) -> hidden (B, T, C), each token's vector made from all tokens of its row

    config: an EncoderConfig; rng: int, Generator or None, from which the weights are drawn
    """

    def __init__(self, config: EncoderConfig, rng=None):
        rng = as_generator(rng)
        C = config.n_embd
        # BERT's 0.02 belongs to its 768 channels. In narrow models it makes queries and keys so small that attention is
        # all but uniform, and blanks, which say nothing of their own, take long to find their neighbours. With the 64
        # channels of `minigpt bench objectives`, training loss at steps 300 to 400: 2.94 with 0.02, 2.56 with this.
        std = (3 * C) ** -0.5  # 0.021 for 768 channels
        proj_std = std / (2 * config.n_layer) ** 0.5  # as in gpt.py
        self.config = config
        self.wte = Embedding(config.vocab_size, C, rng=rng, init_std=std)
        self.wpe = Embedding(config.block_size, C, rng=rng, init_std=std)
        if not isinstance(rng, Undrawn):
            # Sine waves to begin with, learned from there on: a step to the neighbour is the same linear map at every
            # place, so what one blank learns about its neighbours helps all; from random positions each place would
            # have to learn it for itself (2.63 in place of the 2.56 above).
            waves = sinusoids(config.block_size, C + C % 2)[:, :C]  # (T, C)
            self.wpe.weight.data[...] = std * 2**0.5 * waves
        self.drop = Dropout(config.dropout, rng=rng)
        self.h = ModuleList(
            Block(
                C, config.n_head, causal=False, dropout=config.dropout, bias=config.bias, eps=config.layer_norm_eps,
                rng=rng, init_std=std, proj_std=proj_std,
            )
            for _ in range(config.n_layer)
        )  # fmt: skip
        self.ln_f = LayerNorm(C, config.layer_norm_eps, config.bias)

    def forward(self, ids, mask=None) -> Tensor:
        """mask: (B, T) boolean, True = a token, False = padding; without it, padding is where ids are config.pad_id.

        What comes out at padding means nothing. Raises ShapeError if ids are not (B, T), are longer than block_size, or
        have a mask of another shape; ArgumentError for a row of padding only.
        """
        ids = self.check_ids(ids)
        tokens = self.token_mask(ids, mask)  # (B, T)
        keys = None if tokens.all() else tokens[:, None, None, :]  # (B, 1, 1, T): for all heads and queries
        x = self.wte(ids) + self.wpe(np.arange(ids.shape[1]))  # (B, T, C)
        x = self.drop(x)
        for block in self.h:
            x = block(x, mask=keys)  # (B, T, C)
        return self.ln_f(x)

    def check_ids(self, ids) -> np.ndarray:
        ids = id_rows("encoder", ids.numpy() if isinstance(ids, Tensor) else ids)
        if ids.shape[1] > self.config.block_size:
            raise ShapeError(
                f"encoder: {ids.shape[1]} tokens are more than block_size = {self.config.block_size} positions; cut "
                "the text into pieces of at most so many"
            )
        return ids

    def token_mask(self, ids: np.ndarray, mask=None) -> np.ndarray:
        """True where there is a token, (B, T): the mask that was given, checked, or else what is not padding."""
        if mask is None:
            mask = np.ones(ids.shape, bool) if self.config.pad_id is None else ids != self.config.pad_id
        mask = np.asarray(mask.numpy() if isinstance(mask, Tensor) else mask)
        if mask.shape != ids.shape or mask.dtype != bool:
            raise ShapeError(
                f"encoder: mask must be boolean of shape (B, T) = {ids.shape} as ids, True = a token, False = padding; "
                f"got {mask.dtype} {mask.shape}"
            )
        empty = np.flatnonzero(~mask.any(axis=1))
        if empty.size:
            raise ArgumentError(f"encoder: row {empty[0]} is padding only, so there is nothing to read; leave it out")
        return mask


class MaskedLM(TextModel):
    """Fills blanks: for each place the probability of every token, read off both sides.

    config:  an EncoderConfig; seed: int, Generator or None, from which the weights are drawn
    Raises ConfigError, with both numbers, if the weights would not fit into this machine's memory.
    """

    model_type = "minigpt-masked-lm"
    config_class = EncoderConfig

    def __init__(self, config: EncoderConfig, seed=0):
        self.check_config(config)
        check_memory(config)
        self.config = config
        self.encoder = Encoder(config, as_generator(seed))

    def forward(self, ids, targets=None, mask=None):
        """ids (B, T), targets (B, T) or None, mask (B, T) or None -> (logits Tensor (B, T, V), loss or None)

        The loss is the mean cross entropy in nats over the places whose target is not −100. mask, errors: see Encoder.
        """
        logits = self.encoder.wte.scores(self.encoder(ids, mask))  # (B, T, V)
        return logits, None if targets is None else F.cross_entropy(logits, targets)

    def loss_sum(self, ids, targets, mask=None) -> tuple[Tensor, int]:
        """(sum of the losses in nats, number of places that count): what a trainer adds up over shards of a batch.

        Logits are worked out at those places only: 15 % of them, and the head is the largest matrix of a small model.
        Raises ShapeError for targets of another shape than ids; ArgumentError if no place counts.
        """
        targets = np.asarray(targets)
        if targets.shape != np.shape(ids):
            raise ShapeError(f"MaskedLM: targets {targets.shape} must have the shape of ids, {np.shape(ids)}")
        learned = np.nonzero(targets != NO_LOSS)  # row and column of N places
        if len(learned[0]) == 0:
            raise ArgumentError(
                f"MaskedLM: all targets are {NO_LOSS}, nothing is masked, so there is nothing to learn; "
                "data.Masking masks at least one token of each row"
            )
        hidden = self.encoder(ids, mask)[learned]  # (N, C)
        logits = self.encoder.wte.scores(hidden)  # (N, V)
        return F.cross_entropy(logits, targets[learned], reduction="sum"), len(learned[0])

    def fill(self, text, tok=None, k: int = 5):
        """The k likeliest tokens for every blank: a list for each blank, best first, of (token, id, probability).

        text: a string in which `<mask>` or ___ (three underscores) stands for one token each; or ids with mask_id
        tok:  the tokenizer; model.tokenizer unless given. See `models/fill.py`.
        """
        from .fill import fill_blanks

        return fill_blanks(self, text, self.tokenizer if tok is None else tok, k)
