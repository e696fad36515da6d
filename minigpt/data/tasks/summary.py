"""A report in one line: who did what, where and when, found among sentences that do not matter."""

from __future__ import annotations

from ..conversation import Conversation
from .base import draw, exact_match, pick

NAMES = (
    "Ada Ben Cleo Dan Eva Finn Gus Hana Ivo Jane Karl Lena Max Nora Otto Pia Rex Sara Tom Uma Vera Will Yuri Zoe"
).split()
TOWNS = (
    "Bath Bonn Cork Dover Essen Ghent Graz Leeds Lille Lyon Malmo Nice Oslo Pisa Porto Riga Rome Turin Vienna York"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
GOODS = (
    "apples bells boots books boxes chairs coats drums forks hats jars kites lamps maps pens rings shoes tents".split()
)
DEEDS = "sold bought found lost".split()
ASIDES = (
    "It rained all day.", "The sun was out.", "The train was late.", "Lunch was cheap.", "Nobody else came.",
    "The hall was cold.", "There was music.", "The road was long.",
)  # fmt: skip


class Summary:
    """Reports of three or four sentences, of which two matter. Held out are reports, by their facts.

    "Sum up: On Monday Ada went to Lyon. It rained all day. There Ada sold 14 chairs. Lunch was cheap."
    -> "Ada sold 14 chairs in Lyon on Monday."
    """

    def examples(self, split, n, rng):
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        day, name, town, deed = (pick(rng, words) for words in (DAYS, NAMES, TOWNS, DEEDS))
        goods = f"{int(rng.integers(2, 100))} {pick(rng, GOODS)}"
        summary = f"{name} {deed} {goods} in {town} on {day}."
        facts = [f"On {day} {name} went to {town}.", f"There {name} {deed} {goods}."]
        before, after = (pick(rng, ASIDES) for _ in range(2))
        sentences = [facts[0], before, facts[1]] + ([after] if after != before else [])
        return summary, Conversation.exchange("Sum up: " + " ".join(sentences), summary)

    def score(self, example, answer):
        return exact_match(example, answer)
