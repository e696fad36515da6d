"""Where the operations of a forward pass ran: in which module calls, and on which line of the user's program.

with mg.debug.module_calls(model) as calls:
    _, loss = model(ids, targets)
mg.debug.graph(loss, calls)
mg.debug.record_backward(loss, model, calls)
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

from ..nn import Module
from ..observe import observing
from ..tensor import Tensor
from .place import Place
from .source import Line, users_line


@dataclass
class ModuleCalls:
    """Which module calls every operation ran in, and what parameters are called.

    calls   number of an operation -> the calls around it, outermost first, each (name of the module, number of call)
    lines   number of an operation -> the line of the user's program; missing where there is none
    names   id of a parameter -> its name in the model
    """

    model: Module | None = None
    calls: dict[int, tuple] = field(default_factory=dict)
    lines: dict[int, Line] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    _paths: dict[int, str] = field(default_factory=dict)
    _stack: list = field(default_factory=list)
    _count: int = 0

    def __post_init__(self):
        if self.model is not None:
            self._learn(self.model)

    def _learn(self, model):
        self.names |= {id(parameter): name for name, parameter in model.named_parameters()}
        self._paths |= {id(module): name or type(module).__name__ for name, module in model.named_modules()}

    def around_module(self, module, args, kwargs, proceed):
        if self.model is None and not self._stack:
            self._learn(module)
        self._count += 1
        self._stack.append((self._paths.get(id(module), type(module).__name__), self._count))
        try:
            return proceed()
        finally:
            self._stack.pop()

    def around_op(self, op, inputs, settings, proceed):
        outputs = proceed()
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        if isinstance(first, Tensor) and first._node is not None:
            number, line = first._node.number, users_line()
            if self._stack:
                self.calls[number] = tuple(self._stack)
            if line is not None:
                self.lines[number] = line
        return outputs

    def place(self, number: int) -> Place:
        """Of the operation with this number on the tape."""
        stack = self.calls.get(number)
        return Place(stack[-1][0] if stack else "", self.lines.get(number))


@contextmanager
def module_calls(model=None):
    """Note inside the block which module and line every operation belongs to; yields a ModuleCalls.

    model   whose names to use; None: those inside the outermost module that is called
    """
    calls = ModuleCalls(model)
    with observing(calls):
        yield calls
