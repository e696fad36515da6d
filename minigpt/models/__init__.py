"""Whole models."""

from .budget import family_table
from .config import SHAPES, GPTConfig
from .encoder_decoder import EncoderDecoder
from .encoder_decoder_config import EncoderDecoderConfig
from .gpt import GPT

__all__ = ["GPT", "SHAPES", "EncoderDecoder", "EncoderDecoderConfig", "GPTConfig", "family_table"]
