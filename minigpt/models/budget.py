"""What a GPT costs before one is made: parameters, memory, arithmetic; and whether this machine has the memory.

    N = n_parameters, L blocks, C channels, T context, V vocabulary; float32, 4 bytes a number; 1 GB = 10^9 bytes

    inference   4 N                      weights
                + 4 * 2 L T C            keys and values of one sequence, cache full
    training    16 N                     weights, gradients, AdamW's two moments
                + 4 (32 L C + 4 V)       activations and their gradients, for each token of a batch
    forward     2 * 12 L C^2 + 2 C V     multiply-adds with the matrices, for each token; 2 operations each
                + 2 L T C                scores and weighted sum, over half of T on average
    training    3 times that             backward has two products for each one of forward

Source of the last two: Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1 and table 1, there
C_forward = 2 N + 2 L T C with the N of the blocks alone; the head, 2 C V, is that table's "De-embed". The activations
are a fit to what Trainer.memory() holds on the cpu row, within 10 % for shapes from 0.8 to 11 million parameters.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import ConfigError
from .config import PUBLISHED, SHAPES, GPTConfig
from .encoder_decoder_config import EncoderDecoderConfig
from .recurrent_config import RecurrentConfig

FLOAT = 4  # bytes


def inference_bytes(config: GPTConfig, batch: int = 1) -> int:
    """Weights, and the key-value cache of `batch` sequences of full length."""
    cache = 2 * config.n_layer * config.block_size * config.n_embd  # per sequence
    return FLOAT * (config.n_parameters() + batch * cache)


def training_bytes(config: GPTConfig, batch: int = 1) -> int:
    """Weights, gradients and AdamW's moments, and what `batch` sequences of full length need on their way."""
    per_token = 32 * config.n_layer * config.n_embd + 4 * config.vocab_size
    return FLOAT * (4 * config.n_parameters() + batch * config.block_size * per_token)


def forward_flops(config: GPTConfig) -> int:
    """Floating-point operations of a forward pass, per token, with full context."""
    L, C = config.n_layer, config.n_embd
    return 24 * L * C * C + 2 * C * config.vocab_size + 2 * L * config.block_size * C


def training_flops(config: GPTConfig) -> int:
    """Floating-point operations of forward and backward, per token, with full context."""
    return 3 * forward_flops(config)


def check_memory(config: GPTConfig | EncoderDecoderConfig | RecurrentConfig) -> None:
    """Raise ConfigError if the weights alone are more than the memory that is available; pass if that is unknown."""
    needed, available = FLOAT * config.n_parameters(), available_bytes()
    if available is not None and needed > available:
        # activations are counted for a GPT only; weights, gradients and two moments are the same for all
        training = training_bytes(config) if isinstance(config, GPTConfig) else 4 * needed
        raise ConfigError(
            f"this model does not fit: {config.n_parameters():,} parameters need {needed / 1e9:.1f} GB for the weights "
            f"alone ({training / 1e9:.0f} GB to train), {available / 1e9:.1f} GB are available. Smaller: "
            f"fewer n_layer (now {config.n_layer}) or n_embd (now {config.n_embd}); "
            "minigpt.models.family_table() shows what fits"
        )


def available_bytes() -> int | None:
    """Memory that a new array may take: what is free or can be freed, at most the limit of the container.

    Linux says it; elsewhere it is all memory of the machine where the system tells (macOS), else None (Windows).
    """
    found = _in_file("/proc/meminfo", r"^MemAvailable:\s+(\d+) kB", 1024)
    if found is None:
        try:
            found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):
            return None
    limits = [_in_file(f"/sys/fs/cgroup/{name}", r"^(\d+)$", 1) for name in
              ("memory.max", "memory/memory.limit_in_bytes")]  # fmt: skip
    return min([found, *(limit for limit in limits if limit is not None)])


def _in_file(path: str, pattern: str, unit: int) -> int | None:
    """The number that the pattern finds in a file of the system, times the unit; None if there is none."""
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    match = re.search(pattern, text, re.MULTILINE)
    return int(match[1]) * unit if match else None


def family_table() -> str:
    """The shapes that have a name and a vocabulary: sizes, parameters, memory and arithmetic, as lines of text."""
    head = f"{'name':<12}{'layers':>7}{'heads':>6}{'channels':>9}{'context':>8}{'parameters':>16}"
    head += f"{'read GB':>10}{'train GB':>10}{'GFLOP/token':>13}{'trained':>9}  weights"
    lines = [head]
    for name, shape in SHAPES.items():
        if "vocab_size" not in shape:
            continue
        c = GPTConfig.named(name)
        line = f"{name:<12}{c.n_layer:>7}{c.n_head:>6}{c.n_embd:>9}{c.block_size:>8}{c.n_parameters():>16,}"
        line += f"{inference_bytes(c) / 1e9:>10.1f}{training_bytes(c) / 1e9:>10.1f}"
        line += f"{forward_flops(c) / 1e9:>13.2f}{training_flops(c) / 1e9:>9.2f}"
        lines.append(f"{line}  minigpt data fetch {name}" if name in PUBLISHED else line)
    return "\n".join(lines)
