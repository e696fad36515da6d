"""What every causal language model has to do, whatever is in it; and what its batches have to look like.

    mg.debug.check_model(model, ids, targets)
    mg.debug.check_batch(ids, targets)

evaluation  the same twice: no dropout left on
causal      a token has no influence on logits before it, and has some on those after it
cache       one token at a time, with a cache, gives what all at once gives
loss        of a new model is about ln V, that of guessing; none is far above
targets     are the ids one place on

A problem is named with the op, the module and your line at which it begins; of a cache, with the first named point.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..observe import observing
from ..tensor import Tensor
from .comparison import relative_error
from .computation import tensors_of
from .point_differences import PointRecorder
from .recorded_op import OpRecorder, RecordedOp
from .report import Report

NEAR = 1e-4  # of the largest logit: rounding, fused or not, stays below
TOO_HIGH = 1.5  # times ln V


def check_model(model, ids, targets=None, new_cache: Callable | bool = True) -> Report:
    """Run a causal language model in evaluation mode on variations of one batch; nothing in it is changed.

    model:     a Module; model(ids) -> logits (B, T, V), or a tuple that begins with them
    ids:       (B, T) integers, T at least 2, with at least two different tokens among them
    targets:   (B, T), for the loss: model(ids, targets) -> (logits, loss); None leaves that out
    new_cache: batch size -> an empty cache, which model(ids, cache=cache) fills; True: as a GPT makes its own;
               False, or where a model has none: that is left out
    Raises:    ShapeError, ArgumentError
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.shape[1] < 2:
        raise ShapeError(f"check_model: ids have shape {ids.shape}, needs (B, T) with at least two tokens")
    if ids.min() == ids.max():
        raise ArgumentError("check_model: all ids are the same token; give text, in which tokens differ")
    report = Report("check_model")
    with model.evaluating():
        ops, logits = _ops(model, ids)
        report.note("evaluation repeats itself", _repeats(model, ids, ops, logits))
        if not report.ok:
            report.skipped.append("all else: it compares runs that have to repeat themselves")
            return report
        report.note("causal: no token has influence on logits before it", _sees_future(model, ids, ops, logits))
        report.note("the last position depends on the first token", _sees_past(model, ids, logits))
        make = getattr(model, "_new_cache", None) if new_cache is True else new_cache
        if callable(make):
            report.note("with a cache the logits are the same", _cached(model, ids, make))
        else:
            report.skipped.append("cache: there is none; pass new_cache=")
        if targets is None:
            report.skipped.append("loss: pass targets")
        else:
            report.note("the loss is not above that of guessing", _loss(model, ids, targets, logits.shape[-1]))
    return report


def _ops(model, ids) -> tuple[list[RecordedOp], np.ndarray]:
    """(every op that ran, logits)"""
    seen: list[RecordedOp] = []
    with observing(OpRecorder(seen.append)):
        return seen, _logits(model(ids))


def _points(model, ids, **settings) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(named point -> array at the first meeting, logits)"""
    points: dict[str, np.ndarray] = {}

    def seen(name, array):
        points.setdefault(name, np.array(array))

    with observing(PointRecorder(seen)):
        return points, _logits(model(ids, **settings))


def _logits(returned) -> np.ndarray:
    outputs = tensors_of(returned)
    if not outputs or outputs[0].ndim != 3:
        raise ArgumentError("check_model: model(ids) has to return logits (B, T, V), or a tuple that begins with them")
    return np.array(outputs[0].numpy())


def _repeats(model, ids, ops, logits) -> str:
    again, second = _ops(model, ids)
    if np.array_equal(logits, second, equal_nan=True):
        return ""
    first = next((one for one, other in zip(ops, again, strict=False)
                  if any(not np.array_equal(a, b, equal_nan=True)
                         for a, b in zip(one.results, other.results, strict=True))), ops[-1])  # fmt: skip
    return f"{first.name} {first.place} gives another result each time, although model.training is False"


def _other_token(ids, t) -> np.ndarray:
    """ids with every token at t replaced by another one that occurs."""
    known, changed = np.unique(ids), ids.copy()
    changed[:, t] = known[(np.searchsorted(known, ids[:, t]) + 1) % len(known)]
    return changed


def _sees_future(model, ids, ops, logits) -> str:
    T = ids.shape[1]
    for t in sorted({T - 1, (T + 1) // 2}, reverse=True):
        changed_ops, changed = _ops(model, _other_token(ids, t))
        moved = np.abs(changed[:, :t] - logits[:, :t])
        if moved.max() <= NEAR * np.abs(logits).max():
            continue
        b, s, v = (int(i) for i in np.unravel_index(int(np.argmax(moved)), moved.shape))
        first = next((one for one, other in zip(ops, changed_ops, strict=False)
                      if any(_moved_before(x, y, t, T)
                             for x, y in zip(one.results, other.results, strict=True))), ops[-1])  # fmt: skip
        return (f"another token at position {t} changes the logits of position {s} (row {b}, token {v}: "
                f"{logits[b, s, v]:.4g} becomes {changed[b, s, v]:.4g}); it begins with {first.name} "
                f"{first.place}")  # fmt: skip
    return ""


def _moved_before(a, b, t, T) -> bool:
    """Whether an array with a token axis (the last but one) differs before position t. Scores (T, T) may: the mask
    comes after them."""
    if a.ndim < 3 or a.shape != b.shape or a.shape[-2] != T or (a.ndim == 4 and a.shape[-1] == T):
        return False
    return a.dtype.kind == "f" and relative_error(b[..., :t, :], a[..., :t, :]) > NEAR


def _sees_past(model, ids, logits) -> str:
    _, changed = _ops(model, _other_token(ids, 0))
    if relative_error(changed[:, -1], logits[:, -1]) > 0:
        return ""
    return ("another first token leaves the last position's logits bit for bit as they were: is the mask the wrong way "
            "round, or is attention left out?")  # fmt: skip


def _cached(model, ids, new_cache) -> str:
    points, logits = _points(model, ids)
    cache = new_cache(ids.shape[0])
    for t in range(ids.shape[1]):
        step, one = _points(model, ids[:, t : t + 1], cache=cache)
        error = relative_error(one[:, 0], logits[:, t])
        if error <= NEAR:
            continue
        name = next((n for n, a in step.items() if n in points and _step_differs(points[n], a, t)), "output")
        return (f"token {t}, read after {t} cached ones, has logits that are {error:.1e} from those of the whole "
                f"text; it begins in {name}: "
                + ("does the position start anew with every call?" if points[name].ndim == 2
                   else "what does it see that it should not, or not see that it should?"))  # fmt: skip
    return ""


def _step_differs(whole, one, t) -> bool:
    """One step's array against the same token in that of the whole text, token axis the last but one."""
    if whole.ndim < 2 or one.ndim != whole.ndim or one.shape[-2] != 1:
        return False
    there = whole[..., t : t + 1, : one.shape[-1]]
    return relative_error(one, there) > NEAR


def _loss(model, ids, targets, V) -> str:
    loss = tensors_of(model(ids, targets))[-1]
    if loss.size != 1:
        raise ArgumentError("check_model: model(ids, targets) has to return (logits, loss)")
    guessing = math.log(V)
    if loss.item() <= TOO_HIGH * guessing:
        return ""
    wanted = f"guessing among {V} tokens costs ln {V} = {guessing:.2f}"
    return f"{loss.item():.2f} nats, {wanted}: are the first weights too large?"


def check_batch(ids, targets, ignore_index: int = -100) -> Report:
    """Whether targets (B, T) are ids (B, T) one place on: targets[b, t] = ids[b, t + 1], where they count.

    The last target of a row is not in its ids and is not looked at. Raises ShapeError.
    """
    ids, targets = (np.asarray(x.numpy() if isinstance(x, Tensor) else x) for x in (ids, targets))
    if ids.shape != targets.shape or ids.ndim != 2 or ids.shape[1] < 3:
        raise ShapeError(f"check_batch: ids {ids.shape} and targets {targets.shape} are both (B, T), T at least 3")
    report = Report("check_batch")
    wrong = (targets[:, :-1] != ids[:, 1:]) & (targets[:, :-1] != ignore_index)
    problem = ""
    if wrong.any():
        b, t = (int(i) for i in np.argwhere(wrong)[0])
        problem = f"row {b}, position {t}: the target is {targets[b, t]}, the next id {ids[b, t + 1]}"
        problem += _shift(ids, targets, ignore_index)
    report.note("every target is the id that comes next", problem)
    return report


def _shift(ids, targets, ignore_index) -> str:
    T = ids.shape[1]
    for k, words in (
        (0, "the ids themselves, so the model learns to copy"),
        (2, "two places on"),
        (-1, "one place back"),
    ):
        here = slice(max(0, -k), T - max(0, k))
        there = slice(here.start + k, here.stop + k)
        fits = (targets[:, here] == ids[:, there]) | (targets[:, here] == ignore_index)
        if fits.all():
            return f"; all targets are {words}"
    return ""
