"""PackedData: several records in a row, each as if it were alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.backend import use
from minigpt.data import NO_LOSS, PackedData, Rendered
from minigpt.data.packing import Rows, pack, segment_mask
from minigpt.errors import ArgumentError
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer, evaluate

from .test_buckets import model, records


def test_rows_by_hand():
    part = Rendered.from_targets([([1, 2, 3], [4, NO_LOSS, 5]), ([6, 7], [NO_LOSS, 8])])
    batch = pack(part, [[0, 1], [1]], 2, T=7, pad_id=9)
    assert batch["ids"].tolist() == [[1, 2, 3, 6, 7, 9, 9], [6, 7, 9, 9, 9, 9, 9]]
    n = NO_LOSS
    assert batch["targets"].tolist() == [[4, n, 5, n, 8, n, n], [n, 8, n, n, n, n, n]]
    assert batch["positions"].tolist() == [[0, 1, 2, 0, 1, 0, 1], [0, 1, 0, 1, 2, 3, 4]]
    assert batch["mask"].shape == (2, 1, 7, 7)
    assert batch["mask"].dtype == bool
    seen = [np.flatnonzero(row).tolist() for row in batch["mask"][0, 0]]
    assert seen == [[0, 1, 2]] * 3 + [[3, 4]] * 2 + [[5, 6]] * 2
    assert all(array.dtype == np.int64 for name, array in batch.items() if name != "mask")


def test_segment_mask_keeps_records_with_one_number_apart_in_different_rows():
    mask = segment_mask(np.array([[0, 0, 1], [0, 1, 1]]))
    assert mask[0, 0].tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    assert mask[1, 0].tolist() == [[True, False, False], [False, True, True], [False, True, True]]


@given(st.lists(st.integers(1, 16), min_size=1, max_size=40), st.sampled_from([None, 1, 3]))
def test_first_fit(widths, most):
    rows = Rows(np.array(widths), 16, most)
    placed = [rows.add(i) for i in range(len(widths))]
    members = rows.members
    assert sorted(i for row in members for i in row) == [i for i, there in enumerate(placed) if there]
    assert all(sum(widths[i] for i in row) <= 16 for row in members)
    assert all(row == sorted(row) for row in members)
    if most is None:
        assert all(placed)
        half_full = sum(sum(widths[i] for i in row) <= 8 for row in members)
        assert half_full <= 1  # two such rows would have been one
    else:
        assert len(members) <= most


def unpacked(part, batch):
    """(row, first position, number of the record) of each record in a batch, whose first id is its number."""
    starts = np.argwhere((batch["positions"] == 0) & (batch["ids"] != PAD))
    return [(b, t, int(batch["ids"][b, t])) for b, t in starts]


PAD = 49


@pytest.mark.parametrize("row", ["numpy", "cpu"])
def test_a_packed_record_has_the_logits_that_it_has_alone(row):
    gpt = model()
    data = PackedData(records([1, 5, 11, 7, 3, 17, 2], V=49), block_size=40, pad_id=PAD)
    with use(row):
        batch = data.batch(0, 3)
        logits = gpt(batch["ids"], mask=batch["mask"], positions=batch["positions"])[0].numpy()
        found = unpacked(data.train, batch)
        assert len(found) > 6
        for b, t, number in found:
            ids, targets = data.train[number]
            stop = t + len(ids)
            np.testing.assert_array_equal(batch["ids"][b, t:stop], ids)
            np.testing.assert_array_equal(batch["targets"][b, t:stop], targets)
            alone = gpt(ids[None])[0].numpy()[0]
            np.testing.assert_allclose(logits[b, t:stop], alone, rtol=0, atol=1e-5)


def test_without_mask_or_positions_the_records_do_mix():
    """Otherwise the test above would show nothing."""
    gpt = model()
    data = PackedData(records([5, 11, 7], V=49), block_size=40, pad_id=PAD)
    batch = data.batch(0, 1)
    right = gpt(batch["ids"], mask=batch["mask"], positions=batch["positions"])[0].numpy()
    _, t, _ = unpacked(data.train, batch)[1]
    for left_out in ("mask", "positions"):
        wrong = gpt(batch["ids"], **{k: batch[k] for k in ("mask", "positions") if k != left_out})[0].numpy()
        assert np.abs(wrong[0, t] - right[0, t]).max() > 1e-3


def test_gradients_of_a_packed_record_are_those_alone():
    gpt = model().astype(np.float64)
    data = PackedData(records([5, 11, 7], V=49), block_size=40, pad_id=PAD)
    batch = data.batch(0, 2)
    gpt.loss_sum(**batch)[0].backward()
    packed = {name: p.grad for name, p in gpt.named_parameters()}
    gpt.zero_grad()
    for _, _, number in unpacked(data.train, batch):
        ids, targets = data.train[number]
        gpt.loss_sum(ids[None], targets[None])[0].backward()
    for name, p in gpt.named_parameters():
        np.testing.assert_allclose(packed[name], p.grad, rtol=1e-9, atol=1e-11, err_msg=name)


def test_records_come_about_equally_often():
    data = PackedData(records([3] * 20 + [9] * 20), block_size=30, pad_id=PAD)
    rng, counts = np.random.default_rng(0), np.zeros(40)
    filled = []
    for _ in range(400):
        batch = data.batch(rng, 8)
        assert batch["ids"].shape == (8, 30)
        numbers = [number for _, _, number in unpacked(data.train, batch)]
        np.add.at(counts, numbers, 1)
        filled.append((batch["mask"].sum(axis=(1, 2, 3))).mean())
    assert np.abs(counts / counts.mean() - 1).max() < 0.2
    # the record that fits nowhere is more often a long one
    assert 0.93 < counts[20:].mean() / counts[:20].mean() < 1.0


@pytest.mark.parametrize("max_tokens", [None, 1, 25])
def test_validation_reads_every_record_once(max_tokens):
    val = records(np.random.default_rng(3).integers(1, 20, 37), V=40, seed=4)
    data = PackedData(records([3]), val, block_size=24, pad_id=PAD)
    batches = list(data.val_batches(4, max_tokens))
    seen = sorted(number for batch in batches for _, _, number in unpacked(data.val, batch))
    targets = sum(int((batch["targets"] != NO_LOSS).sum()) for batch in batches)
    per_record = [int(loss[1:].sum()) for _, loss in val]
    assert seen == list(range(len(seen)))
    assert targets == sum(per_record[: len(seen)])
    assert len(seen) == 37 if max_tokens is None else targets >= max_tokens > targets - per_record[len(seen) - 1]
    assert all(len(batch["ids"]) == 4 for batch in batches[:-1])


def test_evaluation_is_that_of_the_records_alone():
    gpt, val = model(), records(np.random.default_rng(3).integers(1, 20, 11), V=40, seed=4)
    data = PackedData(records([3]), val, block_size=40, pad_id=PAD)
    total, count = 0.0, 0
    for i in range(len(data.val)):
        ids, targets = data.val[i]
        loss, n = gpt.loss_sum(ids[None], targets[None])
        total, count = total + loss.item(), count + n
    assert evaluate(gpt, data, 4) == pytest.approx(total / count, rel=1e-5)


def test_workers_share_packed_batches():
    """Every array has the batch axis first, so shards keep their masks and positions."""
    losses = []
    for workers in (1, 3):
        gpt = GPT(GPTConfig(50, 24, 1, 2, 16), seed=0)
        data = PackedData(records([5, 6, 7, 12, 13], V=49), records([4, 9], V=49), pad_id=PAD)
        settings = {"lr": 1e-2, "warmup": 1, "backend": "numpy", "progress": False}
        losses.append(
            Trainer(gpt, data, TrainConfig(steps=30, batch_size=4, workers=workers, **settings)).fit()["loss"]
        )
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert losses[0][-1] < 0.5 * losses[0][0]


def test_no_block_size():
    data = PackedData(records([3]), records([3]))
    for call in (lambda: data.batch(0, 1), lambda: data.val_batches(1)):
        with pytest.raises(ArgumentError, match="no block size"):
            call()
