"""Rendered records: inputs and targets shifted by one, nothing to learn refused, ids and widths checked."""

import re

import numpy as np
import pytest

from minigpt.data import NO_LOSS, BucketedData, PackedData, Rendered
from minigpt.data.rendered import padded
from minigpt.errors import ArgumentError, DataError, ShapeError

RECORD = ([5, 6, 7, 8], [False, True, False, True])


def test_shifted_by_hand():
    part = Rendered([RECORD, ([1, 2], [True, True])])
    assert len(part) == 2
    assert part.widths.tolist() == [3, 1]
    ids, targets = part[0]
    assert ids.tolist() == [5, 6, 7]
    assert targets.tolist() == [6, NO_LOSS, 8]
    assert part.n_targets(0) == 2
    assert [array.tolist() for array in part[1]] == [[1], [2]]


def test_targets_as_they_are():
    part = Rendered.from_targets([([5, 6, 7], [NO_LOSS, NO_LOSS, 1]), ([8], [0])])
    assert part.widths.tolist() == [3, 1]
    assert [array.tolist() for array in part[0]] == [[5, 6, 7], [NO_LOSS, NO_LOSS, 1]]
    assert [array.tolist() for array in part[1]] == [[8], [0]]


@pytest.mark.parametrize(
    ("records", "kind", "error"),
    [
        ([], DataError, "no records"),
        (
            [RECORD, ([1, 2, 3], [False] * 3)],
            DataError,
            "record 1 has nothing to learn, all of its 2 targets are masked",
        ),
        # the first token is no target: nothing comes before it
        ([([1, 2, 3], [True, False, False])], DataError, "record 0 has nothing to learn"),
        ([RECORD, ([1], [True])], DataError, "record 1 has 1 tokens: at least two"),
        ([([], [])], ShapeError, "record 0: ids (0,) and loss_mask (0,) must both be (L,), L at least 1"),
        ([([1, 2], [True])], ShapeError, "record 0: ids (2,) and loss_mask (1,)"),
        ([([[1, 2]], [[True, True]])], ShapeError, "record 0: ids (1, 2)"),
        ([([1, 2], [0, 1])], ArgumentError, "loss_mask boolean, got int64 and int64"),
        ([([1.0, 2.0], [True, True])], ArgumentError, "ids must be integers and loss_mask boolean, got float64"),
    ],
)
def test_refused(records, kind, error):
    with pytest.raises(kind, match=re.escape(error)):
        Rendered(records)
    for cls in (BucketedData, PackedData):
        with pytest.raises(kind, match=re.escape(error)):
            cls(records)
        with pytest.raises(kind, match=re.escape(error)):
            cls([RECORD], records)


def test_targets_refused():
    with pytest.raises(DataError, match="record 1 has nothing to learn"):
        Rendered.from_targets([([1], [1]), ([1, 2], [NO_LOSS, NO_LOSS])])
    with pytest.raises(ArgumentError, match="targets integers, got int64 and bool"):
        Rendered.from_targets([([1], [True])])


@pytest.mark.parametrize("cls", [BucketedData, PackedData])
def test_too_long_for_the_context(cls):
    records = [([1] * n, [True] * n) for n in (4, 6, 9)]
    message = (
        r"train\[1\] has 6 tokens, a block_size of 4 holds 5 at most; 2 of 3 records are too long.* block_size of 8"
    )
    with pytest.raises(DataError, match=message):
        cls(records, block_size=4)
    with pytest.raises(DataError, match=message):
        cls(records).with_block_size(4)
    with pytest.raises(DataError, match=r"val\[0\] has 9 tokens"):
        cls(records[:1], records[2:]).with_block_size(4)
    cls(records, block_size=8)  # 9 tokens are 8 inputs and their targets


@pytest.mark.parametrize("cls", [BucketedData, PackedData])
def test_ids_of_another_vocabulary(cls):
    records = [([1, 2], [True, True]), ([3, 9, 1], [True, True, True])]
    cls(records, pad_id=9).check(10)
    with pytest.raises(DataError, match=r"train\[1\] has the id 9, but ids need to be 0 to 8.*resize_vocab"):
        cls(records).check(9)
    with pytest.raises(DataError, match=r"val\[1\] has the id 9"):
        cls(records[:1], records).check(9)
    with pytest.raises(ArgumentError, match="pad_id must be an id, 0 to 9, got 10"):
        cls(records, pad_id=10).check(10)
    for bad in (-1, NO_LOSS):
        with pytest.raises(DataError, match=rf"train\[0\] has the id {bad}"):
            cls([([bad, 1], [True, True])]).check(9)


def test_the_last_token_is_checked_too():
    """It is a target only, never an input."""
    with pytest.raises(DataError, match=r"train\[0\] has the target 9"):
        BucketedData([([1, 9], [True, True])]).check(9)


def test_padded():
    array, mask = padded([np.array([4]), np.array([5, 6, 7])], 4, fill=-1)
    assert array.tolist() == [[4, -1, -1, -1], [5, 6, 7, -1]]
    assert mask.tolist() == [[True, False, False, False], [True, True, True, False]]
    with pytest.raises(ShapeError, match="row 1 has 3 tokens, more than the width 2"):
        padded([np.array([4]), np.array([5, 6, 7])], 2, fill=0)


def test_repr_says_what_there_is():
    data = PackedData([RECORD], block_size=8)
    assert repr(data) == "PackedData(train: 1 records, val: none, block_size=8)"
    assert not data.has_val
    with pytest.raises(DataError, match=r"no validation part: pass PackedData\(train, val\)"):
        data.val_batches(2)
