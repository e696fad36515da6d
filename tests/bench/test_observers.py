"""What observer points cost while nobody observes: every question is found, taken out and put back, counted, timed."""

from pathlib import Path

import numpy as np
import pytest

from minigpt import functional, observe, tensor
from minigpt.bench import observers
from minigpt.bench.observers import PLACES, QUESTIONS, Cost, questions_of, report, seconds_of, unobservable
from minigpt.bench.sides import Ours
from minigpt.cli import main
from minigpt.errors import BackendError
from minigpt.nn.module import Module
from minigpt.observe import observing
from minigpt.ops import Op

ROOT = Path(observe.__file__).parents[1]


def holders():
    return [(getattr(where, owner) if owner else where, name) for where, owner, name in PLACES]


def test_every_question_of_the_library_is_known():
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("minigpt/**/*.py")
        if any(question in path.read_text(encoding="utf-8") for question in QUESTIONS)
    }
    known = {where.__name__.replace(".", "/") + ".py" for where, _, _ in PLACES}
    assert asking - known == {"minigpt/observe.py", "minigpt/bench/observers.py"}
    assert known <= asking


class Counter:
    def __init__(self):
        self.seen = []

    def around_op(self, op, inputs, settings, proceed):
        self.seen.append(op.__name__)
        return proceed()

    def around_module(self, module, args, kwargs, proceed):
        self.seen.append(type(module).__name__)
        return proceed()


def test_without_questions_nobody_observes_and_all_is_computed_as_before():
    sides = [Ours("baby", 1, "numpy", row="numpy") for _ in range(2)]
    before = [getattr(holder, name) for holder, name in holders()]
    counter = Counter()
    with observing(counter):
        with unobservable():
            assert tensor.apply is not before[0]
            losses = [sides[0].step() for _ in range(2)]
        assert counter.seen == []
        functional.relu(tensor.Tensor(np.ones(2)))
    assert counter.seen == ["ReLU"]
    assert losses == [sides[1].step() for _ in range(2)]
    assert before == [getattr(holder, name) for holder, name in holders()]
    assert Op.apply.__func__ is tensor.apply
    for name, array in sides[0].trainer.model.state_dict().items():
        np.testing.assert_array_equal(array, sides[1].trainer.model.state_dict()[name])


def test_questions_are_counted_by_what_asks():
    """Of each op, module and backward one; observers that count the same ops and modules agree."""
    side = Ours("baby", 1, "numpy", row="numpy")
    counts = questions_of(side.step)
    layers = len(side.trainer.model.h)
    assert counts[QUESTIONS[1]] == 3 * layers  # Block, MultiHeadAttention, MLP

    class Fused(Counter):
        def around_backward(self, node, grads_out, proceed):
            self.seen.append("backward")
            return proceed()

    counter = Fused()
    with observing(counter):
        side.step()
    labels = counter.seen.count("Label")  # made, and differentiated, only while somebody observes; asked for always
    assert counts[QUESTIONS[0]] == len(counter.seen) - 2 * labels + labels


def test_a_place_that_asks_no_more_is_told():
    with pytest.raises(BackendError, match=r"Module\.children does not ask for observers any more"):
        observers.without_questions(Module.children)


def test_a_question_takes_some_nanoseconds():
    names = {"OBSERVERS": observe.OBSERVERS}
    assert 0 < seconds_of("if OBSERVERS.get(): pass", names) < 1e-4


def test_report():
    usual, without = [0.0201, 0.0202, 0.0203], [0.0200, 0.0200, 0.0200]
    cost = Cost("baby", usual, without, {"OBSERVERS.get()": (100, 50e-9), "parts_wanted()": (10, 500e-9)})
    assert cost.counted_share == pytest.approx(10e-6 / 0.0202)
    assert report(cost).splitlines() == [
        "baby: a training step while nobody observes, 3 pairs of turns; medians:",
        "  as it is              20.20 ms",
        "  without questions     20.00 ms",
        "  difference           +1.00%, 95 % interval +0.50% to +1.50%; half of the pairs from +0.75% to +1.25%",
        "counted, each at its price alone:",
        "  OBSERVERS.get()      100 a step,    50 ns each:    5.0 microseconds",
        "  parts_wanted()        10 a step,   500 ns each:    5.0 microseconds",
        "  together           0.050% of a step",
    ]


def test_command(capsys):
    command = "bench observers --backend numpy --threads 1 --rounds 1 --steps 1"
    assert main(command.split()) == 0
    out = capsys.readouterr().out
    assert out.startswith("baby, 'numpy' row, 1 threads: a training step while nobody observes, 1 pairs")
    assert float(out.rsplit("together", 1)[1].split("%")[0]) < 1.0
