"""PairData: what a batch holds, and which pairs come."""

from collections import Counter

import numpy as np
import pytest

import minigpt as mg
from minigpt.data import NO_LOSS, Pair, PairData
from minigpt.tokenizers import CharTokenizer

IDS = {"start_id": 1, "end_id": 2, "pad_id": 0}


def data(n=40, seed=0, **settings):
    rng = np.random.default_rng(seed)
    pairs = [(rng.integers(3, 9, rng.integers(1, 9)), rng.integers(3, 9, rng.integers(0, 6))) for _ in range(n)]
    return PairData(pairs, pairs[:7], **{**IDS, **settings})


def test_a_batch_by_hand():
    pairs = [([5, 6, 7], [8]), ([5], [6, 7, 8])]
    (batch,) = PairData(pairs, pairs, **IDS).val_batches(2)
    assert {name: array.tolist() for name, array in batch.items()} == {
        "src": [[5, 6, 7], [5, 0, 0]],
        "src_mask": [[True, True, True], [True, False, False]],
        "tgt": [[1, 8, 0, 0], [1, 6, 7, 8]],
        "targets": [[8, 2, NO_LOSS, NO_LOSS], [6, 7, 8, 2]],
    }


def test_an_empty_target_is_an_end():
    (batch,) = PairData([([5], [])], [([5], [])], **IDS).val_batches(1)
    assert (batch["tgt"].tolist(), batch["targets"].tolist()) == ([[1]], [[2]])


def test_every_batch_holds_training_pairs_and_all_come():
    d, rng, seen = data(), np.random.default_rng(1), Counter()
    known = {(tuple(s), tuple(t)) for s, t in d.train}
    for _ in range(400):
        batch = d.batch(rng, 4)
        for src, mask, tgt, targets in zip(*batch.values(), strict=True):
            n = int((targets != NO_LOSS).sum())
            assert targets[n - 1] == 2
            np.testing.assert_array_equal(tgt[1:n], targets[: n - 1])
            seen[tuple(src[mask]), tuple(targets[: n - 1])] += 1
    assert set(seen) == known
    assert max(seen.values()) < 80  # 40 on average
    by_rank = [
        sum(seen[tuple(s), tuple(t)] for s, t in (d.train[i] for i in part)) for part in np.split(d._by_length, 4)
    ]
    np.testing.assert_allclose(by_rank, 400, rtol=0.15)  # no preference for short sources or long ones


def test_sources_of_a_batch_are_of_similar_length():
    d = data(2000)
    padding = np.mean([(~d.batch(seed, 16)["src_mask"]).mean() for seed in range(30)])
    assert padding < 0.12  # of rows drawn at random, 44 % would be


def test_same_seed_same_batch():
    a, b = (data().batch(3, 5) for _ in range(2))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_val_batches_are_the_validation_part_in_order():
    d = data()
    batches = list(d.val_batches(3))
    assert [len(b["src"]) for b in batches] == [3, 3, 1]
    few = list(d.val_batches(3, max_tokens=1))
    assert [len(b["src"]) for b in few] == [1]
    targets = sum(int((b["targets"] != NO_LOSS).sum()) for b in batches)
    assert targets == sum(len(t) + 1 for _, t in d.val)


def test_texts():
    tok = CharTokenizer("abc", ("<pad>", "<start>", "<end>"))
    d = PairData.of_texts(tok, [Pair("ab", "c")])
    assert (d.start_id, d.end_id, d.pad_id) == (4, 5, 3)
    assert [part.tolist() for part in d.train[0]] == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("pairs", "error", "message"),
    [
        ([], mg.DataError, "train: no pairs"),
        ([([3], [4]), ([], [4])], mg.DataError, r"train\[1\] has an empty source"),
        ([([3.5], [4])], mg.ShapeError, r"train\[0\]: source and target are lists of integer ids, got float64"),
        ([([[3]], [4])], mg.ShapeError, r"train\[0\]"),
    ],
)
def test_pairs_that_do_not_fit(pairs, error, message):
    with pytest.raises(error, match=message):
        PairData(pairs, **IDS)


def test_too_long_for_a_model():
    with pytest.raises(mg.DataError, match=r"train\[0\] has a source of 5 tokens, block_size is 4"):
        PairData([([3] * 5, [4])], **IDS).with_block_size(4)
    with pytest.raises(mg.DataError, match=r"val\[0\] has a target with its start of 5 tokens"):
        PairData([([3], [4])], [([3], [4] * 4)], **IDS).with_block_size(4)
    PairData([([3] * 4, [4] * 3)], **IDS).with_block_size(4)


def test_ids_outside_the_vocabulary():
    with pytest.raises(mg.DataError, match=r"train\[0\] has the target id 9, needs 0 to 8"):
        PairData([([30], [9])], **IDS).check(9)
    with pytest.raises(mg.DataError, match="no validation part"):
        PairData([([3], [4])], **IDS).val_batches(1)
    with pytest.raises(mg.DataError, match="needs a source"):
        Pair(" ", "x")
