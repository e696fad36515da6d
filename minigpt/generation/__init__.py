"""From text to text: generation with a model and its tokenizer."""

from .text import generate

__all__ = ["generate"]
