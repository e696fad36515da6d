"""Layers: functions with parameters."""

from .attention import MultiHeadAttention
from .block import Block
from .dropout import Dropout
from .embedding import Embedding
from .layernorm import LayerNorm
from .linear import Linear
from .mlp import MLP
from .module import Module, ModuleList, Parameter

__all__ = [
    "MLP", "Block", "Dropout", "Embedding", "LayerNorm", "Linear", "Module", "ModuleList", "MultiHeadAttention",
    "Parameter",
]  # fmt: skip
