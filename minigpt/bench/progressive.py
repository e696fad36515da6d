"""A model that grows while it trains, beside one that is deep from the start: same text, windows, steps, final size.

    at once         all blocks from the first step
    zero, copy      grown in equal stages, the depth doubling; new blocks that change nothing, or copies of the last one
    …, frozen       and each stage trains its new blocks only, on top of what the stages before have learnt

The loss is that of the whole validation part at the end. Operations are counted, not measured: `training_flops`.
"""

from __future__ import annotations

import time
from dataclasses import replace

from ..data import load_corpus, tokenize_and_split
from ..models import GPT, GPTConfig
from ..tokenizers import CharTokenizer
from ..training import TrainConfig, Trainer
from ..training.progressive import Stage, train_progressively, training_flops

WAYS = {
    "zero": ("zero", False),
    "copy": ("copy", False),
    "zero, frozen": ("zero", True),
    "copy, frozen": ("copy", True),
}


def doubling_stages(n_layer: int, steps: int) -> list[Stage]:
    """1, 2, 4, … n_layer blocks, each for about the same number of steps."""
    depths = [1]
    while depths[-1] < n_layer:
        depths.append(min(2 * depths[-1], n_layer))
    return [Stage(steps * i // len(depths), depth) for i, depth in enumerate(depths)]


def compare_growth(
    source="python", steps: int = 1000, seed: int = 1, shape: str = "baby", backend: str | None = None,
    changes: dict | None = None,
) -> dict:  # fmt: skip
    """Train once in each way. shape: of GPTConfig.named, changes replace single numbers of it.

    Returns {"stages", "parameters", "tokens", "ways": {name: {"loss", "seconds", "flops"}}}.
    """
    text = load_corpus(source).text
    tokenizer = CharTokenizer.train(text)
    full = GPTConfig.named(shape, tokenizer.vocab_size, **(changes or {}))
    data = tokenize_and_split(text, tokenizer, full.block_size)
    config = TrainConfig(steps=steps, batch_size=12, warmup=min(100, steps), seed=seed, backend=backend, progress=False)
    stages = doubling_stages(full.n_layer, steps)
    per_step = config.batch_size * full.block_size
    ways = {}
    for name, (init, frozen) in {"at once": ("zero", False), **WAYS}.items():
        plan = [Stage(0, full.n_layer)] if name == "at once" else stages
        model = GPT(replace(full, n_layer=plan[0].n_layer), seed=seed)
        Trainer(GPT(model.config, seed=seed), data, config).step()  # compiles what is not compiled yet
        start = time.perf_counter()
        trainer = train_progressively(model, data, config, plan, init, frozen, rng=seed)
        seconds = time.perf_counter() - start
        flops = training_flops(full, plan, steps, per_step, frozen)
        ways[name] = {"loss": trainer.evaluate(), "seconds": seconds, "flops": flops}
    return {"stages": stages, "parameters": full.n_parameters(), "tokens": steps * per_step, "ways": ways}


def report(result: dict) -> str:
    """The figures as lines of text."""
    stages = ", ".join(f"{stage.n_layer} from step {stage.start}" for stage in result["stages"])
    lines = [
        f"{result['parameters']:,} parameters at the end, {result['tokens']:,} characters read; blocks: {stages}",
        f"{'way':<14}{'loss':>8}{'seconds':>10}{'TFLOP':>8}",
    ]
    for name, figures in result["ways"].items():
        lines.append(f"{name:<14}{figures['loss']:>8.3f}{figures['seconds']:>10.1f}{figures['flops'] / 1e12:>8.2f}")
    return "\n".join(lines)
