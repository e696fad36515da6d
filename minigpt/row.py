"""One row of the kernel table: the names of all functions that a device has to offer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from .errors import BackendError

Function = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """The functions of one device. Shapes and formulas stand in `kernels/reference/`, in the file named on the left."""

    name: str

    # device: making and moving arrays, writing into them
    is_array: Function
    from_host: Function
    to_host: Function
    owns_memory: Function
    shares_memory: Function
    arena: Function
    zeros: Function
    full: Function
    astype: Function
    copy: Function
    assign: Function
    add_into: Function
    fetch: Function

    # elementwise
    add: Function
    subtract: Function
    multiply: Function
    divide: Function
    negative: Function
    absolute: Function
    sign: Function
    exp: Function
    log: Function
    sqrt: Function
    compare: Function
    where: Function
    power: Function
    power_backward: Function
    power_backward_exponent: Function

    # activation
    tanh_forward: Function
    tanh_backward: Function
    sigmoid_forward: Function
    sigmoid_backward: Function
    relu_forward: Function
    relu_backward: Function
    gelu_forward: Function
    gelu_backward: Function

    # reduce
    sum: Function
    max: Function
    max_backward: Function
    var: Function
    var_backward: Function
    squared_norm: Function
    squared_norms: Function

    # shape
    reshape: Function
    permute: Function
    broadcast_to: Function
    concatenate: Function
    slice_forward: Function
    slice_backward: Function
    gather: Function
    scatter_add: Function

    # matmul, and what is fused to it
    matmul: Function
    linear_forward: Function
    linear_backward: Function
    linear_gelu_forward: Function
    linear_gelu_backward: Function
    bias_residual_forward: Function
    bias_residual_backward: Function

    # softmax
    softmax_forward: Function
    softmax_backward: Function
    log_softmax_forward: Function
    log_softmax_backward: Function

    # attention, on q, k, v (B, H, T, D) and on packed qkv (B, T, 3C)
    attention_forward: Function
    attention_backward: Function
    attention_qkv_forward: Function
    attention_qkv_backward: Function

    # layernorm, embedding, cross_entropy, dropout
    layernorm_forward: Function
    layernorm_backward: Function
    embedding_forward: Function
    embedding_backward: Function
    embedding_add_into: Function
    cross_entropy_forward: Function
    cross_entropy_backward: Function
    dropout_forward: Function

    # recurrent layers over all steps, and the element-wise half of one step
    rnn_forward: Function
    rnn_backward: Function
    lstm_cell_forward: Function
    lstm_cell_backward: Function
    lstm_forward: Function
    lstm_backward: Function
    gru_forward: Function
    gru_backward: Function

    # int8: weights of one byte, for decoding
    int8_quantize: Function
    int8_linear_forward: Function
    int8_embedding_forward: Function

    # clipping, optimizer: in place but for clip_scale
    clip_scale: Function
    scale_all: Function
    adam_step: Function
    adam_steps: Function
    sgd_step: Function
    sgd_steps: Function

    def __repr__(self):
        return f"<row {self.name!r} of the kernel table>"


def row_from_modules(name, modules, inherit: Row | None = None) -> Row:
    """Collect the functions of `modules` by name; what they lack comes from `inherit`, or raises when called."""
    found = {field.name: getattr(inherit, field.name) for field in fields(Row)} if inherit else {}
    for field, module in itertools.product(fields(Row), modules):
        function = getattr(module, field.name, None)
        if getattr(function, "__module__", None) == module.__name__:  # not what the module only imports
            found[field.name] = function
    for field in fields(Row):
        found.setdefault(field.name, _missing(name, field.name))
    return Row(**{**found, "name": name})


def _missing(row_name, function_name):
    def missing(*args, **kwargs):
        raise BackendError(
            f"the {row_name!r} row has no {function_name}; use mg.use('numpy') for this, "
            f"or add the function to kernels/{row_name}/"
        )

    return missing
