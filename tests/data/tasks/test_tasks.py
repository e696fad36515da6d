"""What holds for every task: parts without a common input, the same examples for a seed, scores that can fail."""

import inspect

import pytest

from minigpt.data import Conversation, add_dialogue_tokens, render, split_of
from minigpt.data.tasks import TASKS, draw, exact_match
from minigpt.errors import ArgumentError, DataError
from minigpt.tokenizers import CharTokenizer

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
ASCII = "".join(map(chr, range(32, 127)))


def prompts(task, split, n, seed=0):
    return [example.messages[-2].content for example in task.examples(split, n, seed)]


@every_task
def test_a_task_is_two_methods(task):
    assert list(inspect.signature(task.examples).parameters) == ["split", "n", "rng"]
    assert list(inspect.signature(task.score).parameters) == ["example", "answer"]


@every_task
def test_examples_are_dialogues_that_fit_a_small_model(task):
    tok = CharTokenizer(ASCII)  # plain ASCII only, so that any tokenizer of English text will do
    add_dialogue_tokens(tok)
    examples = list(task.examples("train", 300, 0))
    assert len(examples) == 300
    for example in examples:
        assert [message.role for message in example.messages] == ["user", "assistant"]
        ids, loss = render(example, tok)
        assert loss.sum() == len(example.reply) + 1
        assert len(ids) <= 192


@every_task
def test_the_same_seed_gives_the_same_examples(task):
    for split in ("train", "test"):
        first = list(task.examples(split, 40, 7))
        assert list(task.examples(split, 40, 7)) == first
        assert list(task.examples(split, 40, 8)) != first


@every_task
def test_no_prompt_is_in_two_parts(task):
    """Drawn with different seeds, as training and testing are; inputs are compared as the task compares them below."""
    train, val, test = (set(prompts(task, split, n, seed)) for seed, (split, n) in enumerate(SIZES.items()))
    assert min(len(val), len(test)) > 150
    assert not train & val
    assert not train & test
    assert not val & test


SIZES = {"train": 1500, "val": 200, "test": 200}


@every_task
def test_test_examples_are_all_different(task):
    found = prompts(task, "test", 200)
    assert len(set(found)) == len(found)


@every_task
def test_scores(task):
    wrong = 0
    for example in task.examples("val", 50, 3):
        assert task.score(example, example.reply) == 1
        assert task.score(example, f" {example.reply}\n") == 1
        assert task.score(example, "") == 0
        assert task.score(example, example.reply + " x") == 0
        wrong += task.score(example, example.messages[-2].content) == 0
    assert wrong >= 49  # a question is not its answer; "Repeat:" and the like see to that


@every_task
def test_bad_arguments(task):
    with pytest.raises(ArgumentError, match="split is one of train, val, test, got 'tset'"):
        list(task.examples("tset", 5, 0))
    with pytest.raises(ArgumentError, match="n needs an integer of at least 1, got 0"):
        list(task.examples("test", 0, 0))


# ---- a task of one's own


class Double:
    """The example in base.py."""

    def examples(self, split, n, rng):
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        x = rng.integers(100)
        return f"{x}", Conversation.exchange(f"Double {x}.", f"{2 * x}")

    def score(self, example, answer):
        return exact_match(example, answer)


def test_a_task_of_ones_own():
    task = Double()
    parts = {split: {e.key for e in task.examples(split, 500, 0)} for split in SIZES}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 100
    assert len(parts["test"]) == sum(
        split_of(f"{x}") == "test" for x in range(100)
    )  # fewer than asked for: all there are
    assert task.score(Conversation.exchange("Double 4.", "8"), " 8") == 1


def test_a_part_without_examples_is_an_error_not_an_endless_loop():
    nothing = draw(lambda rng: ("the only key", Conversation.exchange("a", "b")), "train", 1, 0, (0.0, 0.0, 1.0))
    with pytest.raises(DataError, match="no example fell into the part 'train'"):
        list(nothing)


def test_with_several_keys_all_must_be_of_the_part():
    def make(rng):
        a, b = (int(x) for x in rng.integers(0, 40, 2))
        return (f"{a}", f"{b}"), (a, b)

    for split in SIZES:
        found = list(draw(make, split, 30, 0))
        assert found
        assert {split_of(f"{x}") for pair in found for x in pair} == {split}
