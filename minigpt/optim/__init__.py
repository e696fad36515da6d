"""Optimizers, gradient clipping and learning-rate schedules."""

from .adam import Adam, AdamW
from .clipping import clip_grad_norm_
from .optimizer import Optimizer
from .schedules import cosine_warmup, noam
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "clip_grad_norm_", "cosine_warmup", "noam"]
