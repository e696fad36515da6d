"""Which special tokens begin and end a text, and which one stands for a blank."""

from __future__ import annotations

from .base import Tokenizer

START = "<start>"
ENDS = ("<|endoftext|>", "<eot>", "<end>")
MASK = "<mask>"


def end_token(tokenizer: Tokenizer) -> int | None:
    """The id that ends a text: of the first of ENDS that is a special token of the tokenizer; None if it has none."""
    return next((tokenizer.special_tokens[name] for name in ENDS if name in tokenizer.special_tokens), None)


def start_token(tokenizer: Tokenizer) -> int | None:
    """The id that begins a text: `<start>`, or the one that ends a text, after which another begins; else None."""
    return tokenizer.special_tokens.get(START, end_token(tokenizer))


def mask_token(tokenizer: Tokenizer) -> int | None:
    """The id that stands for a blank: of `<mask>`, or None if the tokenizer has no such special token."""
    return tokenizer.special_tokens.get(MASK)


def add_mask_token(tokenizer: Tokenizer) -> int:
    """The id of `<mask>`, which is added at the end of the vocabulary if it is not there yet."""
    tokenizer.add_special_tokens([MASK])
    return tokenizer.special_tokens[MASK]
