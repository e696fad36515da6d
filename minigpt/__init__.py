"""minigpt: a GPT from scratch, to read, to step through, and to train.

    import minigpt as mg
    from minigpt import nn, optim, functional as F

Names are loaded when they are first used, so that this import costs little more than NumPy's.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .errors import (
    ArgumentError,
    BackendError,
    CheckpointError,
    ConfigError,
    DataError,
    GradcheckError,
    GraphError,
    MiniGPTError,
    NumericsError,
    ShapeError,
    TokenizerError,
)

if TYPE_CHECKING:
    from .backend import backends, use
    from .debug import trace
    from .finite_differences import gradcheck
    from .functional import concatenate, stack, where
    from .generation import Chat, Completion, generate, stream
    from .observe import observing
    from .ops.op import Op
    from .reports import report
    from .tensor import Tensor, no_grad

__version__ = "0.1.0"

_LAZY = {
    "Tensor": "tensor",
    "no_grad": "tensor",
    "Op": "tensor",  # defined in ops/op.py; tensor.py makes it work on Tensors
    "gradcheck": "finite_differences",
    "use": "backend",
    "backends": "backend",
    "concatenate": "functional",
    "stack": "functional",
    "where": "functional",
    "observing": "observe",
    "trace": "debug",
    "Chat": "generation",
    "Completion": "generation",
    "generate": "generation",
    "stream": "generation",
    "report": "reports",
}
_SUBMODULES = (
    "classroom",
    "data",
    "debug",
    "decoding",
    "functional",
    "generation",
    "inspect",
    "models",
    "nn",
    "optim",
    "reports",
    "tokenizers",
    "training",
    "viz",
)

__all__ = [
    "ArgumentError", "BackendError", "Chat", "CheckpointError", "Completion", "ConfigError", "DataError",
    "GradcheckError", "GraphError", "MiniGPTError", "NumericsError", "Op", "ShapeError", "Tensor", "TokenizerError",
    "backends", "concatenate", "generate", "gradcheck", "no_grad", "observing", "report", "stack", "stream", "trace",
    "use", "where",
]  # fmt: skip


def __getattr__(name):
    if name in _LAZY:
        value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value  # found directly from now on
        return value
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'minigpt' has no attribute {name!r}; it has: {', '.join(__dir__())}")


def __dir__():
    return sorted({*__all__, *_SUBMODULES, "__version__"})
