"""Growing a GPT while it trains: what stays the same, what learns, what it costs."""

import numpy as np
import pytest

from minigpt.data import TokenData
from minigpt.errors import ArgumentError
from minigpt.models import GPT, GPTConfig
from minigpt.models.budget import training_flops as flops_per_token
from minigpt.training import TrainConfig, Trainer
from minigpt.training.progressive import (
    Stage,
    freeze,
    grow,
    grown_trainer,
    train_progressively,
    training_flops,
)

CONFIG = GPTConfig(11, 8, n_layer=1, n_head=2, n_embd=8)
IDS = np.random.default_rng(0).integers(0, 11, 300)
DATA = TokenData(IDS[:200], IDS[200:])
SETTINGS = TrainConfig(steps=9, batch_size=4, warmup=2, progress=False, eval_interval=0, workers=1, backend="numpy")


def weights(model):
    return {name: p.numpy().copy() for name, p in model.named_parameters()}


def trained(steps=3, settings=SETTINGS):
    trainer = Trainer(GPT(CONFIG, seed=0), DATA, settings)
    for _ in range(steps):
        trainer.step()
    return trainer


def test_zero_leaves_the_function_unchanged():
    model = trained().model
    batch = DATA.with_block_size(8).batch(0, 4)
    before = model(**batch)[0].numpy().copy()
    grow(model, 4, "zero", rng=1)
    assert len(model.h) == model.config.n_layer == 4
    assert np.array_equal(model(**batch)[0].numpy(), before)
    _, loss = model(**batch)
    loss.backward()
    new = {name: p.grad for name, p in model.named_parameters() if name.startswith("h.3")}
    assert new["h.3.attn.c_proj.weight"].any()  # the projections begin to learn; what lies before them, a step later
    assert new["h.3.mlp.c_proj.weight"].any()
    assert not new["h.3.mlp.c_fc.weight"].any()


def test_copy_has_the_weights_of_the_last_block():
    model = trained().model
    grow(model, 2)
    model.h[1].attn.c_proj.weight.data += 1
    grow(model, 4, "copy")
    for name, array in model.h[1].state_dict().items():
        for i in (2, 3):
            copied = model.h[i].state_dict()[name]
            assert np.array_equal(copied, array)
    model.h[3].ln_1.weight.data += 1  # arrays of its own
    assert model.h[1].ln_1.weight.data[0] != model.h[3].ln_1.weight.data[0]
    model.astype(np.float64)
    grow(model, 5)
    assert model.h[4].ln_1.weight.dtype == np.float64


def test_growing_by_nothing_changes_nothing():
    """A trainer that is replaced in the middle, without new blocks, ends bit for bit where one left alone does."""
    alone = trained(6)
    swapped = grown_trainer(trained(3), 1)
    for _ in range(3):
        swapped.step()
    assert swapped.step_number == 6
    for name, array in weights(alone.model).items():
        assert np.array_equal(array, weights(swapped.model)[name]), name
    assert np.array_equal(alone.history["loss"], swapped.history["loss"])
    assert np.array_equal(alone.history["lr"], swapped.history["lr"])


def test_moments_follow_their_parameters():
    trainer = trained(3)
    old = {
        id(p): trainer.optimizer.state[n]
        for n, p in enumerate(p for g in trainer.optimizer.groups for p in g["params"])
    }
    grown = grown_trainer(trainer, 2, rng=0)
    params = [p for g in grown.optimizer.groups for p in g["params"]]
    kept = [n for n, p in enumerate(params) if id(p) in old]
    assert len(kept) == len(old)
    for n in kept:
        assert grown.optimizer.state[n]["t"] == 3
        assert grown.optimizer.state[n]["m"].shape == params[n].shape
        assert grown.optimizer.state[n] is old[id(params[n])]
    grown.step()
    counts = {s["t"] for s in grown.optimizer.state.values()}
    assert counts == {1, 4}


@pytest.mark.parametrize("init", ["zero", "copy"])
def test_frozen_parameters_stay(init):
    trainer = grown_trainer(trained(3), 3, init, frozen=True, rng=0)
    before = weights(trainer.model)
    for _ in range(3):
        trainer.step()
    moved = {name for name, array in weights(trainer.model).items() if not np.array_equal(array, before[name])}
    assert {name.split(".")[0] for name in moved} == {"h", "ln_f"}
    assert {name.split(".")[1] for name in moved if name.startswith("h.")} == {"1", "2"}
    freeze(trainer.model, 0)
    assert all(p.requires_grad for p in trainer.model.parameters())


def test_a_whole_run():
    stages = [Stage(0, 1), Stage(3, 2), Stage(6, 4)]
    runs = [
        train_progressively(GPT(CONFIG, seed=0), DATA, SETTINGS, stages, init, frozen, rng=5)
        for init, frozen in (("zero", False), ("zero", False), ("copy", True))
    ]
    for trainer in runs:
        assert trainer.step_number == 9
        assert len(trainer.history["loss"]) == 9
        assert len(trainer.model.h) == 4
        assert trainer.history["lr"][-1] < trainer.history["lr"][3]
        assert np.isfinite(trainer.evaluate())
    assert np.array_equal(runs[0].history["loss"], runs[1].history["loss"])
    assert np.array_equal(runs[0].history["loss"][:3], trained(3).history["loss"])


def test_a_grown_model_learns_with_two_workers():
    settings = TrainConfig.from_dict({**SETTINGS.to_dict(), "workers": 2})
    one, two = (
        train_progressively(GPT(CONFIG, seed=0), DATA, s, [Stage(0, 1), Stage(4, 2)], rng=5)
        for s in (SETTINGS, settings)
    )
    np.testing.assert_allclose(one.history["loss"], two.history["loss"], rtol=1e-4)


def test_operations():
    deep = GPTConfig(11, 8, n_layer=4, n_head=2, n_embd=8)
    at_once = training_flops(deep, [Stage(0, 4)], steps=10, tokens_per_step=32)
    assert at_once == 10 * 32 * flops_per_token(deep)
    stages = [Stage(0, 2), Stage(5, 4)]
    shallow = GPTConfig(11, 8, n_layer=2, n_head=2, n_embd=8)
    grown = training_flops(deep, stages, 10, 32)
    assert grown == pytest.approx(5 * 32 * (flops_per_token(deep) + flops_per_token(shallow)))
    assert training_flops(deep, stages, 10, 32, frozen=True) < grown < at_once
    # frozen, second stage: forward whole, backward through two of four blocks, and the head's input
    head = 2 * 8 * 11
    blocks = flops_per_token(deep) / 3 - head
    second = (blocks + head) + blocks + head
    assert training_flops(deep, stages, 10, 32, frozen=True) == pytest.approx(
        5 * 32 * (flops_per_token(shallow) + second)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: grow(m, 0), "has 1 blocks already, it cannot grow to 0"),
        (lambda m: grow(m, 2, "random"), "init is one of zero, copy"),
        (lambda m: grow(m.h[0], 2), "grow needs a GPT, got Block"),
        (lambda m: train_progressively(m, DATA, SETTINGS, []), "stages must start at step 0"),
        (lambda m: train_progressively(m, DATA, SETTINGS, [Stage(0, 2)]), "with the model's 1 blocks"),
        (lambda m: train_progressively(m, DATA, SETTINGS, [Stage(0, 1), Stage(9, 2)]), "before step 9"),
        (lambda m: train_progressively(m, DATA, SETTINGS, [Stage(0, 1), Stage(2, 1)]), "rise in start and n_layer"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call(GPT(CONFIG, seed=0))
