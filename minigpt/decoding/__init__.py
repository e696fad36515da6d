"""Choosing tokens, on plain arrays: sampling filters, the key–value cache, the decode loop."""

from .cache import KVCache
from .loop import generate_ids
from .sampling import filter_logits, sample

__all__ = ["KVCache", "filter_logits", "generate_ids", "sample"]
