"""Steps of the optimizers on the simulated card, in place."""

import copy

import numpy as np
import pytest

from kernels.cuda import device, optimizer, tables
from kernels.cuda.ladder import LADDERS
from kernels.reference import optimizer as reference

ADAM = {
    "AdamW": (3e-4, 0.9, 0.999, 1e-8, 0.1, True),
    "Adam with decay": (1e-3, 0.9, 0.95, 1e-8, 0.1, False),
    "Adam": (1e-2, 0.5, 0.9, 1e-3, 0.0, False),
}
SGD = {"plain": (0.1, 0.0, 0.0), "momentum": (0.1, 0.9, 0.0), "momentum and decay": (0.1, 0.9, 0.01)}


def close(got, wanted):
    for a, b in zip(got, wanted, strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * np.abs(b).max(initial=0))


def state(rng, n):
    """p, and gradients of very different sizes."""
    p, g = rng.standard_normal((2, n), dtype=np.float32)
    return p, g * np.float32(10.0) ** rng.integers(-6, 3, n).astype(np.float32)


@pytest.mark.parametrize("n", [1, 7, 8, 1030, 0])
@pytest.mark.parametrize("kind", ADAM)
def test_adam(kind, n, rng):
    """Three steps; the last one is the thousandth, when 1 - beta^t is nearly 1."""
    p, _ = state(rng, n)
    host = [p, np.zeros_like(p), np.zeros_like(p)]
    card = [device.from_host(a) for a in copy.deepcopy(host)]
    for step in (1, 2, 1000):
        _, g = state(rng, n)
        grad = device.from_host(g)
        reference.adam_step(host[0], g, host[1], host[2], step, *ADAM[kind])
        optimizer.adam_step(card[0], grad, card[1], card[2], step, *ADAM[kind])
        np.testing.assert_array_equal(device.to_host(grad), g)
    close([device.to_host(a) for a in card], host)


@pytest.mark.parametrize("n", [1, 7, 8, 1030, 0])
@pytest.mark.parametrize("kind", SGD)
def test_sgd(kind, n, rng):
    lr, momentum, weight_decay = SGD[kind]
    p, _ = state(rng, n)
    velocity = np.zeros_like(p) if momentum else None
    q, w = device.from_host(p.copy()), device.from_host(velocity.copy()) if momentum else None
    for _ in range(3):
        _, g = state(rng, n)
        reference.sgd_step(p, g, velocity, lr, momentum, weight_decay)
        optimizer.sgd_step(q, device.from_host(g), w, lr, momentum, weight_decay)
    close([device.to_host(q)], [p])
    if momentum:
        close([device.to_host(w)], [velocity])


def test_views(rng):
    """A parameter, its moments and its gradient that are parts of other arrays: what lies between stays as it was."""
    whole = [rng.random((4, 6), dtype=np.float32) for _ in range(4)]
    key = (slice(0, 4, 2), slice(None, None, -2))
    card = [device.from_host(a) for a in whole]
    p, g, m, v = (device.view_of(a, key) for a in card)
    hp, hg, hm, hv = (a[key] for a in whole)
    reference.adam_step(hp, hg, hm, hv, 3, *ADAM["AdamW"])
    optimizer.adam_step(p, g, m, v, 3, *ADAM["AdamW"])
    close([device.to_host(a) for a in card], whole)
    reference.sgd_step(hp, hg, hm, *SGD["momentum and decay"])
    optimizer.sgd_step(p, g, m, *SGD["momentum and decay"])
    close([device.to_host(a) for a in card], whole)


@pytest.mark.parametrize("start", [1, 4])
def test_a_parameter_that_begins_anywhere(start, rng):
    p, g = state(rng, 8)
    memory = device.from_host(np.concatenate([np.zeros(start, np.float32), p]))
    q = device.DeviceArray(memory.lease, np.float32, (8,), offset=start)
    optimizer.sgd_step(q, device.from_host(g), None, *SGD["plain"])
    reference.sgd_step(p, g, None, *SGD["plain"])
    close([device.to_host(memory)], [np.concatenate([np.zeros(start, np.float32), p])])


SHAPES = [(3,), (7, 5), (0,), (64,), (1,), (2, 9)]


@pytest.mark.parametrize("scale", [0.25, 1.0, 0.0])
@pytest.mark.parametrize("piece", [8, 8192])
def test_all_parameters_at_once(piece, scale, rng, monkeypatch):
    """Each with settings of its own; the scale lies on the card, and 0 leaves everything as it was, NaN or not."""
    monkeypatch.setattr(tables, "PIECE", piece)
    settings = [(step + 1, *list(ADAM.values())[step % 3]) for step in range(len(SHAPES))]
    host = [[rng.random(shape, dtype=np.float32) for _ in range(4)] for shape in SHAPES]
    if scale == 0:
        host[1][1][0] = np.nan
    card = [[device.from_host(a) for a in row] for row in copy.deepcopy(host)]
    reference.adam_steps([(*row, *s) for row, s in zip(host, settings, strict=True)], scale)
    on_card = device.from_host(np.array(scale, np.float32))
    optimizer.adam_steps([(*row, *s) for row, s in zip(card, settings, strict=True)], on_card)
    for ours, wanted in zip(card, host, strict=True):
        for a, b in zip(ours, wanted, strict=True):
            np.testing.assert_allclose(device.to_host(a), b, rtol=1e-5, atol=1e-7)

    remembers = [n % 2 == 0 for n in range(len(SHAPES))]
    kinds = [SGD["momentum and decay"] if yes else SGD["plain"] for yes in remembers]
    moves = [
        [
            (row[0], row[1], row[2] if yes else None, *kind)
            for row, yes, kind in zip(rows, remembers, kinds, strict=True)
        ]
        for rows in (host, card)
    ]
    reference.sgd_steps(moves[0], scale)
    optimizer.sgd_steps(moves[1], on_card)
    for ours, wanted in zip(card, host, strict=True):
        for a, b in zip(ours, wanted, strict=True):
            np.testing.assert_allclose(device.to_host(a), b, rtol=1e-5, atol=1e-6)


def test_nothing_to_move():
    optimizer.adam_steps([])
    optimizer.sgd_steps([], 0.5)


@pytest.mark.parametrize("number", [1, 2])
def test_every_rung(number, rng):
    n = 1028
    p, g = state(rng, n)
    m, v = rng.random((2, n), dtype=np.float32)
    host, card = [p.copy(), m.copy(), v.copy()], [p.copy(), m.copy(), v.copy()]
    lr, beta1, beta2, eps, decay, _ = ADAM["Adam with decay"]
    reference.adam_step(host[0], g, host[1], host[2], 5, lr, beta1, beta2, eps, decay, False)
    blocks = -(-n // (optimizer.THREADS * (1 if number == 1 else 4)))
    LADDERS["adam_step"][number - 1].function(
        blocks, optimizer.THREADS, card[0], g, card[1], card[2], 1.0, decay, beta1, 1 - beta1, beta2, 1 - beta2,
        lr / (1 - beta1**5), 1 / np.sqrt(1 - beta2**5), eps, n,
    )  # fmt: skip
    close(card, host)

    host, card = [p.copy(), m.copy()], [p.copy(), m.copy()]
    reference.sgd_step(host[0], g, host[1], *SGD["momentum and decay"])
    lr, momentum, decay = SGD["momentum and decay"]
    LADDERS["sgd_step"][number - 1].function(
        blocks, optimizer.THREADS, card[0], g, card[1], True, momentum, lr, decay, n
    )
    close(card, host)
