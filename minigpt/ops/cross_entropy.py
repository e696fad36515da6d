"""Cross entropy between softmax(logits) and class numbers."""

from __future__ import annotations

from math import prod
from typing import NoReturn

from ..errors import ArgumentError, ShapeError
from .axes import named
from .embedding import check_ids
from .op import Op


class CrossEntropy(Op):
    """loss_n = log sum_v exp(logit_nv) - (1 - s) * logit_n,target - s * mean_v logit_nv

    Backward: dlogits = (softmax(logits) - target distribution) * dloss
    Shapes:   logits (..., V), targets (...) integers -> (...) for reduction "none", else ()
    Settings: ignore_index marks targets without loss; "mean" divides by the number of other targets;
              s = label_smoothing spreads that share of the target evenly over all V classes
    Units:    nats
    Raises:   ShapeError, ArgumentError (targets out of range; "mean" when every target is ignored)
    Source:   Szegedy et al. 2016, section 7 (label smoothing)
    """

    float_inputs = 1

    @staticmethod
    def forward(ctx, logits, targets, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        if reduction not in ("mean", "sum", "none"):
            raise ArgumentError(f"cross_entropy: reduction is 'mean', 'sum' or 'none', got {reduction!r}")
        if not 0.0 <= label_smoothing <= 1.0:
            raise ArgumentError(f"cross_entropy: label_smoothing lies in 0 … 1, got {label_smoothing}")
        if logits.ndim == 0 or logits.shape[:-1] != targets.shape or logits.shape[-1] == 0:
            _refuse(logits.shape, targets.shape)
        V = logits.shape[-1]
        check_ids("cross_entropy", targets, V, ignore_index, "target", "V = {} classes")
        row = ctx.row
        flat = row.reshape(logits, (prod(targets.shape), V))  # (N, V)
        targets = row.reshape(targets, (prod(targets.shape),))  # (N,)
        losses, m, log_sum = row.cross_entropy_forward(flat, targets, ignore_index, label_smoothing)  # (N,) each
        ctx.save(flat, targets, m, log_sum)
        ctx.settings = (ignore_index, label_smoothing)
        ctx.shape = logits.shape
        ctx.scale = 1.0
        if reduction == "none":
            return row.reshape(losses, logits.shape[:-1])
        if reduction == "mean":
            count = int(row.to_host(row.sum(row.compare(targets, ignore_index, "!="), (0,))))
            if count == 0:
                raise ArgumentError(
                    f"cross_entropy: all {prod(targets.shape)} targets are ignore_index ({ignore_index}), so their "
                    "mean does not exist; leave such batches out, or use reduction='sum', which is 0"
                )
            ctx.scale = 1.0 / count
        return row.multiply(row.sum(losses, (0,)), ctx.scale)

    @staticmethod
    def backward(ctx, dloss):
        logits, targets, m, log_sum = ctx.saved
        row = ctx.row
        if dloss.ndim == 0:  # a sum or mean: every row gets the same gradient
            dloss = row.broadcast_to(row.multiply(dloss, ctx.scale), targets.shape)  # (N,)
        else:
            dloss = row.reshape(dloss, targets.shape)  # (N,)
        dloss = row.astype(dloss, logits.dtype)
        dlogits = row.cross_entropy_backward(dloss, logits, targets, m, log_sum, *ctx.settings)
        return row.reshape(dlogits, ctx.shape), None


NAMES = {2: "N V", 3: "B T V"}


def _refuse(logits, targets) -> NoReturn:
    """The ShapeError for logits and targets that do not fit, with the fix where a common mistake explains it."""
    if not logits or logits[-1] == 0:
        raise ShapeError(f"cross_entropy: logits {logits} must be (..., V), scores of at least one class")
    names = NAMES.get(len(logits), "V")
    wanted = named(logits[:-1], " ".join(names.split()[:-1]))
    if targets == logits:
        hint = "; targets are class numbers, of one-hot rows: targets.argmax(axis=-1)"
    elif prod(targets) == prod(logits[:-1]):
        hint = f"; did you mean targets.reshape({'-1' if len(logits) == 2 else ', '.join(map(str, logits[:-1]))})?"
    elif len(logits) == 3 and (logits[0], logits[2]) == targets:
        hint = "; the classes come last here: did you mean logits.swapaxes(1, 2)?"
    else:
        hint = ""
    raise ShapeError(
        f"cross_entropy: logits {named(logits, names)} need targets {wanted}, the same shape without the last axis; "
        f"got {targets}{hint}"
    )
