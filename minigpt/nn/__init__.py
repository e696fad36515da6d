"""Layers: functions with parameters."""

from .attention import MultiHeadAttention
from .block import Block
from .dropout import Dropout
from .embedding import Embedding
from .int8 import Int8Embedding, Int8Linear, quantized
from .layernorm import LayerNorm
from .linear import Linear
from .lora import LoRALinear
from .mlp import MLP
from .module import Module, ModuleList, Parameter

__all__ = [
    "MLP", "Block", "Dropout", "Embedding", "Int8Embedding", "Int8Linear", "LayerNorm", "Linear", "LoRALinear",
    "Module", "ModuleList", "MultiHeadAttention", "Parameter", "quantized",
]  # fmt: skip
