"""EncoderDecoder: the transformer of "Attention is all you need", which turns one sequence into another.

The encoder reads the source in both directions. The decoder writes the target from left to right, and at every step
looks back at what it has written (causal self-attention) and at all of the source (cross-attention).

    memory = encoder(source)                       once for each source
    x = wte[target] * sqrt(C) + positions          the target begins with <start>
    x = block(x, memory), n_layer times
    logits = x @ wte^T                             position t says what comes after target[: t + 1], at last <end>

Axes: B batch, S source tokens, T target tokens, C = n_embd channels, V vocabulary. One step down:
`nn/encoder_block.py`, `nn/decoder_block.py`, `nn/attention.py`. The plain GPT is the decoder alone: `gpt.py`.
Source: Vaswani et al. 2017
"""

from __future__ import annotations

import numpy as np

from .. import functional as F
from ..backend import current_row, row_of
from ..decoding.beam import beam_search
from ..decoding.cache import DecoderCache
from ..decoding.loop import decode
from ..decoding.reader import Reader, id_rows
from ..decoding.sampling import Sampling, check_count
from ..errors import ArgumentError, ShapeError
from ..nn import (
    DecoderBlock,
    Dropout,
    Embedding,
    EncoderBlock,
    LayerNorm,
    LearnedPositions,
    ModuleList,
    SinusoidalPositions,
)
from ..randomness import as_generator
from ..tensor import Tensor
from .budget import check_memory
from .encoder_decoder_config import EncoderDecoderConfig
from .folder import TextModel
from .source import source_mask, source_rows

NO_TARGET = -100  # a target that does not count: the `ignore_index` of cross entropy


class EncoderDecoder(TextModel):
    """Encoder and decoder stacks of equal width; the head is tied to the target's token table.

    config:  an EncoderDecoderConfig
    seed:    int, Generator or None; the initial weights are drawn from it
    tokenizer: that of both sides, or of the target alone where src_vocab_size gives the source a table of its own
    Token tables are drawn with deviation 1 / sqrt(C) and read times sqrt(C), so that what a token is and where it
    stands are of one size (Vaswani et al. 2017, section 3.4), and the tied head still begins with small logits.
    """

    model_type = "minigpt-encoder-decoder"
    config_class = EncoderDecoderConfig

    def __init__(self, config: EncoderDecoderConfig, seed=0):
        self.check_config(config)
        check_memory(config)
        rng = as_generator(seed)
        C, std = config.n_embd, config.n_embd**-0.5
        shape = {
            "hidden": config.hidden, "norm": config.norm, "activation": config.activation, "dropout": config.dropout,
            "bias": config.bias, "eps": config.layer_norm_eps, "rng": rng,
        }  # fmt: skip
        self.config = config
        own_table = config.src_vocab_size is not None
        self.src_wte = Embedding(config.src_vocab_size, C, rng=rng, init_std=std) if own_table else None
        self.wte = Embedding(config.vocab_size, C, rng=rng, init_std=std)
        self.src_wpe, self.wpe = (_positions(config, rng) for _ in range(2))
        self.drop = Dropout(config.dropout, rng=rng)
        n_decoder = config.n_decoder_layer or config.n_layer
        self.encoder = ModuleList(EncoderBlock(C, config.n_head, **shape) for _ in range(config.n_layer))
        self.decoder = ModuleList(DecoderBlock(C, config.n_head, **shape) for _ in range(n_decoder))
        # a pre-norm stream has not been normalised when it comes out; a post-norm one has
        self.ln_encoder, self.ln_decoder = (
            LayerNorm(C, config.layer_norm_eps, config.bias) if config.norm == "pre" else None for _ in range(2)
        )

    def forward(self, src, tgt, targets=None, src_mask=None, tgt_mask=None):
        """src (B, S), tgt (B, T) integers, tgt beginning with start_id -> (logits Tensor (B, T, V), loss or None)

        src_mask (B, S), tgt_mask (B, T): boolean, True for real tokens, False for padding. Padding that comes after
        the target needs no mask: causal attention never looks at it from a real token.
        targets (B, T): what comes after each position, -100 where nothing counts; the loss is their mean cross entropy
        in nats, smoothed in training mode if the config says so.
        Raises ShapeError, ArgumentError.
        """
        logits = self.decode(tgt, self.encode(src, src_mask), src_mask, tgt_mask)  # (B, T, V)
        return logits, None if targets is None else self._loss(logits, targets, "mean")

    def encode(self, src, src_mask=None) -> Tensor:
        """The source as the decoder sees it: src (B, S) -> memory (B, S, C)"""
        src = self._checked_ids("the source", src)
        mask = source_mask(src_mask, src.shape)  # (B, 1, 1, S)
        x = (self.src_wte or self.wte)(src) * self.config.n_embd**0.5  # (B, S, C)
        x = self.drop(x + self.src_wpe(np.arange(src.shape[1]), dtype=x.dtype))
        for block in self.encoder:
            x = block(x, mask=mask)  # (B, S, C)
        return self.ln_encoder(x) if self.ln_encoder else x

    def decode(self, tgt, memory, src_mask=None, tgt_mask=None, cache: DecoderCache | None = None) -> Tensor:
        """tgt (B, T), memory (B, S, C) as `encode` gives it -> logits (B, T, V)

        With a cache, tgt are the tokens that follow those already in it, and memory is None: the cache has its keys
        and values. Raises ShapeError for a memory of another width, or a target longer than block_size.
        """
        read = cache.length if cache else 0
        tgt = self._checked_ids("the target", tgt, read)
        T = tgt.shape[1]
        if cache:
            contexts = [(Tensor(k), Tensor(v)) for k, v in cache.contexts]  # (B, H, S, D) each
            context_mask, mask = cache.context_mask, None
        else:
            self._check_memory(memory, len(tgt))
            contexts = [memory] * len(self.decoder)
            context_mask = source_mask(src_mask, memory.shape[:2])  # (B, 1, 1, S)
            mask = source_mask(tgt_mask, tgt.shape, "tgt_mask")  # (B, 1, 1, T)
        x = self.wte(tgt) * self.config.n_embd**0.5  # (B, T, C)
        x = self.drop(x + self.wpe(np.arange(read, read + T), dtype=x.dtype))
        for i, block in enumerate(self.decoder):
            x = block(x, contexts[i], context_mask, mask, cache=cache.layers[i] if cache else None)  # (B, T, C)
        if self.ln_decoder:
            x = self.ln_decoder(x)
        return self.wte.scores(x)  # (B, T, V)

    def loss_sum(self, src, tgt, targets, src_mask=None, tgt_mask=None) -> tuple[Tensor, int]:
        """(sum of the losses in nats, number of targets that count): what a trainer adds up over shards of a batch."""
        logits = self.decode(tgt, self.encode(src, src_mask), src_mask, tgt_mask)  # (B, T, V)
        return self._loss(logits, targets, "sum"), int((np.asarray(targets) != NO_TARGET).sum())

    def _loss(self, logits, targets, reduction) -> Tensor:
        if np.shape(targets) != logits.shape[:2]:
            raise ShapeError(f"EncoderDecoder: targets {np.shape(targets)} must be (B, T) as tgt {logits.shape[:2]}")
        smoothing = self.config.label_smoothing if self.training else 0.0  # what is measured is the plain loss
        return F.cross_entropy(logits, targets, NO_TARGET, reduction, smoothing)

    def generate(
        self, src, max_new_tokens=None, temperature=0.0, top_k=None, top_p=None, seed=None, src_mask=None, beams=1,
        length_penalty=1.0, repetition_penalty=1.0, min_new_tokens=0,
    ) -> np.ndarray:  # fmt: skip
        """Sources (B, S), or B lists of different lengths -> targets (B, max_new_tokens) int64, without start_id.

        A target ends with end_id, and is filled up with it; max_new_tokens is block_size unless given. temperature 0
        takes the likeliest token each time, which is usual where there is one right answer; beams above 1 searches
        for the likeliest target as a whole (decoding/beam.py). The sources are read once.
        Raises ArgumentError, ShapeError
        """
        longest = self.config.block_size
        steps = longest if max_new_tokens is None else max_new_tokens
        check_count("max_new_tokens", steps)
        check_count("beams", beams, 1)
        if steps > longest:
            raise ArgumentError(f"max_new_tokens {steps} is more than block_size {longest}, the longest target")
        if beams > 1 and temperature:
            raise ArgumentError(f"beam search draws nothing: temperature 0 with beams={beams}, got {temperature!r}")
        src, src_mask = source_rows(src, src_mask)
        end = self.config.end_id
        out = np.full((len(src), steps), end, np.int64)
        with self.evaluating():
            if beams > 1:
                for b, row in enumerate(src):
                    reader = self.reader(row[None], None if src_mask is None else src_mask[b : b + 1])
                    best = beam_search(
                        reader, steps, beams, length_penalty=length_penalty, eos_id=end,
                        repetition_penalty=repetition_penalty, min_new_tokens=min_new_tokens,
                    )[0]  # fmt: skip
                    out[b, : len(best.ids)] = best.ids
                return out
            sampling = Sampling(temperature, top_k, top_p, repetition_penalty, min_new_tokens)
            written = decode(self.reader(src, src_mask), steps, sampling, as_generator(seed), eos_id=end)
            for column, step in enumerate(written):
                out[step.rows, column] = step.ids
        return out

    def reader(self, src, src_mask=None) -> Reader:
        """Sources as in generate, ready for decoding.decode and decoding.beam_search: each row is at start_id.

        Use it inside `with model.evaluating():`.
        """
        src, src_mask = source_rows(src, src_mask)
        cache = self._new_cache(src, src_mask)
        start = np.full((len(src), 1), self.config.start_id)  # (B, 1)
        return Reader(
            self._next_logits, lambda batch: cache, start,
            block_size=self.config.block_size, vocab_size=self.config.vocab_size,
        )  # fmt: skip

    def _new_cache(self, src, src_mask) -> DecoderCache:
        c = self.config
        memory = self.encode(src, src_mask)  # (B, S, C)
        contexts = [block.cross.keys_values(memory) for block in self.decoder]
        row = row_of(memory.data) or current_row()
        return DecoderCache(
            row, len(self.decoder), len(src), c.n_head, c.block_size, c.n_embd // c.n_head, memory.dtype,
            contexts=[(k.data, v.data) for k, v in contexts], context_mask=source_mask(src_mask, src.shape),
        )  # fmt: skip

    def _next_logits(self, ids: np.ndarray, cache: DecoderCache) -> np.ndarray:
        """ids (B, T) -> logits of the token that follows (B, V)"""
        return self.decode(ids, None, cache=cache).numpy()[:, -1]  # (B, V)

    def _checked_ids(self, what: str, ids, read: int = 0) -> np.ndarray:
        """ids (B, T) integers that, after the `read` tokens before them, stay within block_size."""
        ids = id_rows(f"EncoderDecoder, {what}", ids.data if isinstance(ids, Tensor) else ids)
        total, longest = read + ids.shape[1], self.config.block_size
        if total > longest:
            raise ShapeError(f"EncoderDecoder: {what} has {total} tokens, more than block_size = {longest} positions")
        return ids

    def _check_memory(self, memory, batch: int) -> None:
        C = self.config.n_embd
        if memory is None or memory.ndim != 3 or memory.shape[-1] != C:
            raise ShapeError(
                f"EncoderDecoder: the decoder has width C = {C} and needs memory (B, S, {C}), "
                f"got {None if memory is None else memory.shape}: encoder and decoder must be equally wide"
            )
        if len(memory) != batch:
            raise ShapeError(f"EncoderDecoder: {batch} targets but {len(memory)} sources; they must be equally many")

    def extra_repr(self):
        return ", ".join(f"{name}={value}" for name, value in self.config.to_dict().items() if value is not None)


def _positions(config: EncoderDecoderConfig, rng) -> SinusoidalPositions | LearnedPositions:
    if config.positions == "sinusoidal":
        return SinusoidalPositions(config.block_size, config.n_embd)
    return LearnedPositions(config.block_size, config.n_embd, rng=rng)
