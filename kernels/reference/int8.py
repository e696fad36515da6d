"""Weights as whole numbers of one byte: a quarter of the memory that a matrix–vector product has to read.

    weight[o, i] ~ q[o, i] * scale[o],   q in -127 … 127,   scale[o] = max_i |weight[o, i]| / 127

One scale for each output o, so every weight is off by at most scale[o] / 2, and the scale waits until the sum is done:

    y[n, o] = scale[o] * sum_i q[o, i] x[n, i] + bias[o] + residual[n, o]

The matrix lies as (out, in), transposed beside `linear`: what one output needs lies in one piece. x stays float.
Source: Dettmers et al. 2022 ("LLM.int8()"), section 2, where x is quantised too.
"""

import numpy as np

LARGEST = 127  # not -128, so that the range is symmetric and 0 stays 0


def int8_quantize(weight):  # (out, in) floats -> q (out, in) int8, scale (out,) float32
    largest = np.max(np.abs(weight), axis=1, initial=0.0)  # (out,)
    scale = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    return np.rint(weight / scale[:, None]).astype(np.int8, order="C"), scale  # rows in one piece, also of weight.T


def int8_linear_forward(x, q, scale, bias=None, residual=None):  # x (N, in), q (out, in), scale (out,)
    y = np.matmul(x, q.T.astype(x.dtype)) * scale.astype(x.dtype)  # (N, out)
    if bias is not None:
        y += bias
    if residual is not None:
        y += residual
    return y


def int8_embedding_forward(ids, q, scale):  # ids (...), q (V, C), scale (V,) -> (..., C) float32
    return q[ids] * scale[ids][..., None]
