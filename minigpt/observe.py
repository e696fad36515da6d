"""The observer points: around every op, around every module call, and around every op's backward.

An observer is any object with one or more of these methods; each must call `proceed` once, or return a value of
its own instead:

    def around_op(self, op, inputs, settings, proceed):       # op: the Op class; inputs: Tensors or None
        outputs = proceed()                                   # one Tensor, or a tuple of them
        return outputs                                        # what the caller gets

    def around_module(self, module, args, kwargs, proceed):
        return proceed()

    def around_backward(self, node, grads_out, proceed):      # node: what forward put on the tape, minigpt/tape.py
        return proceed()                                      # one gradient or None per input, as arrays

`with observing(observer):` switches it on in this context (a thread or task started elsewhere does not see it).
Trace, capture, hooks, patching and the anomaly finder are observers; nothing else is woven into the engine. When
none is set, each point costs one look-up.

An observer with `wants_parts = True` makes modules run fused operations as separate ones, so that it can see what
lies between, attention weights above all.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

OBSERVERS: ContextVar[tuple] = ContextVar("minigpt_observers", default=())


@contextmanager
def observing(observer):
    """Switch `observer` on inside the block. Of several, the one set last is outermost."""
    token = OBSERVERS.set((*OBSERVERS.get(), observer))
    try:
        yield observer
    finally:
        OBSERVERS.reset(token)


def parts_wanted() -> bool:
    """Whether an observer asks for separate ops in place of fused ones."""
    return any(getattr(observer, "wants_parts", False) for observer in OBSERVERS.get())


def observed(method: str, proceed, *what, inside=True):
    """Call `proceed` within the named method of every observer that has it.

    While an observer's own code runs, observers are off, so that it may compute with Tensors; `inside` says whether
    they are on again within `proceed`.
    """
    observers = OBSERVERS.get()

    def proceed_observed():
        token = OBSERVERS.set(observers if inside else ())
        try:
            return proceed()
        finally:
            OBSERVERS.reset(token)

    call = proceed_observed
    for observer in observers:
        around = getattr(observer, method, None)
        if around is not None:
            call = partial(around, *what, call)
    token = OBSERVERS.set(())
    try:
        return call()
    finally:
        OBSERVERS.reset(token)
