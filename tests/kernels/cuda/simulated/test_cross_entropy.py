"""Cross entropy on the simulated card."""

import numpy as np
import pytest

from kernels.cuda import cross_entropy, device
from kernels.cuda.ladder import LADDERS
from kernels.reference import cross_entropy as reference

IGNORED = -100


def batch(rng, N, V, offset=0.0):
    """Logits with one that stands out in every row, targets of which every third is ignored, and gradients."""
    logits = offset + 3 * rng.standard_normal((N, V), dtype=np.float32)
    logits[np.arange(N), rng.integers(0, V, N)] += 5
    targets = rng.integers(0, V, N)
    targets[::3] = IGNORED
    return logits, targets, rng.standard_normal(N, dtype=np.float32)


def both_directions(agrees, logits, targets, dloss, **settings):
    _, m, log_sum = agrees("cross_entropy", "cross_entropy_forward", logits, targets, **settings)
    agrees("cross_entropy", "cross_entropy_backward", dloss, logits, targets, m, log_sum, **settings)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (9, 65), (3, 33), (4, 32), (2, 5), (0, 7)], ids=str)
def test_short_rows(shape, smoothing, agrees, rng):
    both_directions(agrees, *batch(rng, *shape), label_smoothing=smoothing)


# 9 to 12 classes: rows begin at each of the four places that an access of 128 bits may be away from
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("V", [9, 10, 11, 12, 1025])
def test_long_rows(V, smoothing, agrees, rng, monkeypatch):
    monkeypatch.setattr(cross_entropy, "LONG", 8)
    both_directions(agrees, *batch(rng, 2 if V > 12 else 5, V), label_smoothing=smoothing)


def test_the_vocabulary_of_gpt2(agrees, rng):
    both_directions(agrees, *batch(rng, 2, 50257), label_smoothing=0.1)


@pytest.mark.parametrize("long", [1, 1000], ids=["block", "warp"])
def test_large_logits_keep_their_digits(long, agrees, rng, monkeypatch):
    """m + log(sum) would be 30000 for all: the loss must come from the differences."""
    monkeypatch.setattr(cross_entropy, "LONG", long)
    logits, targets, dloss = batch(rng, 4, 37, offset=30000.0)
    both_directions(agrees, logits, targets, dloss, label_smoothing=0.1)


@pytest.mark.parametrize("long", [1, 1000], ids=["block", "warp"])
def test_classes_ruled_out(long, agrees, rng, monkeypatch):
    """Logits of -inf, also the first of the row and whole lanes of a warp, have probability 0 and no gradient."""
    monkeypatch.setattr(cross_entropy, "LONG", long)
    logits, targets, dloss = batch(rng, 4, 70)
    logits[1:, :40] = -np.inf
    targets[1:] = 45
    both_directions(agrees, logits, targets, dloss)


@pytest.mark.parametrize("settings", [{"ignore_index": 0}, {"ignore_index": -1}, {}], ids=str)
def test_ignored(settings, agrees, rng):
    logits, targets, dloss = batch(rng, 6, 5)
    ignored = settings.get("ignore_index", IGNORED)
    targets[:4] = ignored
    targets[4:] = 1
    both_directions(agrees, logits, targets, dloss, **settings)
    both_directions(agrees, logits, np.full(6, ignored), dloss, **settings)


@pytest.mark.parametrize("long", [1, 1000], ids=["block", "warp"])
@pytest.mark.parametrize("wrong", [-1, 7, 2**40])
def test_a_target_that_is_no_class_shows_as_nan(wrong, long, rng, monkeypatch):
    """On the host the op refuses it; here nothing may be read outside, and it must not pass unnoticed."""
    monkeypatch.setattr(cross_entropy, "LONG", long)
    logits, targets, dloss = batch(rng, 3, 7)
    targets[:] = 2
    targets[1] = wrong
    x, t, d = map(device.from_host, (logits, targets, dloss))
    losses, m, log_sum = cross_entropy.cross_entropy_forward(x, t)
    dlogits = device.to_host(cross_entropy.cross_entropy_backward(d, x, t, m, log_sum))
    np.testing.assert_array_equal(np.isnan(device.to_host(losses)), [False, True, False])
    np.testing.assert_array_equal(np.isnan(dlogits), [[False] * 7, [True] * 7, [False] * 7])


@pytest.mark.parametrize("long", [1, 1000], ids=["block", "warp"])
def test_nan_in_the_logits_reaches_the_loss(long, rng, monkeypatch):
    monkeypatch.setattr(cross_entropy, "LONG", long)
    logits, targets, _ = batch(rng, 2, 9)
    targets[:] = 0
    logits[1, 8] = np.nan
    losses, _, _ = cross_entropy.cross_entropy_forward(device.from_host(logits), device.from_host(targets))
    np.testing.assert_array_equal(np.isnan(device.to_host(losses)), [False, True])


def geometry(rung, N):
    return {1: (-(-N // 256), 256), 2: (-(-N // 8), 256), 3: (N, 256)}[rung.number]


@pytest.mark.parametrize("shape", [(5, 65), (3, 31), (2, 1030)], ids=str)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_rung(number, shape, rng):
    N, V = shape
    logits, targets, dloss = batch(rng, N, V)
    wanted = reference.cross_entropy_forward(logits, targets, IGNORED, 0.1)
    got = [np.empty(N, np.float32) for _ in wanted]
    rung = LADDERS["cross_entropy_forward"][number - 1]
    rung.function(*geometry(rung, N), logits.reshape(-1), targets, IGNORED, 0.1, *got, N, V)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())

    dlogits = np.empty(N * V, np.float32)
    rung = LADDERS["cross_entropy_backward"][number - 1]
    rung.function(*geometry(rung, N), dloss, logits.reshape(-1), targets, *wanted[1:], IGNORED, 0.1, dlogits, N, V)
    b = reference.cross_entropy_backward(dloss, logits, targets, *wanted[1:], IGNORED, 0.1)
    np.testing.assert_allclose(dlogits.reshape(N, V), b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("long", [1, 1000], ids=["block", "warp"])
def test_views(long, rng, monkeypatch):
    """Every other row, the columns of another array, gradients all the same number (stride 0), ids of 32 bits."""
    monkeypatch.setattr(cross_entropy, "LONG", long)
    logits, targets, _ = batch(rng, 6, 16)
    whole = device.from_host(logits)
    for key in [(slice(0, 6, 2), slice(None)), (slice(1, 6, 2), slice(3, 16))]:
        part, ids = logits[key], np.where(targets[key[0]] > 12, 12, targets[key[0]])
        wanted = reference.cross_entropy_forward(part, ids)
        dloss = device.broadcast_view(device.from_host(np.full(1, 0.5, np.float32)), (3,))
        t = device.from_host(ids.astype(np.int32))
        got = cross_entropy.cross_entropy_forward(device.view_of(whole, key), t)
        dlogits = cross_entropy.cross_entropy_backward(dloss, device.view_of(whole, key), t, *got[1:])
        wanted = (*wanted, reference.cross_entropy_backward(np.full(3, 0.5, np.float32), part, ids, *wanted[1:]))
        for a, b in zip((*got, dlogits), wanted, strict=True):
            np.testing.assert_allclose(device.to_host(a), b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("start", [1, 4])
def test_logits_that_begin_anywhere(start, rng, monkeypatch):
    """At an offset not divisible by four no access of 128 bits is possible: the warp's version takes over."""
    monkeypatch.setattr(cross_entropy, "LONG", 8)
    logits, targets, _ = batch(rng, 2, 11)
    whole = device.from_host(np.concatenate([np.zeros(start, np.float32), logits.reshape(-1)]))
    x = device.DeviceArray(whole.lease, np.float32, (2, 11), offset=start)
    losses, _, _ = cross_entropy.cross_entropy_forward(x, device.from_host(targets))
    wanted, _, _ = reference.cross_entropy_forward(logits, targets)
    np.testing.assert_allclose(device.to_host(losses), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
