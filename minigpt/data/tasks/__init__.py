"""Tasks that the project makes itself, in any amount, with inputs held back and exact scores; see `base.py`."""

from __future__ import annotations

from .arithmetic import Arithmetic
from .base import Task, draw, exact_match
from .copy_text import CopyText
from .count_letters import CountLetters
from .dates import Dates
from .reverse_word import ReverseWord
from .sentiment import Sentiment
from .sort_letters import SortLetters
from .sort_words import SortWords
from .summary import Summary
from .tagging import Tagged, Tagging

TASKS: dict[str, Task] = {
    "arithmetic": Arithmetic(),
    "copy": CopyText(),
    "count": CountLetters(),
    "dates": Dates(),
    "reverse": ReverseWord(),
    "sentiment": Sentiment(),
    "sort-letters": SortLetters(),
    "sort-words": SortWords(),
    "summary": Summary(),
    "tagging": Tagging(),
}

__all__ = [
    "TASKS", "Arithmetic", "CopyText", "CountLetters", "Dates", "ReverseWord", "Sentiment", "SortLetters", "SortWords",
    "Summary", "Tagged", "Tagging", "Task", "draw", "exact_match",
]  # fmt: skip
