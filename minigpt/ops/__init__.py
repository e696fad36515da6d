"""Operations: one file per family, forward beside backward. They know arrays and kernels, never Tensors."""

from .activation import GELU, ReLU, Sigmoid, Tanh
from .attention import Attention, AttentionCached, AttentionQKV
from .cross_entropy import CrossEntropy
from .dropout import Dropout
from .elementwise import (
    Abs,
    Add,
    Cast,
    Compare,
    Div,
    Exp,
    Label,
    Log,
    Mul,
    Neg,
    Pow,
    PowNumber,
    Sqrt,
    Sub,
    Where,
)
from .embedding import Embedding
from .gru import GRU
from .int8 import Int8Embedding, Int8Linear
from .layernorm import LayerNorm
from .lstm import LSTM, LSTMCell
from .matmul import BiasResidual, Linear, LinearGELU, MatMul
from .op import Context, Op
from .reduce import Max, Mean, Sum, Var
from .rnn import RNN
from .shape import BroadcastTo, Concatenate, Gather, Reshape, Slice, Transpose
from .softmax import LogSoftmax, Softmax

__all__ = [
    "GELU", "GRU", "LSTM", "RNN", "Abs", "Add", "Attention", "AttentionCached", "AttentionQKV", "BiasResidual",
    "BroadcastTo", "Cast", "Compare", "Concatenate", "Context", "CrossEntropy", "Div", "Dropout", "Embedding",
    "Exp", "Gather", "Int8Embedding", "Int8Linear", "LSTMCell", "Label", "LayerNorm", "Linear", "LinearGELU", "Log",
    "LogSoftmax", "MatMul", "Max", "Mean", "Mul", "Neg", "Op", "Pow", "PowNumber", "ReLU", "Reshape", "Sigmoid",
    "Slice", "Softmax", "Sqrt", "Sub", "Sum", "Tanh", "Transpose", "Var", "Where",
]  # fmt: skip
