"""Rounding differs between the rows; what is learned in the first hundred steps does not."""

import numpy as np
import pytest

from minigpt.data import TokenData, load_corpus
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer


def losses(backend, workers, dtype):
    text = load_corpus("python").text[:50_000]
    tokenizer = CharTokenizer.train(text)
    config = TrainConfig(
        steps=100, batch_size=4, lr=1e-3, min_lr=1e-4, warmup=10, backend=backend, workers=workers, progress=False
    )
    model = GPT(GPTConfig.named("baby", tokenizer.vocab_size), seed=0).astype(dtype)
    trainer = Trainer(model, TokenData(np.array(tokenizer.encode(text))), config)
    return trainer.fit()["loss"]


@pytest.mark.parametrize(("dtype", "workers", "tolerance"), [(np.float32, 2, 1e-3), (np.float64, 1, 1e-9)])
def test_the_first_hundred_steps_have_the_same_losses(dtype, workers, tolerance):
    ours, reference = losses("cpu", workers, dtype), losses("numpy", 1, dtype)
    assert len(ours) == 100
    assert ours[-10:].mean() < ours[0] - 1.2  # it learns, so the losses are those of many different models
    np.testing.assert_allclose(ours, reference, rtol=tolerance)
