"""Whole models."""

from .budget import family_table
from .config import SHAPES, GPTConfig
from .gpt import GPT
from .recurrent import RecurrentLM
from .recurrent_config import RecurrentConfig
from .recurrent_seq2seq import RecurrentSeq2Seq, Seq2SeqConfig

__all__ = [
    "GPT", "SHAPES", "GPTConfig", "RecurrentConfig", "RecurrentLM", "RecurrentSeq2Seq", "Seq2SeqConfig", "family_table",
]  # fmt: skip
