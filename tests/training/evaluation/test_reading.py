"""Reading in threads: the same logits as in one, whatever the number of threads and rows."""

import numpy as np
import pytest

from minigpt.backend import use
from minigpt.models import GPT, GPTConfig
from minigpt.training.evaluation import reading as module
from minigpt.training.evaluation.reading import reading, rows_at_once


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_rows_come_back_in_order(rng, monkeypatch, cores, n):
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    model = GPT(GPTConfig(vocab_size=9, block_size=6, n_layer=1, n_head=1, n_embd=4, dropout=0.9), seed=0).train()
    ids = rng.integers(0, 9, (n, 6))
    with use("numpy"):
        with reading(model) as read:
            parts = read(ids, lambda logits, rows: (logits.copy(), np.arange(n)[rows]))
        model.eval()
        wanted = model(ids)[0].numpy()
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in parts]), np.arange(n))
    np.testing.assert_allclose(np.concatenate([logits for logits, _ in parts]), wanted, rtol=1e-5, atol=1e-6)


def test_an_error_in_a_thread_is_raised_and_the_mode_restored(rng):
    model = GPT(GPTConfig(vocab_size=9, block_size=6, n_layer=1, n_head=1, n_embd=4), seed=0).train()
    with pytest.raises(ZeroDivisionError), reading(model) as read:
        read(np.zeros((4, 3), int), lambda logits, rows: 1 // 0)
    assert model.training


def test_rows_at_once():
    model = GPT(GPTConfig(vocab_size=9, block_size=6, n_layer=1, n_head=1, n_embd=4), seed=0)
    assert rows_at_once(model, 6) == 64
    model.config = GPTConfig(vocab_size=50257, block_size=1024, n_layer=1, n_head=1, n_embd=4)
    assert rows_at_once(model, 1024) == 1
