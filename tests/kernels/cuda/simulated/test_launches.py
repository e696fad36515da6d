"""What one training step asks of a card: launches, copies, waits. They are only counted, no kernel runs."""

from collections import Counter

import numpy as np
import pytest

from kernels.cuda import machine, simulated_memory, simulator
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer

V, T, LAYERS = 50, 16, 12


class Batches:
    has_val = False

    def batch(self, rng, n):
        ids, targets = rng.integers(0, V, (2, n, T))
        return {"ids": ids, "targets": targets}


@pytest.fixture
def asked(monkeypatch):
    """Counter of kernels launched by name, and of "copy in", "copy in, waiting", "copy out", "synchronize"."""
    counts = Counter()

    def note(module, name, what, result=None):
        real = getattr(module, name)

        def noted(*arguments):
            counts[what] += 1
            return real(*arguments) if result is None else result(*arguments)

        monkeypatch.setattr(module, name, noted)

    launch = machine.Kernel.__call__

    def noted_launch(kernel, grid, block, *arguments):
        counts[kernel.name] += 1
        launch(kernel, grid, block, *arguments)

    monkeypatch.setattr(machine.Kernel, "__call__", noted_launch)
    monkeypatch.setattr(machine.card, "launch", lambda *_: None)
    note(simulated_memory.PageLocked, "send", "copy in")
    note(simulator, "copy_in", "copy in, waiting")
    for module in (machine, __import__("kernels.cuda.device", fromlist=["device"])):
        note(module, "copy_out", "copy out", lambda source: np.ones_like(source))
    note(simulator, "synchronize", "synchronize")
    note(machine, "synchronize", "synchronize")
    return counts


def a_trainer(steps=20, **changes):
    model = GPT(GPTConfig(vocab_size=V, block_size=T, n_layer=LAYERS, n_head=2, n_embd=16), seed=0)
    config = TrainConfig(steps=steps, batch_size=2, backend="cuda", workers=1, progress=False, **changes)
    return Trainer(model, Batches(), config)


WAITS = ("copy in, waiting", "copy out", "synchronize")


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_waits_once_at_its_end(accumulate, asked):
    trainer = a_trainer(accumulate=accumulate)
    trainer.step()
    asked.clear()
    trainer._order_step()
    assert not any(asked[what] for what in WAITS)
    asked_before = sum(asked.values())
    trainer._wait()
    assert [asked[what] for what in WAITS] == [0, 1, 0]
    assert sum(asked.values()) == asked_before + 3  # addresses of the numbers go in, one launch, one copy comes out


def test_fit_waits_only_to_show_something(asked, monkeypatch):
    """Here nothing is due before the end of the run."""
    trainer = a_trainer()
    monkeypatch.setattr("minigpt.training.progress.SHOWN_EVERY", 1e9)
    asked.clear()
    history = trainer.fit()
    assert len(history["loss"]) == len(history["lr"]) == 20
    assert asked["copy out"] == 1
    assert [asked[what] for what in WAITS] == [0, 1, 0]


def test_launches_of_a_step(asked):
    """All 148 parameters are moved in one launch, their gradients looked at in another; a layer takes 33."""
    trainer = a_trainer()
    trainer.step()
    asked.clear()
    trainer.step()
    for kernel in ("squared_norm_v4", "clip_scale_v1", "adam_v3", "collect"):
        assert asked[kernel] == 1
    assert asked["scale_all_v1"] == 0
    launches = sum(n for name, n in asked.items() if name not in (*WAITS, "copy in"))
    assert launches <= 33 * LAYERS + 40
    assert len(list(trainer.model.parameters())) == 148
