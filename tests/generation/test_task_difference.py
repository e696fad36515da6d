"""Two models on the same questions."""

import json
from dataclasses import replace

import pytest

from minigpt.errors import ArgumentError
from minigpt.generation.task_accuracy import TaskEvaluation
from minigpt.generation.task_difference import compare_answers, difference_table
from minigpt.training.evaluation.intervals import paired_difference, wilson


def evaluation(marks: str, name="copy"):
    """ "10½" -> three questions, of which the first is right and the last half right"""
    scores = [{"1": 1.0, "0": 0.0, "½": 0.5}[mark] for mark in marks]
    right = sum(score == 1 for score in scores)
    answers = [("question", "answer", score) for score in scores]
    return TaskEvaluation(name, right, len(marks), sum(scores) / len(marks), wilson(right, len(marks)), answers)


def test_questions_are_paired():
    d = compare_answers(evaluation("1111100½00"), evaluation("11100111½0"))
    assert (d.both, d.first, d.second, d.neither) == (3, 2, 3, 2)
    assert d.value == pytest.approx(0.1)
    assert d.interval == paired_difference(3, 2, 3, 2)
    assert "no difference shown" in d.row()
    stored = json.loads(json.dumps(d.to_dict()))
    assert stored["right"] == {"both": 3, "first": 2, "second": 3, "neither": 2}
    assert stored["second_minus_first"] == pytest.approx(0.1)


def test_pairs_show_what_shares_alone_do_not():
    """60 and 70 of 100, and the second is right wherever the first is: that is no luck."""
    first, second = "1" * 60 + "0" * 40, "1" * 70 + "0" * 30
    nested = compare_answers(evaluation(first), evaluation(second))
    crossed = compare_answers(evaluation(first), evaluation(second[::-1]))
    assert nested.value == crossed.value == pytest.approx(0.1)
    assert "the second is better" in nested.row()
    assert "no difference shown" in crossed.row()
    assert "the first is better" in compare_answers(evaluation(second), evaluation(first)).row()
    table = difference_table([nested, crossed])
    assert table.count("+10.0%") == 2
    assert "Newcombe" in table


def test_other_questions_are_refused():
    e = evaluation("110")
    for other in (evaluation("11"), replace(e, unit="words")):
        with pytest.raises(ArgumentError, match="cannot be paired"):
            compare_answers(e, other)
