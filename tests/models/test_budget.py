"""What a GPT costs: counts against real models, formulas against their sources, and refusal before anything is made."""

import dataclasses
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt.bench.shapes import matrix_products
from minigpt.models import GPT, SHAPES, GPTConfig, budget, family_table
from minigpt.models.config import PUBLISHED

FAMILY = [name for name in SHAPES if name.startswith("gpt")]


@given(
    st.integers(1, 50), st.integers(1, 20), st.integers(1, 3), st.integers(1, 3), st.integers(1, 8), st.booleans()
)  # fmt: skip
def test_the_count_is_that_of_the_model(V, T, L, H, D, bias):
    config = GPTConfig(V, T, L, H, H * D, bias=bias)
    assert config.n_parameters() == GPT(config, seed=0).num_parameters()


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        # Hugging Face counts the same for the published GPT-2
        ("gpt2", 124.439808), ("gpt2-medium", 354.823168), ("gpt2-large", 774.03008), ("gpt2-xl", 1557.6112),
        # Brown et al. 2020, table 2.1, to the digits given there
        ("gpt3-small", 125), ("gpt3-medium", 356), ("gpt3-large", 760), ("gpt3-xl", 1316), ("gpt3-2.7b", 2652),
        ("gpt3-6.7b", 6658), ("gpt3-13b", 12853), ("gpt3-175b", 174604),
    ],
)  # fmt: skip
def test_the_counts_of_the_family(name, millions):
    n = GPTConfig.named(name).n_parameters() / 1e6
    assert n == pytest.approx(millions, abs=1e-6 if name in PUBLISHED else 1)


def test_arithmetic_per_token_is_that_of_the_matrix_products():
    """The benchmark lists every product of a training step; a third of the linear ones are forward."""
    config = GPTConfig.named("gpt2")
    batch = 2
    products = matrix_products(config, batch)
    linear = sum(2 * n * k * m * times for stack, n, k, m, times in products if stack == 1) / 3
    scores, weighted = (2 * stack * n * k * m * config.n_layer for stack, n, k, m, _ in products if stack != 1)
    tokens = batch * config.block_size
    assert budget.forward_flops(config) == (linear + scores + weighted) / tokens
    assert budget.training_flops(config) == 3 * budget.forward_flops(config)


def test_175b_costs_two_operations_a_parameter():
    """Kaplan et al.: 2 N forward and 6 N training, where the width dwarfs context and vocabulary."""
    config = GPTConfig.named("gpt3-175b")
    assert budget.forward_flops(config) == pytest.approx(2 * config.n_parameters(), rel=0.02)
    assert budget.training_flops(config) == pytest.approx(6 * config.n_parameters(), rel=0.02)


def test_inference_memory_is_weights_and_cache():
    config = GPTConfig(50, 16, 2, 2, 8)
    model = GPT(config, seed=0)
    cache = model._new_cache(3)
    held = sum(p.data.nbytes for p in model.parameters())
    held += sum(value.nbytes for layer in cache.layers for value in vars(layer).values() if hasattr(value, "nbytes"))
    assert budget.inference_bytes(config, batch=3) == held


@pytest.mark.skipif(mg.backends()["cpu"] is not True, reason="the estimate is of the cpu row")
@pytest.mark.parametrize(("shape", "batch"), [((65, 64, 4, 4, 128), 12), ((2000, 128, 4, 8, 256), 4)])
def test_training_memory_is_about_what_the_trainer_holds(shape, batch):
    from minigpt.data import TokenData
    from minigpt.training import TrainConfig, Trainer

    config = GPTConfig(*shape)
    data = TokenData(np.arange(3000) % config.vocab_size)
    settings = TrainConfig(batch_size=batch, backend="cpu", workers=1, progress=False)
    trainer = Trainer(GPT(config, seed=0), data, settings)
    for _ in range(2):  # from the second on, memory is used again
        trainer.step()
    # the trainer's figure has the gradients in it, but not weights and moments: 3 of the 4 numbers a parameter
    estimate = budget.training_bytes(config, batch) - 3 * 4 * config.n_parameters()
    assert trainer.memory()["held"] == pytest.approx(estimate, rel=0.1)


# ---- refusal


def test_a_model_that_cannot_fit_is_refused_before_anything_is_made():
    """In a process of its own, which an attempt would end."""
    code = (
        "import minigpt as mg\n"
        "from minigpt.models import GPT, GPTConfig\n"
        "try: GPT(GPTConfig.named('gpt3-175b'))\n"
        "except mg.ConfigError as error: print(error)"
    )
    if budget.available_bytes() is None or budget.available_bytes() > 698e9:
        pytest.skip("fits here, or nobody knows")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert re.match(
        r"this model does not fit: 174,604,259,328 parameters need 698\.4 GB for the weights alone "
        r"\(3105 GB to train\), \d+\.\d GB are available\. Smaller: fewer n_layer \(now 96\)",
        done.stdout,
    )


def test_refusal_is_about_available_memory(monkeypatch):
    config = GPTConfig(7, 6, 2, 2, 8)
    needed = 4 * config.n_parameters()
    for available, refused in ((needed - 1, True), (needed, False), (None, False)):
        monkeypatch.setattr(budget, "available_bytes", lambda available=available: available)
        if refused:
            with pytest.raises(mg.ConfigError, match="does not fit"):
                GPT(config)
        else:
            GPT(config)


def test_loading_is_refused_too(tmp_path, monkeypatch):
    GPT(GPTConfig(7, 6, 2, 2, 8)).save_pretrained(tmp_path)
    monkeypatch.setattr(budget, "available_bytes", lambda: 1000)
    with pytest.raises(mg.ConfigError, match="does not fit"):
        GPT.from_pretrained(tmp_path)


def test_available_memory_of_this_machine():
    found = budget.available_bytes()
    if hasattr(os, "sysconf"):
        assert 10e6 < found <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("files", "pages", "expected"),
    [
        ({"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    2000 kB\n"}, 10**6, 2_048_000),
        ({"/proc/meminfo": "MemAvailable: 2000 kB\n", "/sys/fs/cgroup/memory.max": "1000\n"}, 10**6, 1000),
        ({"/proc/meminfo": "MemAvailable: 2000 kB\n", "/sys/fs/cgroup/memory.max": "max\n"}, 10**6, 2_048_000),
        (
            {"/proc/meminfo": "MemAvailable: 2000 kB\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "500\n"},
            10**6, 500,
        ),
        ({}, 3, 3 * 4096),  # macOS
        ({"/proc/meminfo": "nothing known\n"}, 3, 3 * 4096),
        ({}, None, None),  # Windows
    ],
)  # fmt: skip
def test_where_the_figure_comes_from(monkeypatch, files, pages, expected):
    class FakePath:
        def __init__(self, path):
            self.path = path

        def read_text(self, **options):
            if self.path not in files:
                raise FileNotFoundError(self.path)
            return files[self.path]

    def sysconf(name):
        if pages is None:
            raise ValueError("unrecognized configuration name")
        return {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 4096}[name]

    monkeypatch.setattr(budget, "Path", FakePath)
    monkeypatch.setattr(os, "sysconf", sysconf, raising=False)
    assert budget.available_bytes() == expected


# ---- names


def test_the_family_brings_its_vocabulary():
    xl = GPTConfig.named("gpt2-xl")
    assert dataclasses.asdict(xl) == {
        "vocab_size": 50257, "block_size": 1024, "n_layer": 48, "n_head": 25, "n_embd": 1600, "dropout": 0.0,
        "bias": True, "layer_norm_eps": 1e-5,
    }  # fmt: skip
    assert GPTConfig.named("gpt2", 100).vocab_size == 100
    assert GPTConfig.named("gpt2", vocab_size=100, n_layer=2).n_layer == 2
    with pytest.raises(
        mg.ConfigError, match=r"'baby' has no vocabulary of its own: GPTConfig\.named\('baby', vocab_size="
    ):
        GPTConfig.named("baby")


@pytest.mark.parametrize("name", FAMILY)
def test_a_head_has_64_to_128_channels(name):
    config = GPTConfig.named(name)
    assert config.n_embd // config.n_head in (64, 80, 96, 128)
    assert config.block_size == (1024 if name.startswith("gpt2") else 2048)


def test_the_table_has_a_line_for_each():
    head, *lines = family_table().splitlines()
    assert [line.split()[0] for line in lines] == FAMILY
    assert head.split()[:6] == ["name", "layers", "heads", "channels", "context", "parameters"]
    assert lines[0].split()[:6] == ["gpt2", "12", "12", "768", "1024", "124,439,808"]
    assert lines[0].endswith("minigpt data fetch gpt2")
    assert lines[-1].split() == ["gpt3-175b", "96", "96", "12288", "2048", "174,604,259,328", "717.7", "3104.6",
                                 "353.96", "1061.88"]  # fmt: skip
    assert len({len(line[:90]) for line in lines}) == 1
