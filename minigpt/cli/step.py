"""Go through a backward pass op by op: what comes in, the rule, what goes out, where it adds up.

Without a file it takes a small example. With a Python file it runs the file and steps through the backward pass of the
Tensor that the file leaves in the variable `loss` (do not call backward() there). Enter goes on, a number goes on so
many steps, `all` shows the rest, `q` stops. Read from a pipe, it shows all steps at once.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, DataError, MiniGPTError

HELP = "go through a backward pass op by op"
EXAMPLE = "minigpt step --example softmax\n  minigpt step mine.py --loss loss"


def _neuron():
    from ..tensor import Tensor

    x = Tensor(np.array([1.0, -2.0]), name="x")
    w = Tensor(np.array([0.5, 0.25]), requires_grad=True, name="w")
    b = Tensor(np.array(0.1), requires_grad=True, name="b")
    return ((x * w).sum() + b).tanh()


def _broadcast():
    from ..tensor import Tensor

    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True, name="x")
    b = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True, name="b")
    return ((x + b) * b).sum()


def _softmax():
    from .. import functional as F
    from ..tensor import Tensor

    logits = Tensor(np.array([[2.0, 1.0, -1.0]]), requires_grad=True, name="logits")
    return -F.softmax(logits)[0, 1].log()


def _attention():
    from ..nn import MultiHeadAttention
    from ..tensor import Tensor

    x = Tensor(np.random.default_rng(0).normal(size=(1, 3, 4)), requires_grad=True, name="x")
    y, _ = MultiHeadAttention(4, 2, causal=True, rng=0).astype(np.float64)(x, return_weights=True)
    return (y * y).mean()


EXAMPLES = {"neuron": _neuron, "broadcast": _broadcast, "softmax": _softmax, "attention": _attention}


def add_arguments(parser):
    parser.add_argument("file", nargs="?", help="a Python file that computes a loss")
    parser.add_argument("--loss", default="loss", metavar="NAME", help="the variable that holds it (loss)")
    parser.add_argument(
        "--example", choices=[*EXAMPLES, "recursion"], default="neuron",
        help="without a file: which example (neuron); recursion shows why backward() does not simply call itself",
    )  # fmt: skip


def run(args) -> int:
    from ..debug import backward_steps, module_calls, recursion_example

    if args.file is None and args.example == "recursion":
        print(recursion_example())
        return 0
    with module_calls() as calls:
        loss = EXAMPLES[args.example]() if args.file is None else _loss_of(Path(args.file), args.loss)
    wait = 1 if sys.stdin.isatty() else None  # steps until we ask; None: never
    for step in backward_steps(loss, calls=calls):
        print(step, end="\n\n")
        if wait is None or step.number == step.total:
            continue
        wait -= 1
        if wait == 0:
            wait = _ask()
            if wait == 0:
                return 0
    return 0


def _ask() -> int | None:
    """How many steps to go on; None: all, 0: stop."""
    while True:
        try:
            answer = input("Enter, a number, all, q > ").strip().lower()
        except EOFError:
            return 0
        if answer in ("q", "quit", "exit"):
            return 0
        if answer == "all":
            return None
        if not answer or (answer.isdecimal() and int(answer) > 0):
            return int(answer or 1)


def _loss_of(path: Path, name: str):
    from ..tensor import Tensor

    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}")
    argv, search = list(sys.argv), list(sys.path)
    sys.argv[:] = [str(path)]
    sys.path.insert(0, str(path.resolve().parent))  # as `python mine.py` does: the file may import its neighbours
    try:
        found = runpy.run_path(str(path), run_name="__main__")
    except MiniGPTError:
        raise
    except Exception as error:  # whatever the file raises is the reader's to see, without our frames
        lines = traceback.format_exception_only(type(error), error)
        own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
        where = f" in line {own[-1]}" if own else ""  # a file that Python cannot read has no line that ran
        raise DataError(f"{path.name} stopped{where}: {''.join(lines).strip()}") from error
    finally:
        sys.argv[:], sys.path[:] = argv, search
    loss = found.get(name)
    if not isinstance(loss, Tensor):
        tensors = [key for key, value in found.items() if isinstance(value, Tensor)]
        known = f"; it has the Tensors {', '.join(tensors)}: choose with --loss" if tensors else ""
        raise ArgumentError(f"{path.name} leaves no Tensor in the variable {name!r}{known}")
    return loss
