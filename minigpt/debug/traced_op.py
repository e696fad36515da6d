"""What a trace writes down: one op that ran, and the totals of one kind of op. Plain data that keeps no array alive."""

from __future__ import annotations

from dataclasses import dataclass

from .roofline import Peaks
from .source import Line

FORWARD, BACKWARD = "forward", "backward"


@dataclass(slots=True)
class TracedOp:
    """One op that ran. For a backward, `inputs` are the gradients that came in and `outputs` those that went out.

    module      path of the module that ran it, as `h.0.attn.c_attn`; `(GPT)` for the outermost one, "" outside of all
    seconds     of the op itself, on a card until it has finished
    bytes       of the arrays that it read and wrote, 0 for a view; backward: gradients, and what forward saved; 0 where
                it only hands on what came, as Add does
    flops       by the rule of flops.py; None for an op that the table there does not know
    parameters  names of the inputs that are parameters
    name        what the module calls the result, as "q" or "hidden"; mostly ""
    call        number of the call of an outermost module; 0 outside. thread: number of the thread, 0 the first seen
    error       kind of the exception that the op raised; mostly ""
    """

    number: int
    direction: str
    op: str
    module: str
    inputs: tuple
    outputs: tuple
    seconds: float
    bytes: int
    flops: int | None
    line: Line | None
    row: str
    parameters: tuple[str, ...] = ()
    name: str = ""
    call: int = 0
    thread: int = 0
    error: str = ""


@dataclass
class OpTotal:
    """All applications of one op in one direction on one row. unknown: how many of them have no FLOP count."""

    direction: str
    op: str
    row: str
    calls: int = 0
    seconds: float = 0.0
    flops: int = 0
    bytes: int = 0
    unknown: int = 0

    def share(self, peaks: Peaks) -> float:
        """Of the roofline: the least time for this much work over the time that it took."""
        return peaks.bound(self.flops, self.bytes) / self.seconds if self.seconds else 0.0
