"""Whole models."""

from .budget import family_table
from .config import SHAPES, GPTConfig
from .gpt import GPT

__all__ = ["GPT", "SHAPES", "GPTConfig", "family_table"]
