"""Values on their way from a student's process: they arrive as they were, and what was forged does no harm."""

import json

import numpy as np
import pytest

import minigpt as mg
from minigpt.classroom.comparing import difference, same
from minigpt.classroom.grading.examination import Received
from minigpt.classroom.grading.wire import MOST_PARTS, Foreign, pack, unpack


def over(value):
    return unpack(json.loads(json.dumps(pack(value))))


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -(10**400), 0.1, float("-inf"), 2j, "ü\n", b"\x00\xff", [1, [2.5, None]], (1, (2,)), {1, 2},
     {("a", "b"): [1], 3: {"x": (1.5,)}}, [], (), {}],
    ids=repr,
)  # fmt: skip
def test_plain_values_arrive_with_their_types(value):
    back = over(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3), np.arange(6, dtype=np.float32).reshape(2, 3).T[::2], np.zeros((0, 3)), np.array(2.5),
     np.array([True, False]), np.array([1, -1], np.int8), np.array([np.nan, -np.inf, -0.0]), np.array([1j]),
     np.array(["a", "bc"]), np.arange(3, dtype=">f8"), np.array([1.5], np.float16)],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)  # fmt: skip
def test_arrays_arrive_bit_by_bit(array):
    back = over(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    back[...] = back  # one can write to it


def test_numbers_of_numpy_and_tensors_stay_what_they_are():
    assert type(over(np.float32(2.5))) is np.float32
    assert type(over(np.float64(2.5))) is np.float64  # a Python float by inheritance
    assert type(over(np.bool_(True))) is np.bool_
    back = over(mg.Tensor(np.ones((2, 3), np.float32)))
    assert difference(back, np.ones((2, 3)), "y") == "y is a Tensor; return its array, t.numpy()"


def test_everything_else_arrives_as_its_name_and_look():
    class Counter(dict):
        pass

    class Odd:
        def __repr__(self):
            raise RuntimeError("no")

    def endless():
        yield 1

    loop = []
    loop.append(loop)
    for value in (Odd(), Counter(a=1), np.array([object()]), np.zeros(1, [("a", "f4")]), np.zeros((2000, 2000)),
                  endless, iter([1]), 10**5000, [0] * (MOST_PARTS + 1), loop, "\ud800", {Odd: Odd()}):  # fmt: skip
        json.dumps(pack(value)).encode("ascii")
        over(value)
    assert type(over(Odd())).__name__ == "Odd"
    assert isinstance(over(Odd()), Foreign)
    assert repr(over(Counter(a=1))) == repr(Counter(a=1))
    assert not same(over(Counter(a=1)), {"a": 1})
    assert difference(over(Odd()), np.zeros(2), "y") == "y is an Odd; wanted is a NumPy array (2,) float64"


@pytest.mark.parametrize(
    "packed",
    [{}, {"array": 1}, {"array": ["O", [1], "AAAA"]}, {"array": ["<f8", [10**30], "AA"]}, {"array": ["<f8", [2], "%"]},
     {"array": ["<f8", [1], "AAAA"]}, {"array": ["V8", [1], "AAAAAAAAAAA="]}, {"pickle": "x"}, {"set": [[1]]},
     {"dict": [1]}, {"foreign": [1, 2]}, {"a": 1, "b": 2}, {"complex": ["x"]}, {"array": [["<f8"], [0], ""]}],
    ids=repr,
)  # fmt: skip
def test_what_was_forged_is_refused(packed):
    with pytest.raises(mg.DataError, match="damaged"):
        unpack(packed)


def test_lines_that_a_students_code_wrote_are_no_more_than_outputs():
    lines = [b"\xff\xfe", b"[" * 100_000, b"3", b"{}", b'{"case": true}', b'{"case": -1}', b'{"case": 9, "result": 1}',
             b'{"case": 0, "result": {"pickle": 1}, "after": {}}', b'{"case": 1}', b'{"case": 2, "raised": [1]}',
             b'{"loaded": []}', b'{"loaded": {"failed": 7}}', b'{"points": 6}', b'{"done": 1}']  # fmt: skip
    received = Received(lines, 3)
    assert received.loaded == {"failed": 7}
    assert not received.done
    assert {number: bool(one.lost) for number, one in received.attempts.items()} == {0: True, 1: True, 2: True}
