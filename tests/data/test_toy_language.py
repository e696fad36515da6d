"""The toy language: sentences translated by hand, and what makes exact match a fair score."""

import numpy as np
import pytest

from minigpt.data import toy_language as toy

NOUNS = {noun[0]: noun for noun in toy.NOUNS + toy.PLACES}
VERBS = {verb[0]: verb for verb in toy.VERBS}


def phrase(noun, plural=False, definite=True, *adjectives):
    return toy.NounPhrase(NOUNS[noun], plural, definite, adjectives)


@pytest.mark.parametrize(
    ("sentence", "english", "translated"),
    [
        (
            toy.Sentence(phrase("man"), VERBS["see"], phrase("cat")),
            "the man sees the cat", "tarun mirat vedat",
        ),
        (  # the example of the module
            toy.Sentence(
                phrase("woman", True, True, "old"), VERBS["see"], phrase("dog", False, False, "small"), negated=True,
                place=("near", phrase("river")),
            ),
            "the old women do not see a small dog near the river",
            "femani kelte punil punko so rivon an vedanti nu",
        ),
        (
            toy.Sentence(
                phrase("child", False, False, "old", "red"), VERBS["carry"], phrase("apple", True, False), past=True,
                time="today",
            ),
            "an old red child carried some apples today",
            "hodi kinel rosko kelto so pomeli se portev",
        ),
        (
            toy.Sentence(phrase("cow"), VERBS["find"], phrase("house"), past=True, negated=True),
            "the cow did not find the house", "bovan domel trovev nu",
        ),
        (
            toy.Sentence(phrase("lamp", True), VERBS["push"], phrase("bird", True), past=True),
            "the lamps pushed the birds", "lumeti pileti pusevi",
        ),
    ],
)  # fmt: skip
def test_translated_by_hand(sentence, english, translated):
    pair = sentence.pair()
    assert (pair.source, pair.target) == (english, translated)


def test_the_example_stands_in_the_module():
    assert "femani kelte punil punko so rivon an vedanti nu" in toy.__doc__


def test_words_are_told_apart():
    """Or two meanings would have one translation, or one English sentence two."""
    stems = [noun[2] for noun in toy.NOUNS + toy.PLACES] + list(toy.ADJECTIVES.values()) + [v[3] for v in toy.VERBS]
    assert len(set(stems)) == len(stems)
    english = [word for noun in toy.NOUNS + toy.PLACES for word in noun[:2]]
    english += [word for verb in toy.VERBS for word in verb[:3]] + list(toy.ADJECTIVES)
    assert len(set(english)) == len(english)


def test_an_english_sentence_has_one_translation():
    rng, known = np.random.default_rng(0), {}
    for _ in range(3000):
        pair = toy.random_sentence(rng).pair()
        assert known.setdefault(pair.source, pair.target) == pair.target
        assert len(pair.source.split()) <= 18


def test_every_adjective_agrees_with_its_noun():
    """Read off the words alone, without the code that made them."""
    kinds = {noun[2]: noun[3] for noun in toy.NOUNS + toy.PLACES}
    seen, rng = set(), np.random.default_rng(1)
    for _ in range(500):
        noun = None
        for word in toy.random_sentence(rng).toy().split():
            if word.removesuffix("i") in kinds:
                noun = word
            elif word[:-1] in [*toy.ADJECTIVES.values(), "s"]:
                ending = {("I", False): "o", ("I", True): "i", ("II", False): "a", ("II", True): "e"}[
                    kinds[noun.removesuffix("i")], noun not in kinds
                ]
                assert word[-1] == ending
                seen.add(ending)
    assert seen == set("oiae")
