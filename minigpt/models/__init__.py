"""Whole models."""

from .budget import family_table
from .classifier import GPTClassifier
from .config import SHAPES, GPTConfig
from .encoder import Encoder, EncoderConfig, MaskedLM
from .encoder_classifier import ClassifierConfig, EncoderClassifier
from .gpt import GPT
from .loading import load_model

__all__ = [
    "GPT", "SHAPES", "ClassifierConfig", "Encoder", "EncoderClassifier", "EncoderConfig", "GPTClassifier", "GPTConfig",
    "MaskedLM", "family_table", "load_model",
]  # fmt: skip
