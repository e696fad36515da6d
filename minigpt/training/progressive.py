"""Progressive training: begin with few blocks and put new ones on top while training goes on.

    stage 1     wte, wpe, h.0            → ln_f, head        train
    stage 2     wte, wpe, h.0, h.1       → ln_f, head        grow, then train on
    …

A shallow model takes less time for a step, and what it has learnt is a start for the deeper one. Two ways to make a new
block, `grow(init=…)`:

    "zero"      random weights, but both output projections 0: the block adds nothing to the residual, so the function
                of the model is unchanged until the projections learn. (Growth that keeps the function: Chen et al.
                2016, "Net2Net"; zeros: Goyal et al. 2017, section 5.1, there for the last scale of a residual block.)
    "copy"      the weights of the block below, which has learnt to do something useful with such a residual
                (Gong et al. 2019, "Efficient training of BERT by progressively stacking"); the function changes.

Old parameters keep training, or are frozen, so that each stage learns one layer on top of what stays (greedy
layer-wise training: Bengio et al. 2007). Adam's moments of parameters that go on training are carried over.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..backend import row_of, use
from ..errors import ArgumentError
from ..models import GPT
from ..models.budget import forward_flops
from ..models.gpt import INIT_STD
from ..nn import Block
from ..randomness import as_generator
from .trainer import Trainer

INITS = ("zero", "copy")


@dataclass(frozen=True)
class Stage:
    """n_layer blocks from this step of the run on; steps count from 0."""

    start: int
    n_layer: int


def grow(model: GPT, n_layer: int, init: str = "zero", rng=None) -> None:
    """Put blocks on top of a GPT, in place, until it has n_layer of them. init: see the top of this file.

    Optimizers and trainers made before know nothing of the new blocks: see `grown_trainer`.
    Raises: ArgumentError for fewer blocks than there are, or another init.
    """
    if not isinstance(model, GPT):
        raise ArgumentError(f"grow needs a GPT, got {type(model).__name__}")
    if init not in INITS:
        raise ArgumentError(f"init is one of {', '.join(INITS)}, got {init!r}")
    if n_layer < len(model.h):
        raise ArgumentError(f"the model has {len(model.h)} blocks already, it cannot grow to {n_layer}")
    c, rng = model.config, as_generator(rng)
    last = model.h[len(model.h) - 1].state_dict()
    weight = model.wte.weight
    device = row_of(weight.data)
    for _ in range(n_layer - len(model.h)):
        block = Block(c.n_embd, c.n_head, True, c.dropout, c.bias, c.layer_norm_eps, rng, INIT_STD, proj_std=0.0)
        with use("numpy"):
            block.astype(weight.dtype)
            if init == "copy":
                block.load_state_dict(last)
        if device is not None:
            block.to(device.name)
        model.h.append(block.train(model.training))
    model.config = replace(c, n_layer=n_layer)


def freeze(model: GPT, n_blocks: int) -> None:
    """Stop learning in the embeddings and the first n_blocks; the others, ln_f included, learn. 0: all learn again.

    The head is tied to the token embedding, so it stays as it is too.
    """
    frozen = {id(p) for part in (model.wte, model.wpe, *list(model.h)[:n_blocks]) for p in part.parameters()}
    for p in model.parameters():
        p.requires_grad = id(p) not in frozen or n_blocks == 0


def grown_trainer(trainer: Trainer, n_layer: int, init: str = "zero", frozen: bool = False, rng=None) -> Trainer:
    """Grow the trainer's model, and return a trainer that goes on from the same step with the larger one.

    It has the same settings, step number, history and random numbers, so batches and learning rates are those that
    would have come anyway; moments are kept for the parameters that were trained before, new ones begin at 0.
    frozen: the parameters so far stop learning.
    """
    model, old = trainer.model, trainer.optimizer
    history = trainer.history  # waits for the steps that were ordered
    before = [p for group in old.groups for p in group["params"]]
    moments = {id(before[number]): state for number, state in old.state.items()}
    n_before = len(model.h)
    grow(model, n_layer, init, rng)
    if frozen:
        freeze(model, n_before)
    new = Trainer(model, trainer.data, trainer.config)
    new.optimizer.steps = old.steps
    for number, p in enumerate(p for group in new.optimizer.groups for p in group["params"]):
        if id(p) in moments:
            new.optimizer.state[number] = moments[id(p)]
    new.rng.bit_generator.state = copy.deepcopy(trainer.rng.bit_generator.state)
    new.step_number = trainer.step_number
    new._loss, new._lr, new._val = list(history["loss"]), list(history["lr"]), list(trainer._val)
    return new


def train_progressively(
    model: GPT, data, config, stages: Sequence[Stage], init: str = "zero", frozen: bool = False, rng=None
) -> Trainer:
    """Train config.steps steps in all, growing where the stages say so; returns the last trainer.

    stages: the first starts at step 0 with the blocks that the model has; then rising starts and depths
    frozen: each stage trains its new blocks and ln_f only; rng: of the new blocks' weights
    """
    check_stages(model, config.steps, stages)
    rng = as_generator(rng)
    trainer = Trainer(model, data, config)
    for stage, end in zip(stages, [*(s.start for s in stages[1:]), config.steps], strict=True):
        if stage.n_layer > len(model.h):
            trainer = grown_trainer(trainer, stage.n_layer, init, frozen, rng)
        while trainer.step_number < end:
            trainer.step()
    return trainer


def check_stages(model: GPT, steps: int, stages: Sequence[Stage]) -> None:
    """Raise ArgumentError unless the stages begin with the model as it is, rise, and start within the run."""
    starts, depths = [s.start for s in stages], [s.n_layer for s in stages]
    rising = all(np.diff(starts) > 0) and all(np.diff(depths) > 0)
    if not stages or starts[0] != 0 or depths[0] != len(model.h) or not rising or starts[-1] >= steps:
        raise ArgumentError(
            f"stages must start at step 0 with the model's {len(model.h)} blocks, then rise in start and n_layer, and "
            f"start before step {steps}, the end of the run; got {list(stages)}"
        )


def training_flops(config, stages: Sequence[Stage], steps: int, tokens_per_step: int, frozen: bool = False) -> float:
    """Floating-point operations of the whole run; config gives all numbers but n_layer.

    Per token, forward costs F (`models/budget.py`), backward 2 F: gradients of the inputs, and of the weights. Where
    the parameters below are frozen, backward passes through the new blocks (twice their part of F) and the head (once:
    its weights are frozen too).
    """
    total = 0.0
    ends = [*(s.start for s in stages[1:]), steps]
    below = 0  # blocks that are frozen in this stage
    for stage, end in zip(stages, ends, strict=True):
        forward = forward_flops(replace(config, n_layer=stage.n_layer))
        head = 2 * config.n_embd * config.vocab_size
        block = (forward - head) / stage.n_layer
        backward = 2 * (stage.n_layer - below) * block + (1 if below else 2) * head
        total += (end - stage.start) * tokens_per_step * (forward + backward)
        below = stage.n_layer if frozen else 0
    return total
