"""Layer normalisation over the last axis (Ba, Kiros & Hinton 2016, section 3).

xhat = (x - mean) * rstd,  rstd = 1 / sqrt(var + eps),  var divided by C
y    = xhat * weight + bias
"""

import numpy as np


def layernorm_forward(x, weight=None, bias=None, eps=1e-5):  # x (N, C), weight (C,), bias (C,)
    mean = np.mean(x, axis=-1, keepdims=True)  # (N, 1)
    centred = x - mean
    rstd = 1 / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + eps)  # (N, 1)
    y = centred * rstd
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y, mean, rstd


def layernorm_backward(dy, x, weight, mean, rstd):
    """dx = rstd * (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)),  dxhat = dy * weight"""
    xhat = (x - mean) * rstd  # (N, C)
    dbias = np.sum(dy, axis=0)  # (C,)
    dweight = np.sum(dy * xhat, axis=0)  # (C,)
    dxhat = dy if weight is None else dy * weight
    dx = dxhat - np.mean(dxhat, axis=-1, keepdims=True) - xhat * np.mean(dxhat * xhat, axis=-1, keepdims=True)
    return dx * rstd, dweight, dbias
