"""Memory of the cpu row in training: what a steady step allocates, what is kept, what is copied."""

import tracemalloc

import numpy as np
import pytest

import minigpt as mg
from minigpt.backend import load
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer

SHAPE = (64, 128)  # 32 KiB of float32, enough for a block of the arena


def test_a_gradient_in_a_block_of_its_own_needs_no_copy():
    row = load("cpu")
    with row.arena():
        x = row.zeros(SHAPE, np.float32)
        assert row.owns_memory(x)
        assert not row.owns_memory(x[1:])
        assert not row.owns_memory(x.reshape(-1))
        assert row.owns_memory(row.copy(x.T))
        assert row.copy(x.T).flags.c_contiguous
        assert not row.shares_memory(x, row.copy(x))
    assert row.owns_memory(np.zeros(3))
    assert not row.owns_memory(np.zeros(3)[1:])


def big_trainer(row="cpu", **changes):
    model = GPT(GPTConfig(65, 64, n_layer=2, n_head=4, n_embd=64, dropout=0.1), seed=0)
    data = TokenData(np.random.default_rng(0).integers(0, 65, 4000))
    usual = {"steps": 20, "batch_size": 16, "warmup": 0, "backend": row, "workers": 1, "progress": False}
    return Trainer(model, data, TrainConfig(**{**usual, **changes}))


@pytest.mark.parametrize(("workers", "accumulate"), [(1, 1), (2, 2)])
def test_a_steady_step_allocates_nothing_large(workers, accumulate):
    """The smallest activation has 16 * 64 * 64 floats, 256 KiB a worker at least 128; small objects fill the rest.

    A worker that is ahead of the others leaves gradients waiting for theirs, which may take a block more than ever
    before: not in most steps, and never more than one set of gradients a worker.
    """
    trainer = big_trainer(workers=workers, accumulate=accumulate)
    for _ in range(4):
        trainer.step()
    held = trainer.workers.held_bytes()
    assert held > 5 << 20
    peaks, kept = [], []
    tracemalloc.start()
    try:
        trainer.step()  # fills Python's own free lists
        for _ in range(5):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            trainer.step()
            after, peak = tracemalloc.get_traced_memory()
            peaks.append(peak - before)
            kept.append(after - before)
    finally:
        tracemalloc.stop()
    assert np.median(peaks) < workers * (160 << 10)
    assert np.median(kept) < 64 << 10
    gradients = 4 * trainer.model.num_parameters() if workers > 1 else 0
    assert held <= trainer.workers.held_bytes() <= held + workers * gradients


def test_the_measurement_sees_numpy_arrays():
    """The numpy row makes megabytes of new arrays a step: so the test above can fail."""
    trainer = big_trainer("numpy")
    trainer.step()
    tracemalloc.start()
    try:
        trainer.step()
        assert tracemalloc.get_traced_memory()[1] > 4 << 20
    finally:
        tracemalloc.stop()


def test_gradients_kept_from_one_step_are_not_overwritten_by_the_next():
    trainer = big_trainer(batch_size=4)
    trainer.step()
    kept = [(p.grad, p.grad.copy()) for p in trainer.model.parameters()]
    views = [(p.grad.T[:3], p.grad.T[:3].copy()) for p in trainer.model.parameters()]
    trainer.step()
    trainer.step()
    for live, copy in kept + views:
        np.testing.assert_array_equal(live, copy)


def test_memory_does_not_grow_with_every_new_length():
    """Texts of many lengths: what was held for one length must serve the next, or go."""
    trainer = big_trainer()
    with mg.use("cpu"):
        for length in range(64, 16, -1):  # the longest first: nothing needs more than it
            ids = np.zeros((16, length), np.int64)
            trainer.workers.zero_grad()
            trainer.workers.backward({"ids": ids, "targets": ids}, seed=0, step=0, first_example=0)
            if length == 64:
                longest = trainer.workers.held_bytes()
    assert trainer.workers.held_bytes() <= 2 * longest


def test_zeros_are_zero_in_fresh_memory_and_in_used():
    row = load("cpu")
    assert not row.zeros(SHAPE, np.float32).any()
    assert row.zeros(3, np.int64).tolist() == [0, 0, 0]
    with row.arena():
        used = row.zeros(SHAPE, np.float32)
        used.fill(7)
        del used
        assert not row.zeros(SHAPE, np.float32).any()
