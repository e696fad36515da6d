"""A batch shared by threads: the numbers do not depend on how many they are, nor on who is first."""

import itertools
import threading
import time

import numpy as np
import pytest

import minigpt as mg
from minigpt.backend import current_row
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer
from minigpt.training.workers import GradientSum, Workers

V, T = 11, 8


def tiny(kind=GPT, **changes):
    return kind(GPTConfig(**{"vocab_size": V, "block_size": T, "n_layer": 2, "n_head": 2, "n_embd": 8, **changes}))


def trainer_of(workers, **changes):
    tokens = np.random.default_rng(5).integers(0, V, 500)
    usual = {"steps": 40, "batch_size": 7, "lr": 1e-2, "min_lr": 1e-3, "warmup": 2, "backend": "cpu"}
    config = TrainConfig(**{**usual, "workers": workers, "progress": False, **changes})
    return Trainer(tiny(dropout=0.2), TokenData(tokens, tokens[:100]), config)


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


@pytest.mark.parametrize("row", ["cpu", "numpy"])
def test_same_seed_and_workers_same_bits(row):
    runs = []
    for _ in range(3):
        trainer = trainer_of(3, accumulate=2, backend=row)
        losses = [trainer.step() for _ in range(5)]
        runs.append((losses, trainer.evaluate(), trainer.model.state_dict()))
    for losses, validation, state in runs[1:]:
        assert losses == runs[0][0]
        assert validation == runs[0][1]
        assert all(np.array_equal(state[name], runs[0][2][name]) for name in state)


def test_the_number_of_workers_changes_only_the_rounding():
    losses = {}
    for workers in (1, 2, 3, 5):
        trainer = trainer_of(workers, accumulate=2)
        losses[workers] = [trainer.step() for _ in range(5)]
    for workers in (2, 3, 5):
        np.testing.assert_allclose(losses[workers], losses[1], rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 7, 8])
def test_gradients_of_any_split(rows, rng):
    """Also of batches that do not divide evenly, or that are smaller than the team."""
    batch = random_batch(rng, rows)
    batch["targets"][-1, 3:] = -100
    loss, norm, grads = gradients(1, batch)
    largest = max(np.abs(g).max() for g in grads.values())
    for workers in (2, 3, 5, 9):
        other_loss, other_norm, others = gradients(workers, batch)
        assert other_loss == pytest.approx(loss, rel=1e-5)
        assert other_norm == pytest.approx(norm, rel=1e-5)
        for name, g in grads.items():
            assert np.abs(others[name] - g).max() <= 1e-5 * largest, name


class Delayed(GPT):
    """Takes as long as the batch says."""

    threads: set

    def loss_sum(self, ids, targets, seconds):
        self.threads.add(threading.get_ident())
        time.sleep(seconds.max())
        return super().loss_sum(ids, targets)


def test_who_finishes_first_changes_nothing(rng):
    batch = random_batch(rng, 6)
    results = []
    for delays in ([0, 0, 0.1, 0.1, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1, 0, 0], [0.1, 0.1, 0, 0, 0.2, 0.2]):
        model = tiny(Delayed, dropout=0.3)
        model.threads = set()
        results.append(gradients(3, {**batch, "seconds": np.array(delays)}, model))
        assert len(model.threads) >= 2  # a thread that is done takes the next part too
    for loss, norm, grads in results[1:]:
        assert (loss, norm) == results[0][:2]
        for name, g in grads.items():
            np.testing.assert_array_equal(g, results[0][2][name])


@pytest.mark.parametrize("arrival", list(itertools.permutations(range(3))))
def test_gradients_are_added_in_the_order_of_the_workers(arrival):
    values = (1e8, -1e8, 1.0)  # any other order of adding gives 0
    with mg.use("cpu"):
        team = Workers(tiny(), 3)
        total = GradientSum(team.parameters[0], [0, 1, 2])
        takers = [total.collector(i, team.parameters[i]) for i in range(3)]
        for worker in arrival:
            for p in team.parameters[worker]:
                takers[worker](p, np.full(p.shape, values[worker], np.float32), current_row(), fresh=True)
        assert all((p.grad == 1).all() for p in team.parameters[0])
        assert all(p.grad is None for twins in team.parameters[1:] for p in twins)
        assert sum(map(sum, team.squares())) == pytest.approx(team.model.num_parameters())


@pytest.mark.parametrize("present", list(itertools.product([False, True], repeat=3)))
def test_gradients_that_only_some_workers_have_are_added_at_the_end(present):
    with mg.use("cpu"):
        team = Workers(tiny(), 3)
        total = GradientSum(team.parameters[0], [0, 1, 2])
        for worker in (2, 0, 1):
            take = total.collector(worker, team.parameters[worker])
            for p in team.parameters[worker] if present[worker] else []:
                take(p, np.full(p.shape, 2.0, np.float32), current_row(), fresh=True)
        total.finish()
        expected = 2.0 * sum(present)
        for p in team.parameters[0]:
            assert (p.grad is None) if expected == 0 else (p.grad == expected).all()


def test_a_second_use_of_a_parameter_is_added_after_the_first_of_all_workers():
    with mg.use("cpu"):
        team = Workers(tiny(), 2)
        total = GradientSum(team.parameters[0], [0, 1])
        takers = [total.collector(i, team.parameters[i]) for i in range(2)]
        p, twin = team.parameters[0][0], team.parameters[1][0]

        def give(worker, tensor, value):
            takers[worker](tensor, np.full(p.shape, value, np.float32), current_row(), fresh=True)

        give(0, p, 1e8)
        give(0, p, 1.0)  # this worker is ahead
        give(1, twin, -1e8)
        give(1, twin, 2.0)
        assert (p.grad == 3).all()  # (1e8 - 1e8) + (1 + 2)
