"""What a check found: each thing that was looked at, in a line, whether it holds, and if not, where."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

SHOWN = 8  # of what holds


@dataclass
class Report:
    """The result of one of the checks. In a condition it counts as `ok`.

    held      what holds, in words; problems: what does not, with its place, both values, and the likely cause
    skipped   what could not be looked at, and why
    """

    name: str
    held: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def __bool__(self):
        return self.ok

    def note(self, about: str, problem: str) -> None:
        """One thing looked at; an empty problem means that it holds."""
        if problem:
            self.problems.append(f"{about}: {problem}")
        else:
            self.held.append(about)

    def __str__(self):
        lines = [f"{self.name}: " + (f"{len(self.problems)} wrong" if self.problems else "ok")]
        lines += [f"  WRONG  {text}" for text in self.problems]
        shown = (
            self.held if len(self.held) <= SHOWN else [f"{', '.join(self.held[:2])} … and {len(self.held) - 2} more"]
        )
        lines += [f"  ok     {text}" for text in shown]
        lines += [f"  -      {text}" for text in self.skipped]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self):
        return f'<pre style="overflow-x:auto;line-height:1.35">{html.escape(str(self))}</pre>'
