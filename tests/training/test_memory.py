"""What a run says about its memory: the peak of the process by itself, and what the workers hold."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer
from minigpt.training.memory import memory_line, peak_bytes

ROOT = Path(mg.__file__).parents[1]
MB = 10**6
knows_its_peak = pytest.mark.skipif(peak_bytes() == 0, reason="this system does not tell the peak of a process")


def run_python(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return [int(word) for word in done.stdout.split()]


@knows_its_peak
def test_the_peak_is_the_most_at_once_in_bytes():
    before, during, after = run_python(
        "from minigpt.training.memory import peak_bytes\n"
        "print(peak_bytes())\n"
        "block = bytearray(b'x') * 200_000_000\n"
        "print(peak_bytes())\n"
        "del block\n"
        "print(peak_bytes())"
    )
    assert 195 * MB < during - before < 260 * MB
    assert after > during - MB  # Linux counts pages only roughly


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone hands a peak on")
def test_the_peak_of_the_launching_process_does_not_count():
    """getrusage of a process launched from here would give at least the 300 MB of this one."""
    block = bytearray(b"x") * (300 * MB)
    (peak,) = run_python("from minigpt.training.memory import peak_bytes; print(peak_bytes())")
    assert len(block) < peak_bytes()
    assert peak < 150 * MB


def trainer_on(row, **settings):
    rng = np.random.default_rng(0)
    model = GPT(GPTConfig(vocab_size=11, block_size=32, n_layer=1, n_head=2, n_embd=64), seed=0)
    config = TrainConfig(steps=2, batch_size=8, warmup=1, backend=row, progress=False, **settings)
    return Trainer(model, TokenData(rng.integers(0, 11, 200)), config)


@pytest.mark.parametrize("row", [row for row in ("numpy", "cpu") if mg.backends()[row] is True])
def test_a_trainer_tells_what_it_holds(row):
    trainer = trainer_on(row, workers=2)
    assert trainer.memory()["held"] == 0
    trainer.step()
    memory = trainer.memory()
    assert set(memory) == {"peak", "held"}
    if row == "numpy":  # NumPy gives and takes back its own memory
        assert memory["held"] == 0
    else:  # at least the input of the GELU, (8, 32, 4 * 64) float32
        assert 8 * 32 * 4 * 64 * 4 < memory["held"] < 100 * MB
        assert memory["held"] == sum(arena.held for arena in trainer.workers.arenas)
    if peak_bytes():
        assert memory["held"] < memory["peak"] <= peak_bytes()


@pytest.mark.parametrize(
    ("memory", "line"),
    [
        ({"peak": 210 * MB, "held": 95 * MB}, "peak memory 210 MB, of which 95 MB held for activations and gradients"),
        ({"peak": 210 * MB, "held": 0}, "peak memory 210 MB"),
        ({"peak": 0, "held": 0}, "peak memory unknown on this system"),
        ({"peak": 0, "held": 95 * MB}, "peak memory unknown on this system, 95 MB held for activations and gradients"),
    ],
)
def test_the_line_says_only_what_is_known(memory, line):
    assert memory_line(memory) == line
