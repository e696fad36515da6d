"""BucketedData: similar lengths together, all records equally often, padding without any effect."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.data import NO_LOSS, BucketedData
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer, evaluate


def records(widths, V=50, seed=0):
    """One record for each width (of inputs), its number as first id, its last token and some others to be learned."""
    rng = np.random.default_rng(seed)
    made = []
    for number, width in enumerate(widths):
        ids = np.concatenate([[number], rng.integers(0, V, width)])
        loss = rng.random(width + 1) < 0.5
        loss[-1] = True
        made.append((ids, loss))
    return made


def model(V=50, T=40, seed=0):
    made = GPT(GPTConfig(V, T, 2, 2, 16), seed=seed)
    rng = np.random.default_rng(seed)
    for p in made.parameters():
        p.data += rng.normal(size=p.shape).astype(p.dtype) * 0.2
    return made


def test_batch_by_hand():
    data = BucketedData([([1, 2, 3], [False, False, True])], pad_id=9, bucket_width=4)
    batch = data.batch(0, 2)
    assert batch["ids"].tolist() == [[1, 2, 9, 9]] * 2
    assert batch["targets"].tolist() == [[NO_LOSS, 3, NO_LOSS, NO_LOSS]] * 2
    assert batch["ids"].dtype == batch["targets"].dtype == np.int64
    assert set(batch) == {"ids", "targets"}


def test_a_batch_comes_from_one_bucket():
    widths = np.random.default_rng(0).integers(1, 33, 300)
    data = BucketedData(records(widths, V=300), pad_id=0, bucket_width=8)
    rng = np.random.default_rng(1)
    for _ in range(50):
        batch = data.batch(rng, 6)
        T = batch["ids"].shape[1]
        assert T % 8 == 0
        assert np.all(widths[batch["ids"][:, 0]] > T - 8)
        assert np.all(widths[batch["ids"][:, 0]] <= T)
        assert len(np.unique(batch["ids"][:, 0])) == 6  # no record twice where there are enough


def test_every_record_comes_equally_often():
    """Also those whose lengths are rare: buckets are drawn by their size."""
    widths = [3] * 30 + [12] * 8 + [30] * 2
    data = BucketedData(records(widths), bucket_width=4)
    rng, counts = np.random.default_rng(2), np.zeros(40)
    for _ in range(4000):
        np.add.at(counts, data.batch(rng, 2)["ids"][:, 0], 1)
    expected = 4000 * 2 / 40
    assert np.abs(counts - expected).max() < 5 * (2 * expected) ** 0.5  # rows of a batch are not independent


def test_a_small_bucket_repeats_records():
    batch = BucketedData(records([5, 30]), bucket_width=4).batch(3, 8)
    assert batch["ids"].shape[0] == 8
    assert len(np.unique(batch["ids"][:, 0])) == 1


def test_width_never_exceeds_the_context():
    data = BucketedData(records([9, 10]), bucket_width=8, block_size=10)
    assert data.batch(0, 2)["ids"].shape == (2, 10)


def test_same_seed_same_batch():
    data = BucketedData(records(range(1, 30)))
    for a, b in zip(data.batch(5, 4).values(), data.batch(np.random.default_rng(5), 4).values(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("max_tokens", [None, 1, 20, 10_000])
def test_validation_reads_every_record_once(max_tokens):
    val = records(np.random.default_rng(3).integers(1, 20, 37), seed=4)
    data = BucketedData(records([3]), val, bucket_width=4)
    batches = list(data.val_batches(5, max_tokens))
    seen = sorted(int(i) for batch in batches for i in batch["ids"][:, 0])
    targets = sum(int((batch["targets"] != NO_LOSS).sum()) for batch in batches)
    per_record = [int(loss[1:].sum()) for _, loss in val]
    assert seen == list(range(len(seen)))
    assert targets == sum(per_record[: len(seen)])
    if max_tokens in (None, 10_000):
        assert len(seen) == 37
    else:
        assert targets >= max_tokens > targets - per_record[len(seen) - 1]
    assert all(len(batch["ids"]) <= 5 for batch in batches)


def test_padding_changes_no_logits():
    """A causal model needs no mask, with one it gives the same, and so does any other padding."""
    gpt = model()
    data = BucketedData(records([5, 6, 7, 8]), with_mask=True)
    batch = data.batch(0, 4)
    assert batch["mask"].shape == (4, 1, 1, 8)
    without, _ = gpt(batch["ids"])
    with_mask, _ = gpt(batch["ids"], mask=batch["mask"])
    for b, number in enumerate(batch["ids"][:, 0]):
        ids, _ = data.train[number]
        alone, _ = gpt(ids[None])
        for logits in (without, with_mask):
            np.testing.assert_allclose(logits.numpy()[b, : len(ids)], alone.numpy()[0], rtol=0, atol=1e-5)


def test_evaluation_equals_the_mean_over_all_targets():
    gpt, val = model(), records(np.random.default_rng(3).integers(1, 20, 11), seed=4)
    data = BucketedData(records([3]), val, block_size=40)
    total, count = 0.0, 0
    for i in range(len(data.val)):
        ids, targets = data.val[i]
        loss, n = gpt.loss_sum(ids[None], targets[None])
        total, count = total + loss.item(), count + n
    assert evaluate(gpt, data, 4) == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize("workers", [1, 3])
def test_it_trains(workers):
    data = BucketedData(records([5, 6, 7, 12, 13]), records([4, 9]), pad_id=1)
    gpt = GPT(GPTConfig(50, 16, 1, 2, 16), seed=0)
    config = TrainConfig(steps=60, batch_size=4, lr=1e-2, warmup=1, workers=workers, backend="numpy", progress=False)
    history = Trainer(gpt, data, config).fit()
    assert np.mean(history["loss"][-10:]) < 0.5 * np.mean(history["loss"][:10])
    assert np.isfinite(history["val_loss"]).all()


def test_the_trainer_refuses_records_that_do_not_fit_the_model():
    gpt = GPT(GPTConfig(50, 8, 1, 2, 16), seed=0)
    with pytest.raises(mg.DataError, match=r"train\[1\] has 10 tokens, a block_size of 8"):
        Trainer(gpt, BucketedData(records([4, 9])), TrainConfig(steps=1, backend="numpy"))
    val = [([60, 1], [True, True])]
    with pytest.raises(mg.DataError, match=r"val\[0\] has the id 60, .*resize_vocab"):
        Trainer(gpt, BucketedData(records([4]), val), TrainConfig(steps=1, backend="numpy"))


class Masked:
    """Data that forgot every target, which BucketedData itself refuses."""

    def batch(self, rng, n):
        return {"ids": np.ones((n, 4), int), "targets": np.full((n, 4), NO_LOSS)}


def test_a_fully_masked_batch_is_refused_not_nan():
    gpt = GPT(GPTConfig(50, 8, 1, 2, 16), seed=0)
    before = gpt.state_dict()
    trainer = Trainer(gpt, Masked(), TrainConfig(steps=1, backend="numpy", progress=False))
    with pytest.raises(mg.ArgumentError, match="no target of the batch counts"):
        trainer.step()
    for name, value in gpt.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(mg.ArgumentError, match="all 12 targets are ignore_index"):
        gpt(**Masked().batch(None, 3))
