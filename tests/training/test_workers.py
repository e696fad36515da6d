"""A batch shared by threads: what they compute does not depend on how many they are, nor on who is first."""

import gc
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import minigpt as mg
from minigpt.backend import current_row
from minigpt.data import TokenData
from minigpt.errors import ArgumentError
from minigpt.models import GPT, GPTConfig
from minigpt.tape import recording
from minigpt.training import TrainConfig, Trainer, evaluate
from minigpt.training.workers import Workers, replica, usable_cores

V, T = 11, 8


def tiny(kind=GPT, **changes):
    return kind(GPTConfig(**{"vocab_size": V, "block_size": T, "n_layer": 2, "n_head": 2, "n_embd": 8, **changes}))


def trainer_of(workers, model=None, data=None, **changes):
    model = tiny(dropout=0.2) if model is None else model
    tokens = np.random.default_rng(5).integers(0, V, 500)
    usual = {"steps": 40, "batch_size": 7, "lr": 1e-2, "min_lr": 1e-3, "warmup": 2, "backend": "cpu"}
    config = TrainConfig(**{**usual, "workers": workers, "progress": False, **changes})
    return Trainer(model, TokenData(tokens, tokens[:100]) if data is None else data, config)


class Batches:
    """Data that hands out the given batch again and again."""

    def __init__(self, **batch):
        self.given = batch

    def batch(self, rng, n):
        return self.given


def random_batch(rng, rows=7):
    ids, targets = rng.integers(0, V, (2, rows, T))
    return {"ids": ids, "targets": targets}


def gradients(workers, batch, model=None):
    """Loss and gradients of the mean loss, as `workers` threads compute them."""
    model = tiny(dropout=0.3) if model is None else model
    with mg.use("cpu"):
        team = Workers(model, workers)
        team.zero_grad()
        losses, count = team.backward(batch, seed=1, step=2, first_example=3)
        _, norm = current_row().clip_scale(team.squares(), losses, 1 / count, 1.0)
    return (
        sum(float(loss) for loss in losses) / count,
        norm,
        {name: p.grad / count for name, p in model.named_parameters()},
    )


class Recorded(GPT):
    """Notes what each call gets to see."""

    seen: list
    delay = 0.0

    def loss_sum(self, **batch):
        state = (current_row().name, recording(), self.training, {i["num_threads"] for i in blas_libraries()})
        self.seen.append((batch, state, threading.current_thread().name))
        time.sleep(self.delay * batch["ids"][0, 0])
        return super().loss_sum(ids=batch["ids"], targets=batch["targets"])


def blas_libraries():
    return [info for info in threadpool_info() if info["user_api"] == "blas"]


def recorded(**changes):
    model = tiny(Recorded, **changes)
    model.seen = []  # shared by the replicas, which are shallow copies
    return model


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_each_example_is_seen_once_with_all_that_belongs_to_it(workers, rng):
    batch = {**random_batch(rng), "weights": rng.random((7, 3)), "number": np.arange(7)}
    with mg.use("cpu"):
        model = recorded()
        Workers(model, workers).backward(batch, 0, 0, 0)
    parts = sorted((part for part, _, _ in model.seen), key=lambda part: part["number"][0])
    for name, array in batch.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), array)
    sizes = [len(part["ids"]) for part in parts]
    assert max(sizes) - min(sizes) <= 1


# --- replicas -------------------------------------------------------------------------------------------------------


def test_replicas_share_arrays_and_versions_and_nothing_else():
    model = tiny()
    twin = replica(model)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert p is not q
        assert p.data is q.data
        assert p._version is q._version
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in twin.named_parameters()]
    modules = {id(m) for _, m in model.named_modules()}
    assert not any(id(m) in modules for _, m in twin.named_modules())


def test_a_parameter_used_in_two_places_stays_one():
    model = tiny()
    model.h[1].mlp.c_fc.weight = model.h[0].mlp.c_fc.weight
    twin = replica(model)
    assert twin.h[1].mlp.c_fc.weight is twin.h[0].mlp.c_fc.weight
    assert len(list(twin.parameters())) == len(list(model.parameters()))
    rng = np.random.default_rng(0)
    batch = random_batch(rng)
    one, _, grads = gradients(1, batch, model)
    three, _, others = gradients(3, batch, model)
    assert one == pytest.approx(three, rel=1e-5)
    for name, g in grads.items():
        np.testing.assert_allclose(others[name], g, atol=1e-5 * np.abs(g).max())


def test_astype_after_construction_is_followed():
    losses = {}
    for workers in (1, 3):
        trainer = trainer_of(workers)
        trainer.step()
        trainer.model.astype(np.float64)
        trainer.optimizer.state.clear()
        trainer.step()
        losses[workers] = trainer.step()
        assert all(p.dtype == np.float64 for parameters in trainer.workers.parameters for p in parameters)
        assert all(p.grad.dtype == np.float64 for p in trainer.model.parameters())
    assert losses[1] == pytest.approx(losses[3], rel=1e-6)


def test_parameters_frozen_on_the_way_stay_put():
    results = []
    for workers in (1, 3):
        trainer = trainer_of(workers)
        trainer.step()
        frozen = trainer.model.wpe.weight
        frozen.requires_grad = False
        before = frozen.data.copy()
        results.append([trainer.step() for _ in range(2)])
        np.testing.assert_array_equal(frozen.data, before)
        assert frozen.grad is None
        assert all(not r.wpe.weight.requires_grad and r.wpe.weight.grad is None for r in trainer.workers.replicas)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)


def test_a_model_with_frozen_parameters_can_be_trained():
    model = tiny()
    model.wpe.weight.requires_grad = False
    before = model.state_dict()
    trainer_of(2, model).step()
    np.testing.assert_array_equal(model.wpe.weight.data, before["wpe.weight"])
    assert not np.array_equal(model.wte.weight.data, before["wte.weight"])


def test_settings_changed_on_the_way_reach_all_workers():
    """Dropout switched off after the first step is off in every thread, not in the first alone."""
    losses = []
    for workers in (1, 3):
        trainer = trainer_of(workers, tiny(dropout=0.9))
        trainer.step()
        for _, module in trainer.model.named_modules():
            if isinstance(module, mg.nn.Dropout):
                module.p = 0.0
            if isinstance(module, mg.nn.MultiHeadAttention):
                module.dropout = 0.0
        losses.append(trainer.step())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


# --- what the threads work under ------------------------------------------------------------------------------------


def test_row_grad_mode_and_training_mode_are_handed_over():
    for row in ("numpy", "cpu"):
        model = recorded()
        trainer = trainer_of(3, model, backend=row)
        trainer.step()
        assert {state[:3] for _, state, _ in model.seen} == {(row, True, True)}
        assert len({thread for _, _, thread in model.seen}) >= 2
        model.seen.clear()
        trainer.evaluate()
        assert {state[:3] for _, state, _ in model.seen} == {(row, False, False)}
        assert model.training
        assert recording()
        assert current_row().name == "numpy"


def test_blas_has_one_thread_inside_a_step_and_all_of_them_after():
    switching = sys.getswitchinterval()
    model = recorded()
    trainer = trainer_of(2, model)
    assert len(blas_libraries()) >= 2  # NumPy's and SciPy's: the trainer has loaded both
    with threadpool_limits(3, "blas"):
        before = [info["num_threads"] for info in blas_libraries()]
        for work in (trainer.step, trainer.evaluate):
            model.seen.clear()
            work()
            assert [info["num_threads"] for info in blas_libraries()] == before
            assert all(state[3] == {1} for _, state, _ in model.seen)
        trainer.data = Batches(ids=np.full((2, T), V), targets=np.zeros((2, T), int))
        with pytest.raises(ArgumentError):
            trainer.step()
        assert [info["num_threads"] for info in blas_libraries()] == before
    assert sys.getswitchinterval() == switching


def test_evaluation_in_threads_equals_evaluation_alone():
    losses = [trainer_of(workers).evaluate() for workers in (1, 2, 3, 5)]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)
    data = TokenData(np.arange(50) % V, np.random.default_rng(5).integers(0, V, 500)[:100], T)
    with mg.use("cpu"):
        assert losses[0] == pytest.approx(evaluate(tiny(dropout=0.2), data, 7), rel=1e-6)


def test_no_more_workers_than_examples_and_all_cores_by_default():
    assert trainer_of(9, batch_size=4).workers.count == 4
    assert trainer_of(None, batch_size=10**6).workers.count == usable_cores()


def test_targets_all_ignored_in_one_shard_only(rng):
    batch = random_batch(rng, 6)
    batch["targets"][2:4] = -100  # the whole part of the second of three
    losses = [trainer_of(w, tiny(dropout=0.2), Batches(**batch), batch_size=6).step() for w in (1, 3)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    batch["targets"][:] = -100
    with pytest.raises(ArgumentError, match="all are ignored"):
        trainer_of(3, tiny(), Batches(**batch), batch_size=6).step()


# --- errors ---------------------------------------------------------------------------------------------------------


class Failing(GPT):
    """Fails on a batch that holds token 10; counts how many calls are running."""

    running = 0
    lock = threading.Lock()
    error: type[BaseException] = RuntimeError

    def loss_sum(self, ids, targets):
        with Failing.lock:
            Failing.running += 1
        try:
            time.sleep(0.05 if (ids == 10).any() else 0.15)
            if (ids == 10).any():
                raise self.error("token 10")
            return super().loss_sum(ids, targets)
        finally:
            with Failing.lock:
                Failing.running -= 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("places", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_an_error_in_a_shard_reaches_the_caller_when_all_have_stopped(places, error, rng):
    good, bad = random_batch(rng, 3), random_batch(rng, 3)
    good["ids"] %= 10
    bad["ids"] %= 10
    bad["ids"][places] = 10
    model = tiny(Failing)
    model.error = error
    trainer = trainer_of(3, model, Batches(**bad), batch_size=3)
    before = model.state_dict()
    with pytest.raises(error, match="token 10"):
        trainer.step()
    assert Failing.running == 0
    assert trainer.step_number == 0
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    trainer.data = Batches(**good)  # the next step works, and nothing is left of the one that failed
    assert trainer.step() == pytest.approx(trainer_of(1, tiny(), Batches(**good), batch_size=3).step(), rel=1e-6)
    reference = tiny()
    trainer_of(1, reference, Batches(**good), batch_size=3).step()
    for p, q in zip(model.parameters(), reference.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, atol=1e-5 * np.abs(q.grad).max() + 1e-9)


def test_threads_end_with_their_trainer():
    trainer = trainer_of(3)
    trainer.step()
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("minigpt-worker")]
    assert ours
    del trainer
    gc.collect()
    deadline = time.monotonic() + 5
    while any(thread.is_alive() for thread in ours) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(thread.is_alive() for thread in ours)
