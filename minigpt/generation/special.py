"""Which special tokens begin and end a text, and what a single token looks like."""

from __future__ import annotations

from ..errors import TokenizerError
from ..tokenizers.special import ENDS, START, end_token, start_token

__all__ = ["ENDS", "START", "end_token", "start_ids", "token_text"]


def start_ids(tok) -> list[int]:
    """What an empty prompt begins with: `<start>`, or the token that ends a text, after which another begins.

    Raises TokenizerError if the tokenizer has neither.
    """
    start = start_token(tok)
    if start is None:
        raise TokenizerError(
            "the prompt is empty and this tokenizer has no token to start from "
            f"({START} or one of {', '.join(ENDS)}); give at least one character"
        )
    return [start]


def token_text(tok, token_id: int) -> str:
    """One token as text. Part of a character has none: `bytes:\\xe4\\xbd` then, as completions APIs write it."""
    if getattr(tok, "TOKENS_ARE_BYTES", False):
        raw = tok.decode_bytes([token_id])
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
    return tok.decode([token_id])
