"""A trained model for more tokens than it was made for, or for fewer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..backend import row_of
from ..errors import ArgumentError
from ..nn import Embedding
from ..nn.linear import normal
from ..randomness import as_generator


def resize_vocab(model, n: int, rng, init_std: float) -> None:
    """Give the token table of a GPT n rows. Old rows keep every bit; new ones are drawn; surplus ones are cut off."""
    if not isinstance(model.wte, Embedding):
        raise ArgumentError("int8 weights cannot be resized: resize the float model, and quantize() after that")
    config = replace(model.config, vocab_size=n)  # checks n
    tokenizer = model._tokenizer
    if tokenizer is not None and config.vocab_size < tokenizer.vocab_size:
        raise ArgumentError(
            f"resize_vocab({n}): the model's tokenizer knows {tokenizer.vocab_size} tokens; keep at least as many "
            "rows, or first set model.tokenizer to a smaller one (None for none)"
        )
    weight = model.wte.weight
    old = weight.numpy()[: config.vocab_size]  # (min(V, n), C)
    new = normal(as_generator(rng), init_std, (config.vocab_size - len(old), config.n_embd))
    host = np.concatenate([old, new.astype(old.dtype)])  # (n, C)
    device = row_of(weight.data)
    weight.data = host if device is None else device.from_host(host)
    weight.grad = None
    model.config = config
