"""Module: a function with parameters, which may contain other modules.

Parameters and submodules are found by looking at the attributes, in the order in which they were set; nothing has to
be registered. Names are the attribute names joined by dots: `h.0.attn.c_attn.weight`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..backend import current_row, load
from ..errors import ArgumentError, CheckpointError
from ..observe import OBSERVERS, observed
from ..tensor import Tensor, no_grad


class Parameter(Tensor):
    """A Tensor that a module learns: a leaf with requires_grad=True."""

    __slots__ = ()

    def __init__(self, data, name: str | None = None):
        super().__init__(data, requires_grad=True, name=name)


class Module:
    """Base of all layers and models. Subclasses set parameters and submodules in __init__ and write `forward`."""

    training = True  # train() and eval() set this on the instance

    def forward(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(...)")

    def __call__(self, *args, **kwargs):
        if OBSERVERS.get():
            return observed("around_module", lambda: self.forward(*args, **kwargs), self, args, kwargs)
        return self.forward(*args, **kwargs)

    # --- what is inside -----------------------------------------------------------------------------------

    def children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the direct submodules. A plain list of them is refused: it would be lost."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list | tuple | dict) and any(
                isinstance(item, Module | Parameter) for item in (value.values() if isinstance(value, dict) else value)
            ):
                raise ArgumentError(
                    f"{type(self).__name__}.{name} is a plain {type(value).__name__} of modules or parameters, which "
                    "training would not find; use nn.ModuleList, or one attribute each"
                )

    def named_modules(self, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Module]]:
        """(name, module) of this module, whose name is "", and all below it; one used in two places comes once."""
        seen = set() if seen is None else seen
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter); one that is used in two places comes once, under its first name."""
        seen: set[int] = set()
        for module_name, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{module_name}.{name}" if module_name else name, value

    def parameters(self) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters())

    def num_parameters(self) -> int:
        """Number of learnable numbers; shared ones count once."""
        return sum(p.size for p in self.parameters())

    # --- saving and loading -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Name -> values of every parameter, copied to the host."""
        return {name: np.array(p.numpy()) for name, p in self.named_parameters()}

    def load_state_dict(self, state, strict: bool = True) -> tuple[list[str], list[str]]:
        """Write arrays into the parameters of the same names. All or nothing: an error leaves the module as it was.

        Returns (missing, unexpected) names, which strict=True does not allow.
        Raises CheckpointError listing missing and unexpected names, and wrong shapes with both shapes.
        """
        own = dict(self.named_parameters())
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        arrays = {name: np.asarray(state[name]) for name in own if name in state}
        problems = [
            f"{name}: shape {arrays[name].shape} given, {own[name].shape} needed"
            for name in arrays
            if arrays[name].shape != own[name].shape
        ]
        if strict:
            problems += [f"{name}: missing (shape {own[name].shape})" for name in missing]
            problems += [f"{name}: not a parameter of this {type(self).__name__}" for name in unexpected]
        problems += [
            f"{name}: dtype {a.dtype} is not a float type" for name, a in arrays.items() if a.dtype.kind != "f"
        ]
        if problems:
            shown = "; ".join(problems[:6]) + (f"; and {len(problems) - 6} more" if len(problems) > 6 else "")
            raise CheckpointError(f"cannot load these parameters into {type(self).__name__}: {shown}")
        for name, array in arrays.items():
            p = own[name]
            current_row().assign(p.data, ..., current_row().from_host(array.astype(p.dtype, copy=False)))
            p._version.bump("load_state_dict")
        return missing, unexpected

    # --- switching ----------------------------------------------------------------------------------------

    def train(self, mode: bool = True):
        """Training mode (dropout on) for this module and all below it; returns self."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self):
        """Evaluation mode (dropout off); returns self."""
        return self.train(False)

    @contextmanager
    def evaluating(self):
        """`with model.evaluating():` evaluation mode, no gradients; afterwards each module's own mode again."""
        modes = [(module, module.training) for _, module in self.named_modules()]
        self.eval()
        try:
            with no_grad():
                yield self
        finally:
            for module, mode in modes:
                module.training = mode

    def zero_grad(self):
        """Forget the gradients: `.grad` is None again."""
        for p in self.parameters():
            p.grad = None

    def astype(self, dtype):
        """All parameters in float32 or float64; gradients are dropped; returns self."""
        try:
            dtype = np.dtype(dtype)
        except TypeError:
            dtype = None
        if dtype not in (np.float32, np.float64):
            raise ArgumentError(f"parameters are float32 or float64, not {dtype}")
        for p in self.parameters():
            p.data, p.grad = current_row().astype(p.data, dtype), None
        return self

    def to(self, row: str):
        """Move the parameters to where that row of the kernel table keeps its arrays; returns self."""
        target = load(row)
        for p in self.parameters():
            host = p.numpy()
            p.data, p.grad = target.from_host(host), None
        return self

    # --- looking ------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """A table of all modules that hold parameters: name, kind, shapes, number of parameters."""
        rows = []
        for name, module in self.named_modules():
            own = {key: p for key, p in vars(module).items() if isinstance(p, Parameter)}
            if own:
                shapes = ", ".join(f"{key} {p.shape}" for key, p in own.items())
                rows.append((name or "(self)", type(module).__name__, shapes, f"{sum(p.size for p in own.values()):,}"))
        rows.insert(0, ("name", "kind", "parameters", "count"))
        width = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            "  ".join(f"{c:<{w}}" for c, w in zip(r[:3], width, strict=False)) + f"  {r[3]:>{width[3]}}" for r in rows
        ]
        return "\n".join([*lines, f"total: {self.num_parameters():,} parameters (shared ones counted once)"])

    def extra_repr(self) -> str:
        """What repr shows in the brackets; subclasses override it."""
        return ""

    def __repr__(self):
        children = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.children()]
        head = f"{type(self).__name__}({self.extra_repr()}"
        return head + ("\n" + "\n".join(children) + "\n)" if children else ")")


class ModuleList(Module):
    """Modules in a list; their names are 0, 1, 2 …"""

    def __init__(self, modules=()):
        for module in modules:
            self.append(module)

    def append(self, module: Module):
        if not isinstance(module, Module):
            raise ArgumentError(f"a ModuleList holds Modules, got {type(module).__name__}")
        setattr(self, str(len(self)), module)

    def __len__(self):
        return sum(1 for _ in self.children())

    def __iter__(self):
        return (module for _, module in self.children())

    def __getitem__(self, i):
        return list(self)[i]
