"""What each task holds back, compared by the input that matters, and its answers worked out a second way."""

import re
from datetime import datetime

import numpy as np
import pytest

from minigpt.data.tasks import TASKS, Arithmetic, sentiment, tagging
from minigpt.data.tasks.words import pseudo_word

N = {"train": 1500, "val": 200, "test": 200}


def inputs(name, of):
    """The inputs of each part, as `of(prompt, reply)` sees them."""
    parts = {}
    for seed, (split, n) in enumerate(N.items()):
        examples = TASKS[name].examples(split, n, seed)
        parts[split] = {of(example.messages[-2].content, example.reply) for example in examples}
    return parts


def assert_apart(parts):
    train, val, test = parts.values()
    assert min(map(len, parts.values())) > 30
    assert train.isdisjoint(val)
    assert train.isdisjoint(test)
    assert val.isdisjoint(test)


def test_arithmetic_holds_back_pairs_all_of_them():
    """Pairs in either order; of a small table of sums all of them, and each pair in one part."""
    for task, n in ((TASKS["arithmetic"], 500), (Arithmetic(largest=30), 4000)):
        parts = {}
        for split in N:
            parts[split] = set()
            for example in task.examples(split, n, 0):
                a, b, total = map(int, re.fullmatch(r"What is (\d+) \+ (\d+)\?=(\d+)", _joined(example)).groups())
                assert a + b == total
                parts[split].add((min(a, b), max(a, b)))
        assert_apart(parts)
    assert len(set.union(*parts.values())) == 31 * 32 // 2


def _joined(example):
    return f"{example.messages[-2].content}={example.reply}"


def test_reverse():
    def word(prompt, reply):
        (word,) = re.fullmatch(r"Reverse the word ([a-z]{3,6})\.", prompt).groups()
        assert "".join(reversed(word)) == reply
        return word

    assert_apart(inputs("reverse", word))


def test_sort_letters_holds_back_anagrams_too():
    def letters(prompt, reply):
        (word,) = re.fullmatch(r"Sort the letters of ([a-z]{3,6})\.", prompt).groups()
        assert sorted(word) == list(reply)
        return reply

    assert_apart(inputs("sort-letters", letters))


def test_sort_words_holds_back_sets_in_any_order():
    def words(prompt, reply):
        found = prompt.removeprefix("Sort: ").split(", ")
        assert sorted(found) == reply.split(", ")
        return frozenset(found)

    assert_apart(inputs("sort-words", words))


def test_count():
    zeros = 0

    def word(prompt, reply):
        nonlocal zeros
        letter, word = re.fullmatch(r"How many ([a-z]) are in ([a-z]{4,9})\?", prompt).groups()
        assert len(re.findall(letter, word)) == int(reply)
        zeros += reply == "0"
        return word

    assert_apart(inputs("count", word))
    assert 0.1 < zeros / sum(N.values()) < 0.3


def test_copy():
    def text(prompt, reply):
        assert prompt == f"Repeat: {reply}"
        return reply

    assert_apart(inputs("copy", text))


def test_dates_in_two_ways_of_writing():
    ways = {"%d %B %Y": 0, "%B %d, %Y": 0}

    def day(prompt, reply):
        written = prompt.removeprefix("Write ").removesuffix(" as digits.")
        way = "%d %B %Y" if written[0].isdigit() else "%B %d, %Y"
        ways[way] += 1
        assert datetime.strptime(written, way).strftime("%Y-%m-%d") == reply
        assert " 0" not in f" {written}"
        return reply

    assert_apart(inputs("dates", day))
    assert min(ways.values()) > 0.45 * sum(N.values())


def test_summary():
    def facts(prompt, reply):
        name, deed, goods, town, day = re.fullmatch(r"(\w+) (\w+) (\d+ \w+) in (\w+) on (\w+)\.", reply).groups()
        assert f"On {day} {name} went to {town}." in prompt
        assert f"There {name} {deed} {goods}." in prompt
        return reply

    assert_apart(inputs("summary", facts))


def test_tagging_holds_back_sentences_and_needs_context():
    tags_of = {}

    def sentence(prompt, reply):
        words, tags = prompt.removeprefix("Tag: ").split(), reply.split()
        for word, tag in zip(words, tags, strict=True):
            assert word in tagging.WORDS[tag]
            tags_of.setdefault(word, set()).add(tag)
        return prompt

    assert_apart(inputs("tagging", sentence))
    assert sum(len(tags) > 1 for tags in tags_of.values()) >= 8
    assert set.union(*tags_of.values()) == set(tagging.TAGS)


def test_tagging_scores_words():
    (example,) = TASKS["tagging"].examples("val", 1, 0)
    tags = example.reply.split()
    wrong = ["ADV" if tags[0] != "ADV" else "DET", *tags[1:]]
    assert TASKS["tagging"].score(example, " ".join(wrong)) == pytest.approx(1 - 1 / len(tags))
    assert TASKS["tagging"].score(example, " ".join(tags[:-1])) == 0


def test_tagged_and_labelled_are_the_same_examples():
    for task, method in (("tagging", "tagged"), ("sentiment", "labelled")):
        examples = TASKS[task].examples("test", 20, 5)
        for example, record in zip(examples, getattr(TASKS[task], method)("test", 20, 5), strict=True):
            assert record.key in example.messages[0].content
            assert example.reply == (record.label if task == "sentiment" else " ".join(record.tags))


def test_sentiment_holds_back_names_and_objects():
    """Names and objects of a part, all of them, never stand in a sentence of another part."""
    words = {}
    for split, n in (("train", 1500), ("val", 400), ("test", 400)):
        text = " ".join(record.text for record in TASKS["sentiment"].labelled(split, n, 0))
        found = set(re.findall(r"\w+", text))
        words[split] = found & {*sentiment.NAMES, *sentiment.OBJECTS}
    assert_apart_words(words)


def assert_apart_words(words):
    train, val, test = words.values()
    assert set.union(*words.values()) == {*sentiment.NAMES, *sentiment.OBJECTS}
    assert train.isdisjoint(val)
    assert train.isdisjoint(test)
    assert val.isdisjoint(test)
    for part in (val, test):
        assert len(part & set(sentiment.NAMES)) >= 5
        assert len(part & set(sentiment.OBJECTS)) >= 5


def test_sentiment_words_say_little_alone():
    """A word of praise is right seven times out of ten, a negation says nothing by itself."""
    records = list(TASKS["sentiment"].labelled("train", 4000, 0))
    share = dict.fromkeys(("not", "never", "Nothing", "Everything", "always"), 0.5)
    for words in (sentiment.VERBS, sentiment.ADJECTIVES):
        share |= dict.fromkeys(words["positive"], 0.7) | dict.fromkeys(words["negative"], 0.3)
    for word, expected in share.items():
        labels = [record.label == "positive" for record in records if re.search(rf"\b{word}\b", record.text)]
        assert len(labels) > 80
        assert abs(np.mean(labels) - expected) < 4 * 0.5 / len(labels) ** 0.5, word


def test_sentiment_labels():
    for record in TASKS["sentiment"].labelled("val", 300, 0):
        said = next(
            label for words in (sentiment.VERBS, sentiment.ADJECTIVES) for label, group in words.items()
            if set(group) & set(re.findall(r"\w+", record.text))
        )  # fmt: skip
        negated = bool(re.search(r"\b(not|never|Nothing)\b", record.text))
        assert (said == record.label) != negated, record


def test_pseudo_words():
    rng = np.random.default_rng(0)
    words = [pseudo_word(rng, 3, 6) for _ in range(2000)]
    lengths = np.bincount([len(word) for word in words])
    assert set(np.flatnonzero(lengths)) == {3, 4, 5, 6}
    assert lengths[3:].min() > 400
    assert len(set(words)) > 1500
    assert all(re.fullmatch(r"[a-z]+", word) and re.search(r"[aeiou]", word) for word in words)
    assert {len(pseudo_word(rng, 9, 9)) for _ in range(5)} == {9}
