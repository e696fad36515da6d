"""A small language to translate into: other words, another order, and endings that agree.

    English     the old women do not see a small dog near the river
    Toy         femani kelte punil punko so rivon an vedanti nu

What differs, so that word by word will not do:

- The verb stands last: subject, object, place, verb (English: subject, verb, object, place); "not" comes after it.
- Adjectives stand after their noun, in the opposite order; articles do too ("s-" for "a" and "some", none for "the").
- Every noun is of class I or II, which neither English nor the noun itself shows. Adjectives and "s-" have the ending
  of their noun's class and number: -o, -i for I, -a, -e for II.
- "near the river" is "the river near": the place word stands after its noun.
- The verb says tense and the number of its subject by its ending; a time stands first.

The grammar is deterministic: a sentence has exactly one translation, so exact match is a fair score. Languages of this
kind are many (Turkish, Basque and Japanese have verbs at the end, French and Hebrew adjectives behind the noun); this
one is nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .pairs import Pair

# English singular and plural, stem in the toy language, class
NOUNS = tuple(
    (singular, plural, stem, kind)
    for singular, plural, stem, kind in (line.split() for line in """
        man men tarun I
        woman women feman II
        child children kinel I
        teacher teachers dosan II
        farmer farmers gralon I
        doctor doctors medis II
        dog dogs punil I
        cat cats mirat II
        horse horses kabor I
        bird birds pilet II
        cow cows bovan I
        fish fishes nalip II
        book books librin II
        letter letters skrat I
        stone stones pedrol I
        apple apples pomel II
        chair chairs sedan I
        lamp lamps lumet II
        boat boats navil II
        wagon wagons trakon I
    """.strip().splitlines())
)  # fmt: skip
PLACES = tuple(
    (singular, plural, stem, kind)
    for singular, plural, stem, kind in (line.split() for line in """
        river rivers rivon I
        house houses domel II
        garden gardens hortan I
        bridge bridges pontel II
        tree trees arbos I
        school schools skolan II
    """.strip().splitlines())
)  # fmt: skip
ADJECTIVES = dict(
    line.split() for line in """
        old kelt
        young jovn
        small punk
        big grand
        red rosk
        white blav
        good bonv
        quiet silm
        strong fortk
        tired lasv
        kind dolk
        dirty sutk
    """.strip().splitlines()
)  # fmt: skip
# English: base form, third person, past; stem in the toy language
VERBS = tuple(
    tuple(line.split()) for line in """
        see sees saw ved
        hear hears heard aud
        find finds found trov
        love loves loved am
        carry carries carried port
        wash washes washed lav
        sell sells sold vend
        follow follows followed sek
        push pushes pushed pus
        remember remembers remembered memor
    """.strip().splitlines()
)  # fmt: skip
PREPOSITIONS = {"near": "an", "behind": "tor", "in": "ul", "before": "pre"}
TIMES = {"today": "hodi", "often": "sovin", "now": "nunk"}
ENDINGS = {("I", False): "o", ("I", True): "i", ("II", False): "a", ("II", True): "e"}
VERB_ENDINGS = {
    ("present", False): "at", ("present", True): "anti", ("past", False): "ev", ("past", True): "evi"
}  # fmt: skip
NOT = "nu"


@dataclass(frozen=True)
class NounPhrase:
    """the | a, up to two adjectives, a noun. plural with "a" is "some"."""

    noun: tuple[str, ...]
    plural: bool
    definite: bool
    adjectives: tuple[str, ...] = ()

    def english(self) -> list[str]:
        article = "the" if self.definite else "some" if self.plural else "a"
        if article == "a" and (self.adjectives or self.noun)[0][0] in "aeiou":
            article = "an"
        return [article, *self.adjectives, self.noun[1] if self.plural else self.noun[0]]

    def toy(self) -> list[str]:
        _, _, stem, kind = self.noun
        ending = ENDINGS[kind, self.plural]
        words = [stem + ("i" if self.plural else "")]  # the class does not show on the noun itself
        words += [ADJECTIVES[word] + ending for word in reversed(self.adjectives)]
        return words if self.definite else [*words, "s" + ending]


@dataclass(frozen=True)
class Sentence:
    """Who does what to whom, maybe where and when."""

    subject: NounPhrase
    verb: tuple[str, ...]
    object: NounPhrase
    past: bool = False
    negated: bool = False
    place: tuple[str, NounPhrase] | None = None  # preposition and where
    time: str | None = None

    def english(self) -> str:
        base, third, past, _ = self.verb
        plural = self.subject.plural
        if self.negated:
            verb = ["did" if self.past else "do" if plural else "does", "not", base]
        else:
            verb = [past if self.past else base if plural else third]
        place = [self.place[0], *self.place[1].english()] if self.place else []
        time = [self.time] if self.time else []
        return " ".join([*self.subject.english(), *verb, *self.object.english(), *place, *time])

    def toy(self) -> str:
        verb = self.verb[3] + VERB_ENDINGS["past" if self.past else "present", self.subject.plural]
        place = [*self.place[1].toy(), PREPOSITIONS[self.place[0]]] if self.place else []
        time = [TIMES[self.time]] if self.time else []
        negation = [NOT] if self.negated else []
        return " ".join([*time, *self.subject.toy(), *self.object.toy(), *place, verb, *negation])

    def pair(self) -> Pair:
        return Pair(self.english(), self.toy())


def random_sentence(rng: np.random.Generator) -> Sentence:
    """One of more than 10^12 sentences; half of them are in the past, a third negated, half have a place."""
    return Sentence(
        subject=_phrase(rng, NOUNS, 2),
        verb=_pick(rng, VERBS),
        object=_phrase(rng, NOUNS, 2),
        past=rng.random() < 0.5,
        negated=rng.random() < 1 / 3,
        place=(_pick(rng, tuple(PREPOSITIONS)), _phrase(rng, PLACES, 1)) if rng.random() < 0.5 else None,
        time=_pick(rng, tuple(TIMES)) if rng.random() < 1 / 3 else None,
    )


def _phrase(rng, nouns, most_adjectives: int) -> NounPhrase:
    """A noun with 0 to most_adjectives different adjectives."""
    adjectives: dict[str, None] = {}
    for _ in range(int(rng.integers(most_adjectives + 1))):
        adjectives[_pick(rng, tuple(ADJECTIVES))] = None  # drawn twice, it is there once
    return NounPhrase(_pick(rng, nouns), rng.random() < 0.5, rng.random() < 0.5, tuple(adjectives))


def _pick(rng, choices: tuple):
    return choices[int(rng.integers(len(choices)))]
