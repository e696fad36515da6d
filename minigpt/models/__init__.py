"""Whole models."""

from .budget import family_table
from .classifier import GPTClassifier
from .config import SHAPES, GPTConfig
from .encoder import Encoder, EncoderConfig, MaskedLM
from .encoder_classifier import ClassifierConfig, EncoderClassifier
from .encoder_decoder import EncoderDecoder
from .encoder_decoder_config import EncoderDecoderConfig
from .gpt import GPT
from .loading import load_model
from .recurrent import RecurrentLM
from .recurrent_config import RecurrentConfig
from .recurrent_seq2seq import RecurrentSeq2Seq, Seq2SeqConfig

__all__ = [
    "GPT", "SHAPES", "ClassifierConfig", "Encoder", "EncoderClassifier", "EncoderConfig", "EncoderDecoder",
    "EncoderDecoderConfig", "GPTClassifier", "GPTConfig", "MaskedLM", "RecurrentConfig", "RecurrentLM",
    "RecurrentSeq2Seq", "Seq2SeqConfig", "family_table", "load_model",
]  # fmt: skip
