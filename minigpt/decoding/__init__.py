"""Choosing tokens, on plain arrays: sampling filters, the key–value cache, the decode loop, beam search.

    Reader      the tokens so far, and the logits of what follows them; made from a step function and a cache
    decode      draws one token per row and step, and yields each Step: generation, streaming and chat build on it
    beam_search keeps the likeliest beginnings instead of drawing

Nothing here knows a model: a step function next_logits(ids (B, t), cache) -> (B, V) is all that is asked for.
"""

from .beam import Hypothesis, beam_search
from .cache import DecoderCache, KVCache
from .loop import Step, decode, generate_ids
from .reader import Reader
from .sampling import Sampling, filter_logits, sample

__all__ = [
    "DecoderCache", "Hypothesis", "KVCache", "Reader", "Sampling", "Step", "beam_search", "decode", "filter_logits",
    "generate_ids", "sample",
]  # fmt: skip
