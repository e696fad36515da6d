"""GPT: the page to read first.

A GPT reads token ids and says, for every position, how likely each token of the vocabulary comes next.

    x = wte[ids] + wpe[positions]          what each token is, plus where it stands
    x = block(x), n_layer times            tokens look at earlier tokens (attention), then each thinks alone (MLP)
    logits = ln_f(x) @ wte^T               the same table that read the tokens writes them

Axes: B batch, T tokens, C = n_embd channels, V vocabulary. One step down: `nn/block.py`, `nn/attention.py`.
Source: Radford et al. 2019 ("GPT-2"); parameter names are those of its public checkpoints.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import functional as F
from ..backend import current_row, row_of
from ..decoding.cache import KVCache
from ..decoding.loop import generate_ids
from ..decoding.reader import Reader, id_rows
from ..errors import ArgumentError, CheckpointError, ShapeError, TokenizerError
from ..nn import Block, Dropout, Embedding, LayerNorm, Module, ModuleList, quantized
from ..randomness import as_generator
from ..tensor import Tensor
from .budget import check_memory
from .config import GPTConfig

INIT_STD = 0.02  # of all matrices and tables, as in GPT-2


class GPT(Module):
    """A decoder-only transformer with learned positions, pre-norm blocks and a head tied to the token embedding.

    config:  a GPTConfig
    seed:    int, Generator or None; the initial weights are drawn from it
    Raises ConfigError, with both numbers, if the weights would not fit into this machine's memory.
    """

    def __init__(self, config: GPTConfig, seed=0):
        if not isinstance(config, GPTConfig):
            raise ArgumentError(
                f"GPT needs a GPTConfig, got {type(config).__name__}; from a dict: GPTConfig.from_dict(d)"
            )
        check_memory(config)
        rng = as_generator(seed)
        V, T, C = config.vocab_size, config.block_size, config.n_embd
        std = INIT_STD
        proj_std = (
            std / (2 * config.n_layer) ** 0.5
        )  # each block adds to the residual twice: keep its variance in bounds
        self.config = config
        self.wte = Embedding(V, C, rng=rng, init_std=std)
        self.wpe = Embedding(T, C, rng=rng, init_std=std)
        self.drop = Dropout(config.dropout, rng=rng)
        self.h = ModuleList(
            Block(
                C, config.n_head, causal=True, dropout=config.dropout, bias=config.bias, eps=config.layer_norm_eps,
                rng=rng, init_std=std, proj_std=proj_std,
            )
            for _ in range(config.n_layer)
        )  # fmt: skip
        self.ln_f = LayerNorm(C, config.layer_norm_eps, config.bias)
        self._tokenizer = None

    def forward(
        self, ids, targets=None, cache: KVCache | None = None, mask=None, positions=None, only_last=False
    ):  # fmt: skip
        """ids (B, T) integers; targets (B, T), already shifted by one -> (logits Tensor (B, T, V), loss or None)

        The loss is the mean cross entropy in nats per token; targets of -100 do not count. With a cache, ids are the
        tokens that follow those already in it.
        mask: boolean, True = may attend, broadcasts to (B, H, T, Tk), beside the causal one; positions: (T,) or (B, T),
        where each token stands, 0 … T - 1 unless given. Both serve several texts in one row (`data/packing.py`).
        only_last: logits of the last position alone, (B, 1, V), which is all that generation asks for; the head is the
        largest matrix of a small model.
        Raises ShapeError if ids are not (B, T) or longer than block_size, ArgumentError for ids out of range and for
        targets with only_last.
        """
        if only_last and targets is not None:
            raise ArgumentError("GPT: a loss needs the logits of all positions; leave only_last or targets out")
        x = self.hidden(ids, cache, mask, positions)  # (B, T, C)
        if only_last:
            x = x[:, -1:]  # (B, 1, C)
        x = self.ln_f(x)
        logits = self.wte.scores(x)  # (B, T, V)

        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits, targets)

    def hidden(self, ids, cache: KVCache | None = None, mask=None, positions=None) -> Tensor:
        """What the last block puts out, (B, T, C): all of forward but ln_f and the head."""
        ids = self._check(ids, cache)
        T = ids.shape[1]
        if positions is None:
            positions = cache.positions(T) if cache else np.arange(T)  # (T,), or (B, T) after prompts of unequal length
        elif np.shape(positions) not in ((T,), ids.shape):
            raise ShapeError(f"GPT: positions {np.shape(positions)} must be (T,) or (B, T) as ids {ids.shape}")
        if cache and mask is None:
            mask = cache.mask(T)

        x = self.wte(ids) + self.wpe(positions)  # (B, T, C)
        x = self.drop(x)
        for i, block in enumerate(self.h):
            x = block(x, mask=mask, cache=cache.layers[i] if cache else None)  # (B, T, C)
        return x

    def loss_sum(self, ids, targets, mask=None, positions=None) -> tuple[Tensor, int]:
        """(sum of the losses in nats, number of tokens that count): what a trainer adds up over shards of a batch."""
        logits, _ = self(ids, mask=mask, positions=positions)
        return F.cross_entropy(logits, targets, reduction="sum"), int((np.asarray(targets) != -100).sum())

    def generate(
        self, ids, max_new_tokens, temperature=1.0, top_k=None, top_p=None, seed=None, use_cache=True, eos_id=None,
        repetition_penalty=1.0, min_new_tokens=0,
    ) -> np.ndarray:  # fmt: skip
        """Prompt ids (B, T) -> prompt and continuation (B, T + new), int64.

        temperature 0 takes the likeliest token; top_k keeps the k likeliest, top_p the smallest set that holds that
        much probability; repetition_penalty and min_new_tokens: see decoding/sampling.py. Rows that reached eos_id are
        filled up with it. Past block_size the last block_size tokens
        are read anew for each token, since learned positions make old keys invalid; a warning says so once.
        """
        with self.evaluating():
            return generate_ids(
                    self._next_logits, self._new_cache if use_cache else None, ids, max_new_tokens,
                    block_size=self.config.block_size, vocab_size=self.config.vocab_size,
                    temperature=temperature, top_k=top_k, top_p=top_p,
                    rng=as_generator(seed), eos_id=eos_id,
                    repetition_penalty=repetition_penalty, min_new_tokens=min_new_tokens,
                )  # fmt: skip

    def reader(self, prompts, use_cache=True, vocab_size=None, cache=None) -> Reader:
        """Prompts (B, T), or B lists of different lengths, ready for decoding.decode and decoding.beam_search.

        Use it inside `with model.evaluating():`. vocab_size: only ids below it may follow; all by default. cache: that
        of an earlier reader, rewound to what its text and this single prompt have in common.
        """
        return Reader(
            self._next_logits, self._new_cache if use_cache else None, prompts, cache=cache,
            block_size=self.config.block_size, vocab_size=min(vocab_size or np.inf, self.config.vocab_size),
        )  # fmt: skip

    def resize_vocab(self, n: int, rng=None) -> GPT:
        """Make room for n tokens, for example `tok.vocab_size` after tok.add_special_tokens; returns self.

        Known tokens keep their rows bit for bit. New rows are drawn like those of a new model, from rng (int, Generator
        or None); the mean of the old rows is a common alternative, which starts nearer to the rest. With smaller n the
        last rows are dropped. An optimizer or Trainer made before holds the old sizes: make a new one.
        Raises ConfigError for n below 1, ArgumentError if the model's tokenizer has more tokens.
        """
        from .vocabulary import resize_vocab

        resize_vocab(self, n, rng, INIT_STD)
        return self

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> GPT:
        """Read a folder in the layout of Hugging Face's GPT-2: config.json, model.safetensors or shards with an index.

        A tokenizer beside them comes along. float16 and bfloat16 become float32, ready to train. "gpt2", "gpt2-medium",
        "gpt2-large" and "gpt2-xl" stand for what `minigpt data fetch` has downloaded. Raises CheckpointError.
        """
        from .pretrained import load_gpt

        return load_gpt(cls, folder)

    def save_pretrained(self, folder: str | Path, max_shard_bytes: int | None = None) -> None:
        """Write config.json and model.safetensors in that layout, each replaced in one piece.

        max_shard_bytes: larger weights go into files of at most that size, with an index. Raises CheckpointError.
        """
        from .pretrained import save_gpt

        if not isinstance(self.wte, Embedding):
            raise CheckpointError(
                "int8 weights are not saved, the files hold floats: save the float model, and quantize() after loading"
            )
        save_gpt(self, folder, max_shard_bytes)

    def quantize(self) -> GPT:
        """A copy whose matrices are int8, one scale per output, and whose head is still its token table: for reading.

        A quarter of the bytes, so decoding is faster; `minigpt bench int8` shows what it costs in perplexity. The
        copy cannot be trained or saved. Raises NumericsError for weights that are not finite.
        """
        return quantized(self, keep=(self.wpe,))  # of the positions one row is read at a time: nothing to gain

    @property
    def tokenizer(self):
        """The tokenizer that belongs to the weights. Raises TokenizerError if none came with them."""
        if self._tokenizer is None:
            raise TokenizerError(
                "this model has no tokenizer: no tokenizer file lay beside its weights. Set model.tokenizer = tok, "
                "or pass the tokenizer to the function"
            )
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer):
        if tokenizer is not None and tokenizer.vocab_size > self.config.vocab_size:
            raise ArgumentError(
                f"the tokenizer knows {tokenizer.vocab_size} tokens, the model only {self.config.vocab_size}"
            )
        self._tokenizer = tokenizer

    def _new_cache(self, batch: int) -> KVCache:
        c = self.config
        row = row_of(self.wpe.weight.data) or current_row()
        return KVCache(row, c.n_layer, batch, c.n_head, c.block_size, c.n_embd // c.n_head, self.wpe.weight.dtype)

    def _next_logits(self, ids: np.ndarray, cache: KVCache | None) -> np.ndarray:
        """ids (B, T) -> logits of the token that follows (B, V)"""
        logits, _ = self(ids, cache=cache, only_last=True)  # (B, 1, V)
        return logits.numpy()[:, 0]  # (B, V)

    def _check(self, ids, cache):
        ids = id_rows("GPT", ids.data if isinstance(ids, Tensor) else ids)
        total = ids.shape[1] + (cache.length if cache else 0)
        if total > self.config.block_size:
            raise ShapeError(
                f"GPT: {total} tokens are more than block_size = {self.config.block_size} positions; pass the last "
                f"{self.config.block_size} only: ids[:, -{self.config.block_size}:]"
            )
        return ids

    def extra_repr(self):
        return ", ".join(f"{name}={value}" for name, value in self.config.to_dict().items())
