"""Layers: functions with parameters."""

from .attention import MultiHeadAttention
from .block import Block
from .decoder_block import DecoderBlock
from .dropout import Dropout
from .embedding import Embedding
from .encoder_block import EncoderBlock
from .int8 import Int8Embedding, Int8Linear, quantized
from .layernorm import LayerNorm
from .linear import Linear
from .lora import LoRALinear
from .mlp import MLP
from .module import Module, ModuleList, Parameter
from .positional import LearnedPositions, SinusoidalPositions, sinusoids
from .recurrent import GRU, LSTM, RNN, detached

__all__ = [
    "GRU", "LSTM", "MLP", "RNN", "Block", "DecoderBlock", "Dropout", "Embedding", "EncoderBlock", "Int8Embedding",
    "Int8Linear", "LayerNorm", "LearnedPositions", "Linear", "LoRALinear", "Module", "ModuleList",
    "MultiHeadAttention", "Parameter", "SinusoidalPositions", "detached", "quantized", "sinusoids",
]  # fmt: skip
