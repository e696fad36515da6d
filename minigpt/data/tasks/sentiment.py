"""What someone thinks of something: "Ada did not like the soup." -> "negative".

Judging words alone is not enough: three sentences of ten are negated, so a word of praise stands in a positive
sentence seven times out of ten. A model has to combine the two, as in exclusive or, which no sum over words can; see
`training/bag_of_words.py` for what such a sum reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..conversation import Conversation
from ..records import Labelled
from ..splits import check_split, split_of
from .base import draw, exact_match, pick

NAMES = (
    "Ada Abel Amy Ana Bea Ben Bob Cara Carl Cleo Dan Dora Eli Ella Emil Eric Eva Fay Fred Gina Gus Hana Hugo Ida Ivo "
    "Jack Jane Jill Joel Karl Kim Lara Leo Lena Lily Lucy Luke Mara Mark Max Mia Mona Neil Nina Noah Nora Olga Omar "
    "Otto Paul Pia Rex Rita Rob Rosa Ruth Sam Sara Sean Sven Tara Ted Theo Tina Tom Uma Vera Vic Walt Will Yuri Zoe"
).split()
OBJECTS = (
    "album bag ball beach bed bike boat book bread bus cafe cake camera car chair cheese city clock club coat coffee "
    "concert desk dinner dress drink farm film flat fruit game garden guitar hat hotel house jacket juice lake lamp "
    "lesson letter lunch map meal menu museum novel oven painting park phone photo piano pizza play poem pool radio "
    "river room salad sauce shirt shoe shop show sofa song soup speech story table tea tent tour toy train trip view "
    "walk wine zoo"
).split()
VERBS = {"positive": "like love enjoy praise".split(), "negative": "hate dislike regret resent".split()}
ADJECTIVES = {
    "positive": "good great lovely superb useful pleasant brilliant delightful".split(),
    "negative": "bad awful dull poor useless boring terrible dreadful".split(),
}
OPPOSITE = {"positive": "negative", "negative": "positive"}
FRACTIONS = (0.7, 0.1, 0.2)  # of the names, and of the objects
NEGATED = 0.3  # of the sentences; at 0.5 the first thing to learn, what single words say, would show in no gradient
# Each plain and negated; {o} object, {n} name, {w} the word of praise or blame.
WITH_VERB = (
    ("{n} does {w} the {o}.", "{n} does not {w} the {o}."),
    ("I think {n} will {w} the {o}.", "I think {n} will never {w} the {o}."),
    ("After all, {n} did {w} that {o}.", "After all, {n} did not {w} that {o}."),
)
WITH_ADJECTIVE = (
    ("{n} says the {o} is {w}.", "{n} says the {o} is not {w}."),
    ("The {o} of {n} was always {w}.", "The {o} of {n} was never {w}."),
    ("{n} would call the {o} {w}.", "{n} would never call the {o} {w}."),
    ("Everything about this {o} is {w}, says {n}.", "Nothing about this {o} is {w}, says {n}."),
)


class Sentiment:
    """Sentences from templates, as dialogue or (`labelled`) for classifiers. Held out are names and objects: those of
    "test" stand in no sentence of "train" or "val"."""

    def examples(self, split, n, rng) -> Iterator[Conversation]:
        for record in self.labelled(split, n, rng):
            yield Conversation.exchange(f"Positive or negative? {record.text}", record.label)

    def labelled(self, split, n, rng) -> Iterator[Labelled]:
        """The same sentences as texts with a label, "positive" or "negative"."""
        check_split(split)
        names, objects = ([w for w in words if split_of(w, FRACTIONS) == split] for words in (NAMES, OBJECTS))
        return draw(partial(self._one, names, objects), split, n, rng, FRACTIONS)

    def _one(self, names, objects, rng):
        name, thing = pick(rng, names), pick(rng, objects)
        said = pick(rng, tuple(OPPOSITE))  # by the word alone
        templates, words = (WITH_VERB, VERBS) if rng.random() < 0.5 else (WITH_ADJECTIVE, ADJECTIVES)
        negated = int(rng.random() < NEGATED)
        sentence = pick(rng, templates)[negated].format(n=name, o=thing, w=pick(rng, words[said]))
        return (name, thing), Labelled(sentence, OPPOSITE[said] if negated else said)

    def score(self, example, answer):
        return exact_match(example, answer)
