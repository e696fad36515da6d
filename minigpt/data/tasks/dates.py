"""Dates as the standard writes them (ISO 8601): "Write 3 March 2021 as digits." -> "2021-03-03"."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from ..conversation import Conversation
from ..pairs import Pair
from .base import draw, exact_match

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)


class Dates:
    """Every day of the years 1900 to 2099, written as "3 March 2021" or "March 3, 2021". Held out are days."""

    def examples(self, split, n, rng) -> Iterator[Conversation]:
        for pair in self.pairs(split, n, rng):
            yield Conversation.exchange(f"Write {pair.source} as digits.", pair.target)

    def pairs(self, split, n, rng) -> Iterator[Pair]:
        """The same days as pairs, for encoder–decoder models: "3 March 2021" and "2021-03-03"."""
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        day = FIRST + timedelta(days=int(rng.integers((LAST - FIRST).days + 1)))
        month = MONTHS[day.month - 1]
        british = rng.random() < 0.5
        written = f"{day.day} {month} {day.year}" if british else f"{month} {day.day}, {day.year}"
        return day.isoformat(), Pair(written, day.isoformat())

    def score(self, example, answer):
        return exact_match(example, answer)
