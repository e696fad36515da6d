"""Which parameters move when only some layers learn."""

import numpy as np
import pytest
from tiny_dialogue import tiny_data, tiny_model

from minigpt.errors import ArgumentError
from minigpt.models import GPTClassifier
from minigpt.nn import Linear
from minigpt.training import TrainConfig, Trainer, freezing
from minigpt.training.freezing import layers, parameter_share, train_last, unfrozen_at

FAST = {"batch_size": 6, "lr": 1e-2, "warmup": 1, "backend": "numpy", "progress": False}


def names_of(model, parameters):
    numbers = {id(p): name for name, p in model.named_parameters()}
    return [numbers[id(p)] for p in parameters]


def values(model):
    return {name: p.numpy().copy() for name, p in model.named_parameters()}


def moved(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.mark.parametrize("classifier", [False, True])
def test_layers_hold_every_parameter_once(classifier):
    model = tiny_model(n_layer=3)
    model = GPTClassifier(model, ["a", "b"]) if classifier else model
    groups = [names_of(model, group) for group in layers(model)]
    assert sorted(name for group in groups for name in group) == sorted(name for name, _ in model.named_parameters())
    prefix = "gpt." if classifier else ""
    top = {"ln_f.weight", "ln_f.bias"} | ({"head.weight", "head.bias"} if classifier else set())
    outside = {name.removeprefix(prefix) for name in groups[0] if not name.startswith(f"{prefix}h.2.")}
    assert outside == top
    assert [group[0].removeprefix(prefix)[:4] for group in groups[1:3]] == ["h.1.", "h.0."]
    assert groups[3] == [f"{prefix}wte.weight", f"{prefix}wpe.weight"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("also", [[], ["wte.weight"]])
def test_only_the_last_layers_move(also, workers):
    model = tiny_model()
    before = values(model)
    train_last(model, 1, also)
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {name for name in before if name.startswith(("h.1.", "ln_f."))} | set(also)
    Trainer(model, tiny_data(), TrainConfig(steps=3, workers=workers, **FAST)).fit()
    assert moved(before, values(model)) == learning
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    assert parameter_share(model)[0] == sum(before[name].size for name in learning)


def test_below_the_lowest_learning_layer_there_is_no_graph():
    """Frozen layers cost no gradient, not even one that is thrown away."""
    model = tiny_model(n_layer=3)
    train_last(model, 1)
    assert not model.h[1](model.h[0](model.wte(np.ones((1, 4), int)))).requires_grad
    train_last(model, len(layers(model)))
    assert model.h[1](model.h[0](model.wte(np.ones((1, 4), int)))).requires_grad


def test_one_more_layer_every_n_steps():
    assert [unfrozen_at(step, 3, 4) for step in range(12)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert unfrozen_at(10**6, 3, 4) == 4
    model = tiny_model()  # three layers: block 1 and the norm, block 0, the tables
    trainer = Trainer(model, tiny_data(), TrainConfig(steps=6, unfreeze_every=2, **FAST))
    seen = []
    for _ in range(6):
        before = values(model)
        trainer.step()
        seen.append(moved(before, values(model)))
    groups = [set(names_of(model, group)) for group in layers(model)]
    assert seen[0] == seen[1] == groups[0]
    assert seen[2] == seen[3] == groups[0] | groups[1]
    assert seen[4] == seen[5] == groups[0] | groups[1] | groups[2]


def test_gradual_unfreezing_goes_on_after_a_checkpoint(tmp_path):
    config = TrainConfig(steps=6, unfreeze_every=2, out=str(tmp_path), workers=1, **FAST)
    straight = Trainer(tiny_model(), tiny_data(), config)
    for _ in range(6):
        straight.step()
    half = Trainer(tiny_model(), tiny_data(), config)
    for _ in range(3):
        half.step()
    half.save()
    again = Trainer.resume(tmp_path, data=tiny_data())
    again.fit()
    assert not moved(values(straight.model), values(again.model))


def test_planted_bug_a_frozen_parameter_that_moves(monkeypatch):
    """Were frozen parameters left with their gradients of before, the optimizer would go on moving them."""

    def forgets_gradients(model, k, also=()):
        for p in (p for group in layers(model)[k:] for p in group):
            p.data = p.data * np.float32(1.001)

    monkeypatch.setattr(freezing, "train_last", forgets_gradients)
    with pytest.raises(AssertionError):
        test_one_more_layer_every_n_steps()


def test_refused():
    model = tiny_model()
    for k in (0, 4, True, 1.5):
        with pytest.raises(ArgumentError, match="from 1 to 3"):
            train_last(model, k)
    with pytest.raises(ArgumentError, match="no parameter 'head'"):
        train_last(model, 1, ["head"])
    with pytest.raises(ArgumentError, match="needs a GPT"):
        layers(Linear(2, 3))
    assert all(p.requires_grad for p in model.parameters())
