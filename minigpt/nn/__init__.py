"""Layers: functions with parameters."""

from .attention import MultiHeadAttention
from .block import Block
from .dropout import Dropout
from .embedding import Embedding
from .int8 import Int8Embedding, Int8Linear, quantized
from .layernorm import LayerNorm
from .linear import Linear
from .mlp import MLP
from .module import Module, ModuleList, Parameter
from .recurrent import GRU, LSTM, RNN, detached

__all__ = [
    "GRU", "LSTM", "MLP", "RNN", "Block", "Dropout", "Embedding", "Int8Embedding", "Int8Linear", "LayerNorm", "Linear",
    "Module", "ModuleList", "MultiHeadAttention", "Parameter", "detached", "quantized",
]  # fmt: skip
