"""A tiny GPT and dialogue data for the tests of fine-tuning."""

import numpy as np

from minigpt.data import BucketedData
from minigpt.models import GPT, GPTConfig

V, T = 11, 8
IDS = np.arange(12).reshape(2, 6) % V


def tiny_model(seed=0, **changes):
    shape = {"vocab_size": V, "block_size": T, "n_layer": 2, "n_head": 2, "n_embd": 8, **changes}
    return GPT(GPTConfig(**shape), seed=seed)


def tiny_data(n=20, n_val=8, seed=5):
    """Records of 3 to 9 tokens of which the last two are learned: they repeat the first."""
    rng = np.random.default_rng(seed)

    def record():
        ids = rng.integers(0, V, rng.integers(3, T + 2))
        ids[-2:] = ids[0]
        mask = np.zeros(len(ids), bool)
        mask[-2:] = True
        return ids, mask

    return BucketedData([record() for _ in range(n)], [record() for _ in range(n_val)] if n_val else None)
