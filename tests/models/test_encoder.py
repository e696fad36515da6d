"""Encoder and MaskedLM: who sees whom, padding, what is learned, filling blanks, training."""

from dataclasses import replace

import numpy as np
import pytest

import minigpt as mg
from minigpt.data import MaskedData, Masking, TokenData
from minigpt.errors import ArgumentError, ConfigError, ShapeError
from minigpt.inspect import capture
from minigpt.models import GPT, Encoder, EncoderConfig, GPTConfig, MaskedLM
from minigpt.nn import sinusoids
from minigpt.training import TrainConfig, Trainer

V, T, PAD, MASK = 13, 8, 11, 12
CONFIG = EncoderConfig(V, T, n_layer=2, n_head=2, n_embd=8, mask_id=MASK, pad_id=PAD)


def spread(model, seed=0):
    """Weights and biases far from their start, so that every term of the model counts."""
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.data += rng.normal(size=p.shape).astype(p.dtype) * 0.3
    return model


@pytest.fixture
def model():
    return spread(MaskedLM(CONFIG, seed=0))


def test_as_many_parameters_as_a_gpt(model):
    numbers = {name: value for name, value in CONFIG.to_dict().items() if not name.endswith("_id")}
    gpt = GPT(GPTConfig(**numbers))
    assert model.num_parameters() == gpt.num_parameters() == CONFIG.n_parameters()
    assert {name.removeprefix("encoder."): a.shape for name, a in model.state_dict().items()} == {
        name: a.shape for name, a in gpt.state_dict().items()
    }


def test_every_token_sees_every_other(model, rng):
    ids = rng.integers(0, 11, (1, T))
    before = model(ids)[0].numpy()
    for t in range(T):
        changed = ids.copy()
        changed[0, t] = (changed[0, t] + 1) % 11
        assert (np.abs(model(changed)[0].numpy() - before).max(axis=(0, 2)) > 1e-4).all()


def test_padding_changes_nothing(model, rng):
    """Rows of different lengths give what each gives alone; what stands at padding does not matter."""
    lengths = [8, 3, 1, 5]
    ids = rng.integers(0, 11, (4, T))
    mask = np.arange(T) < np.array(lengths)[:, None]
    together = model(ids, mask=mask)[0].numpy()
    by_id = model(np.where(mask, ids, PAD))[0].numpy()
    for b, n in enumerate(lengths):
        alone = model(ids[b : b + 1, :n])[0].numpy()
        np.testing.assert_allclose(together[b, :n], alone[0], atol=1e-5)
        np.testing.assert_allclose(by_id[b, :n], alone[0], atol=1e-5)
    no_padding = MaskedLM(replace(CONFIG, pad_id=None))
    no_padding.load_state_dict(model.state_dict())
    assert np.abs(no_padding(np.where(mask, ids, PAD))[0].numpy() - by_id).max() > 1e-3  # now PAD is a token


def test_padding_gets_no_gradient(model, rng):
    ids = np.array([[1, 2, 3, PAD, PAD], [4, 5, 6, 7, 8]])
    targets = np.array([[-100, 2, -100, -100, -100], [-100, 5, -100, -100, 8]])
    loss, count = model.loss_sum(ids, targets)
    assert count == 3
    loss.backward()
    shorter = spread(MaskedLM(CONFIG, seed=0))
    total = shorter.loss_sum(ids[:1, :3], targets[:1, :3])[0] + shorter.loss_sum(ids[1:], targets[1:])[0]
    total.backward()
    for (name, p), q in zip(model.named_parameters(), shorter.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, atol=1e-5, err_msg=name)


def test_captured_attention_is_the_fused_one(model, rng):
    ids = rng.integers(0, 11, (2, T))
    ids[1, 5:] = PAD
    fused = model(ids)[0].numpy()
    with capture(model) as acts:
        apart = model(ids)[0].numpy()
    np.testing.assert_allclose(apart, fused, atol=1e-5)
    weights = acts["encoder.h.1.attn.weights"]  # (B, H, T, T)
    assert not weights[1, :, :, 5:].any()
    assert (weights[0] > 0).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("row", ["numpy", "cpu"])
def test_loss_sum_is_the_sum_at_learned_places(model, rng, row):
    if mg.backends()[row] is not True:
        pytest.skip(f"no {row} row here")
    ids = rng.integers(0, 11, (3, T))
    targets = np.where(rng.random((3, T)) < 0.3, ids, -100)
    targets[:, 0] = ids[:, 0]
    with mg.use(row):
        total, count = model.loss_sum(ids, targets)
        _, mean = model(ids, targets)
    assert count == (targets != -100).sum()
    assert total.item() == pytest.approx(mean.item() * count, rel=1e-5)


def test_dropout_is_on_in_training_only(rng):
    model = MaskedLM(replace(CONFIG, dropout=0.5), seed=0)
    ids = rng.integers(0, 11, (2, T))
    assert not np.array_equal(model(ids)[0].numpy(), model(ids)[0].numpy())
    model.eval()
    assert np.array_equal(model(ids)[0].numpy(), model(ids)[0].numpy())


def test_positions_begin_as_sine_waves():
    for C in (7, 8):
        table = Encoder(EncoderConfig(5, 9, 1, 1, C), rng=0).wpe.weight.numpy()
        np.testing.assert_allclose(table, (2 / (3 * C)) ** 0.5 * sinusoids(9, 8)[:, :C], rtol=1e-6)


def test_it_learns_what_only_both_sides_tell():
    """x ? y: the blank is 4 + 2 x + y for two bits, so one side alone leaves ln 2 = 0.693."""

    class Middles:
        def batch(self, rng, n):
            bits = rng.integers(0, 2, (2, n))
            ids = np.stack([bits[0], np.full(n, MASK), 2 + bits[1]], axis=1)
            targets = np.full((n, 3), -100)
            targets[:, 1] = 4 + 2 * bits[0] + bits[1]
            return {"ids": ids, "targets": targets}

    model = MaskedLM(replace(CONFIG, n_embd=16, n_layer=1), seed=1)
    config = TrainConfig(steps=120, batch_size=48, lr=1e-2, warmup=10, progress=False, workers=1, backend="numpy")
    loss = Trainer(model, Middles(), config).fit()["loss"]
    assert loss[0] == pytest.approx(np.log(V), abs=0.4)
    assert loss[-10:].mean() < 0.05


def test_workers_change_only_rounding(rng):
    data = MaskedData(TokenData(rng.integers(0, 11, 500), rng.integers(0, 11, 90)), Masking(MASK, V, (PAD,)))
    losses = []
    for workers in (1, 3):
        config = TrainConfig(steps=3, batch_size=5, workers=workers, progress=False, backend="numpy", eval_interval=0)
        losses.append(Trainer(MaskedLM(replace(CONFIG, dropout=0.1), seed=0), data, config).fit())
    np.testing.assert_allclose(losses[0]["loss"], losses[1]["loss"], rtol=1e-5)
    np.testing.assert_allclose(losses[0]["val_loss"], losses[1]["val_loss"], rtol=1e-5)


@pytest.mark.parametrize(
    ("ids", "mask", "error", "message"),
    [
        (np.ones((1, 9), int), None, ShapeError, "9 tokens are more than block_size = 8"),
        (np.ones(4, int), None, ShapeError, r"\(B, T\)"),
        (np.ones((2, 4), int), np.ones((2, 3), bool), ShapeError, r"boolean of shape \(B, T\) = \(2, 4\).*\(2, 3\)"),
        (np.ones((2, 4), int), np.ones((2, 1, 4, 4), bool), ShapeError, r"boolean of shape \(B, T\)"),
        (np.ones((2, 4), int), np.ones((2, 4)), ShapeError, "got float64"),
        (np.ones((2, 4), int), np.array([[True] * 4, [False] * 4]), ArgumentError, "row 1 is padding only"),
        (np.array([[1, 2], [PAD, PAD]]), None, ArgumentError, "row 1 is padding only"),
    ],
)
def test_refused(model, ids, mask, error, message):
    with pytest.raises(error, match=message):
        model(ids, mask=mask)


def test_nothing_masked(model):
    ids = np.ones((2, 4), int)
    with pytest.raises(ArgumentError, match="nothing is masked"):
        model.loss_sum(ids, np.full((2, 4), -100))
    with pytest.raises(ShapeError, match=r"targets \(2, 3\) must have the shape of ids, \(2, 4\)"):
        model.loss_sum(ids, ids[:, :3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_id": V}, "mask_id must be an id in 0 … 12"),
        ({"pad_id": -1}, "pad_id must be an id"),
        ({"mask_id": 1.5}, "mask_id must be an id"),
        ({"mask_id": PAD}, "a blank is not padding"),
        ({"n_head": 3}, "not divisible"),
    ],
)
def test_bad_config(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)


def test_another_config():
    with pytest.raises(ArgumentError, match="MaskedLM needs an EncoderConfig, got GPTConfig"):
        MaskedLM(GPTConfig(V, T, 1, 1, 4))
