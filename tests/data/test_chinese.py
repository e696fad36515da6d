"""The Chinese scenes: the same each time, and what they teach is true in every one of them."""

import re
from collections import Counter

import numpy as np
import pytest

from minigpt import ArgumentError
from minigpt.data import chinese_scenes
from minigpt.data.chinese import KINDS, MEASURES, NUMBERS, PEOPLE, TIMES, random_scene


def test_same_seed_same_text_other_seed_another():
    assert chinese_scenes(20) == chinese_scenes(20)
    assert chinese_scenes(20) == chinese_scenes(20, seed=np.random.default_rng(0))
    assert chinese_scenes(20, seed=1) != chinese_scenes(20)
    assert chinese_scenes(40).startswith(chinese_scenes(20))
    assert chinese_scenes(20).count("\n") == 20


def test_size_is_what_the_docstring_says():
    text = chinese_scenes()
    assert len(text) == pytest.approx(57_000, abs=1000)
    assert len(set(text)) == 253
    scenes = text.splitlines()
    assert len(scenes) == 1200
    assert len(set(scenes)) > 1150, "scenes that come twice would be known by heart"
    assert max(map(len, scenes)) < 64


def test_all_is_chinese():
    """No letter, digit or half-width mark has come in by mistake, and no placeholder was left."""
    assert not re.findall(r"[^\u4e00-\u9fff，。：？\n]", chinese_scenes())


def test_measure_word_fits_the_noun():
    rng = np.random.default_rng(5)
    for _ in range(500):
        scene = random_scene(rng)
        counted = re.search(rf"了([{''.join(NUMBERS)}])(.)([^。]*)。", scene)
        nouns = [noun for noun in MEASURES if counted[3].endswith(noun)]
        assert nouns, scene
        assert counted[2] in {MEASURES[noun] for noun in nouns}, scene


def test_a_noun_has_one_measure_word_everywhere():
    nouns = [noun for kind in KINDS for noun in kind.nouns]
    assert len(nouns) == len(set(nouns)) == len(MEASURES)
    assert all(len(measure) == 1 for measure in MEASURES.values())


def test_every_answer_stands_in_its_scene():
    rng = np.random.default_rng(6)
    asked = Counter()
    for _ in range(500):
        told, _, rest = random_scene(rng).partition("问：")
        question, answer = rest.removesuffix("。").split("？答：")
        assert answer in told
        word = next(word for word in ("谁", "什么时候", "哪里", "什么") if word in question)
        asked[word] += 1
        if word == "谁":
            assert answer in PEOPLE
        elif word == "什么时候":
            assert answer in TIMES
        else:
            assert answer.startswith("在" if word == "哪里" else tuple(NUMBERS))
    assert min(asked.values()) > 25, asked


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "10"])
def test_number_of_scenes(n):
    with pytest.raises(ArgumentError, match="number of scenes"):
        chinese_scenes(n)
