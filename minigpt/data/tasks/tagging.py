"""Parts of speech: "Tag: the old dog saw a light" -> "DET ADJ NOUN VERB DET NOUN".

Some words are of two kinds ("light", "play"), which only the words around them tell apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..conversation import Conversation
from .base import draw, pick

TAGS = ("ADJ", "ADP", "ADV", "DET", "NOUN", "PRON", "VERB")
WORDS = {
    "DET": "the a this that every some no my her".split(),
    "ADJ": "old young small big red wet kind loud slow light cold open round calm warm flat".split(),
    "NOUN": "dog cat bird child man woman boat tree river house song stone light play walk call watch fly calm".split(),
    "VERB": "saw found liked took met heard light play walk call watch fly calm open warm cross".split(),
    "PRON": "she he it they we you".split(),
    "ADV": "often never soon today gladly slowly always here".split(),
    "ADP": "in on near under with behind over by".split(),
}  # fmt: skip
SENTENCES = (
    "NP VERB NP",
    "NP ADV VERB NP",
    "NP VERB NP ADV",
    "NP VERB PP",
    "PRON VERB NP PP",
    "NP PP VERB NP",
    "PRON ADV VERB PP",
)
PHRASES = {"NP": ("DET NOUN", "DET ADJ NOUN", "PRON"), "PP": ("ADP DET NOUN", "ADP DET ADJ NOUN")}


@dataclass(frozen=True)
class Tagged:
    """Words and one tag for each, for models that classify every token."""

    words: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def key(self) -> str:
        """What the tags follow from, for splits."""
        return " ".join(self.words)


class Tagging:
    """Sentences of a template grammar, as dialogue or (`tagged`) for token classification. Held out are sentences."""

    tags = TAGS

    def examples(self, split, n, rng) -> Iterator[Conversation]:
        for record in self.tagged(split, n, rng):
            yield Conversation.exchange(f"Tag: {' '.join(record.words)}", " ".join(record.tags))

    def tagged(self, split, n, rng) -> Iterator[Tagged]:
        """The same sentences as words with tags."""
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        tags: list[str] = []
        for part in pick(rng, SENTENCES).split():
            tags += (pick(rng, PHRASES[part]) if part in PHRASES else part).split()
        record = Tagged(tuple(pick(rng, WORDS[tag]) for tag in tags), tuple(tags))
        return record.key, record

    def score(self, example, answer):
        """The share of words that have their right tag; an answer with too many or too few tags scores 0."""
        right, given = example.reply.split(), answer.split()
        return sum(a == b for a, b in zip(right, given, strict=True)) / len(right) if len(right) == len(given) else 0.0
