"""What all optimizers share: parameter groups, the learning rate, state that can be saved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..backend import current_row
from ..errors import ArgumentError, CheckpointError
from ..tensor import Tensor


class Optimizer:
    """Base class. `params` is an iterable of Tensors, or a list of groups [{"params": …, "weight_decay": 0.0}, …].

    What a group does not set comes from the constructor's arguments. `groups` may be changed between steps, and
    `optimizer.lr = x` sets the learning rate of all groups; a group that was given its own "lr" keeps its ratio.
    """

    def __init__(self, params, **defaults):
        params = list(params)
        if not params:
            raise ArgumentError("the optimizer got no parameters; pass model.parameters()")
        given = params if isinstance(params[0], dict) else [{"params": params}]
        self.groups: list[dict] = []
        seen: set[int] = set()
        for group in given:
            unknown = set(group) - set(defaults) - {"params"}
            if unknown:
                raise ArgumentError(
                    f"parameter group has {sorted(unknown)}; known: params, {', '.join(sorted(defaults))}"
                )
            members = list(group["params"])
            for p in members:
                if not isinstance(p, Tensor) or not p.requires_grad or p.op is not None:
                    raise ArgumentError(f"an optimizer changes leaf Tensors with requires_grad=True, got {p!r}")
                if id(p) in seen:
                    raise ArgumentError(
                        f"a parameter of shape {p.shape} stands in the list twice; it would be moved twice"
                    )
                seen.add(id(p))
            self.groups.append({**defaults, **group, "params": members})
            self._check(self.groups[-1])
        self._lr = float(defaults["lr"])
        self.steps = 0
        self.state: dict[int, dict] = {}  # number of the parameter -> its moments

    def _check(self, settings):
        """Refuse settings that make no sense; subclasses add their own."""
        for name in ("lr", "weight_decay", "momentum", "eps"):
            if name in settings and not settings[name] >= 0:
                raise ArgumentError(f"{type(self).__name__}: {name} must not be negative, got {settings[name]}")

    @property
    def lr(self) -> float:
        return self._lr

    @lr.setter
    def lr(self, value: float):
        for group in self.groups:
            group["lr"] = value * (group["lr"] / self._lr if self._lr else 1.0)
        self._lr = float(value)

    def step(self):
        """Move every parameter that has a gradient, in place; a graph that still needs the old values is told so."""
        for update in self.updates():
            update()

    def updates(self) -> list[Callable[[], None]]:
        """The same step as one call per parameter; they touch different arrays, so threads may share them out."""
        self.steps += 1
        pairs = [(p, group) for group in self.groups for p in group["params"]]
        return [
            partial(self._move, p, self.state.setdefault(number, {}), group)
            for number, (p, group) in enumerate(pairs)
            if p.grad is not None
        ]

    def _move(self, p, state, group):
        self._update(p, state, group)
        p._version.bump(f"{type(self).__name__}.step()")

    def _update(self, p, state, group):
        raise NotImplementedError(f"{type(self).__name__} needs a method _update(p, state, group)")

    def zero_grad(self):
        """Forget the gradients: `.grad` is None again."""
        for group in self.groups:
            for p in group["params"]:
                p.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything that a later run needs to go on alike: "steps", and "<number>.<name>" for each moment."""
        row = current_row()
        moments = {
            f"{n}.{k}": np.array(v if isinstance(v, int) else row.to_host(v))
            for n, s in self.state.items()
            for k, v in s.items()
        }
        return {"steps": np.array(self.steps, np.int64), **moments}

    def load_state_dict(self, state):
        """The inverse of state_dict. Raises CheckpointError if the moments do not fit the parameters."""
        params = [p for group in self.groups for p in group["params"]]
        loaded: dict[int, dict] = {}
        if "steps" not in state:
            raise CheckpointError("optimizer state has no 'steps'")
        for key, array in state.items():
            if key == "steps":
                continue
            number, _, name = key.partition(".")
            counter = array.shape == () and array.dtype.kind == "i"
            known = number.isdigit() and int(number) < len(params)
            if not known or not (counter or params[int(number)].shape == array.shape):
                raise CheckpointError(f"optimizer state {key} of shape {array.shape} does not fit the parameters")
            p, entry = params[int(number)], loaded.setdefault(int(number), {})
            # a copy, since steps write into it
            entry[name] = int(array) if counter else current_row().from_host(np.array(array, dtype=p.dtype))
        self.state, self.steps = loaded, int(state["steps"])
