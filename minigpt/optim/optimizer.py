"""What all optimizers share: parameter groups, the learning rate, state that can be saved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..backend import current_row
from ..errors import ArgumentError, CheckpointError
from ..tensor import Tensor


class Move(NamedTuple):
    """What a step does with one parameter: its moments, and the settings of its group."""

    parameter: Any
    state: dict
    group: dict


class Optimizer:
    """Base class. `params` is an iterable of Tensors, or a list of groups [{"params": …, "weight_decay": 0.0}, …].

    What a group does not set comes from the constructor's arguments. `groups` may be changed between steps, and
    `optimizer.lr = x` sets the learning rate of all groups; a group that was given its own "lr" keeps its ratio.
    """

    state_names: ClassVar[frozenset[str]] = frozenset()  # what the state of one parameter may hold

    def __init__(self, params, **defaults):
        self._check(defaults)
        params = parameter_list(params)
        if not params:
            raise ArgumentError("the optimizer got no parameters; pass model.parameters()")
        given = params if isinstance(params[0], dict) else [{"params": params}]
        self.groups: list[dict] = []
        seen: set[int] = set()
        for group in given:
            if not isinstance(group, dict) or "params" not in group:
                raise ArgumentError(
                    'parameter groups are dicts like {"params": [...], "weight_decay": 0.0}, got ' + repr(group)
                )
            unknown = set(group) - set(defaults) - {"params"}
            if unknown:
                known = ", ".join(sorted(defaults))
                raise ArgumentError(f"parameter group has {sorted(unknown)}; known: params, {known}")
            members = parameter_list(group["params"])
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
        self._ratios = [group["lr"] / self._lr if self._lr else 1.0 for group in self.groups]
        self.steps = 0
        self.state: dict[int, dict] = {}  # number of the parameter -> its moments

    def _check(self, settings):
        """Refuse settings that make no sense; subclasses add their own."""
        for name in ("lr", "weight_decay", "momentum", "eps"):
            if name in settings:
                value = settings[name]
                is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
                if not is_number or not 0 <= value < np.inf:
                    raise ArgumentError(f"{type(self).__name__}: {name} must be a number from 0 up, got {value!r}")

    @property
    def lr(self) -> float:
        """The learning rate; setting it sets that of every group, in the ratios that they had at the start."""
        return self._lr

    @lr.setter
    def lr(self, value: float):
        self._check({"lr": value})
        self._lr = float(value)
        for group, ratio in zip(self.groups, self._ratios, strict=True):
            group["lr"] = self._lr * ratio

    def step(self):
        """Move every parameter that has a gradient, in place; a graph that still needs the old values is told so."""
        self.move(self.moves())

    def moves(self) -> list[Move]:
        """Begin a step: what is to move in it. They touch different arrays, so threads may share them out."""
        self.steps += 1
        pairs = [(p, group) for group in self.groups for p in group["params"]]
        return [
            Move(p, self.state.setdefault(number, {}), group)
            for number, (p, group) in enumerate(pairs)
            if p.grad is not None
        ]

    def move(self, moves: list[Move], scale=1.0):
        """Carry out some of a step's moves, gradients multiplied by `scale` first; 0 leaves everything as it was.

        scale: a number, or what the row's clip_scale returned
        """
        self._update(moves, scale)
        for p, _, _ in moves:
            p._version.bump(f"{type(self).__name__}.step()")

    def undo(self, moves: list[Move]):
        """Not to count a step that turned out to have moved nothing, its scale being 0."""
        self.steps -= 1

    def _update(self, moves, scale):
        raise NotImplementedError(f"{type(self).__name__} needs a method _update(moves, scale)")

    def zero_grad(self):
        """Forget the gradients: `.grad` is None again."""
        for group in self.groups:
            for p in group["params"]:
                p.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """The moments, "<number of the parameter>.<name>", and "steps"; settings and learning rate are not in it."""
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
            if name not in self.state_names:
                raise CheckpointError(f"optimizer state {key!r} does not belong to {type(self).__name__}")
            entry[name] = int(array) if counter else current_row().from_host(np.array(array, dtype=p.dtype))
        for number, entry in loaded.items():
            if set(entry) != self.state_names:
                lacking = sorted(self.state_names - set(entry))
                raise CheckpointError(f"optimizer state of parameter {number} lacks {lacking}")
        self.state, self.steps = loaded, int(state["steps"])


def parameter_list(params) -> list:
    """An iterable of Tensors as a list, one Tensor as a list of it. Raises ArgumentError for anything else."""
    if isinstance(params, Tensor):
        return [params]
    if not isinstance(params, Iterable):
        hint = "; pass model.parameters()" if hasattr(params, "parameters") else ""
        raise ArgumentError(
            f"parameters must be Tensors in a list or other iterable, got {type(params).__name__}{hint}"
        )
    return list(params)
