"""Whole models."""

from .budget import family_table
from .classifier import GPTClassifier
from .config import SHAPES, GPTConfig
from .gpt import GPT

__all__ = ["GPT", "SHAPES", "GPTClassifier", "GPTConfig", "family_table"]
