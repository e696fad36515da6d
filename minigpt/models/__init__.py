"""Whole models."""

from .config import SHAPES, GPTConfig
from .gpt import GPT

__all__ = ["GPT", "SHAPES", "GPTConfig"]
