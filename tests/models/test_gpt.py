"""GPT: parameters, the loss before and after learning, and what the errors say."""

import copy

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import optim
from minigpt.errors import ArgumentError
from minigpt.models import GPT, GPTConfig

V, T, L, H, C = 11, 8, 3, 2, 8
CONFIG = GPTConfig(V, T, L, H, C)


def spread(model, seed=0):
    """Weights and biases far from their start, so that every term of the model counts."""
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.data += rng.normal(size=p.shape).astype(p.dtype) * 0.3
    return model


def batch(B=3, T=T, V=V, seed=0):
    return np.random.default_rng(seed).integers(0, V, (2, B, T))


def parameter_count(config):
    """wte and wpe; per block 12 C^2 weights, 9 C biases and two norms; the last norm. The head is wte."""
    V, T, L, C = config.vocab_size, config.block_size, config.n_layer, config.n_embd
    bias = 1 if config.bias else 0
    return V * C + T * C + L * (12 * C * C + bias * 9 * C + 2 * (1 + bias) * C) + (1 + bias) * C


# ---- parameters


def test_parameter_names_are_those_of_gpt2():
    block = [
        "ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias",
        "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias",
    ]  # fmt: skip
    names = [
        "wte.weight",
        "wpe.weight",
        *(f"h.{i}.{name}" for i in range(L) for name in block),
        "ln_f.weight",
        "ln_f.bias",
    ]
    assert [name for name, _ in GPT(CONFIG).named_parameters()] == names
    without = GPT(GPTConfig(V, T, L, H, C, bias=False))
    assert [name for name, _ in without.named_parameters()] == [n for n in names if not n.endswith(".bias")]
    shapes = {name: p.shape for name, p in GPT(CONFIG).named_parameters()}
    assert shapes["h.2.attn.c_attn.weight"] == (C, 3 * C)
    assert shapes["h.0.mlp.c_proj.weight"] == (4 * C, C)


@pytest.mark.parametrize("bias", [True, False])
def test_parameter_count(bias):
    for sizes in ((V, T, L, H, C), (5, 3, 1, 1, 4), (100, 16, 2, 4, 12)):
        config = GPTConfig(*sizes, bias=bias)
        model = GPT(config)
        assert model.num_parameters() == parameter_count(config)
        assert f"total: {parameter_count(config):,} parameters" in model.summary()


def test_gpt2_has_124_million_parameters():
    assert parameter_count(GPTConfig.named("gpt2", 50257)) == 124_439_808


def test_initial_weights():
    """0.02 everywhere, and 0.02 / sqrt(2 L) where a block writes into the residual."""
    model = GPT(GPTConfig(400, 200, 8, 2, 64), seed=0)
    for name, value in model.state_dict().items():
        if value.ndim == 2:
            expected = 0.02 / (2 * 8) ** 0.5 if name.endswith("c_proj.weight") else 0.02
            assert value.std() == pytest.approx(expected, rel=0.05), name
            assert abs(value.mean()) < 5 * expected / value.size**0.5, name
        else:
            np.testing.assert_array_equal(value, np.ones_like(value) * name.endswith("weight"), err_msg=name)


def test_seeds():
    legacy = np.random.get_state()[1].tolist()  # noqa: NPY002
    a, b, c = (GPT(CONFIG, seed=s).state_dict() for s in (1, 1, 2))
    fresh = GPT(CONFIG, seed=None).state_dict(), GPT(CONFIG, seed=None).state_dict()
    model = GPT(CONFIG, seed=np.random.default_rng(1))
    model(*batch())[1].backward()
    model.generate(batch(T=4)[0], 2, seed=1)
    assert np.random.get_state()[1].tolist() == legacy  # noqa: NPY002
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(a[name], b[name])
        np.testing.assert_array_equal(a[name], value)
    assert not np.array_equal(a["wte.weight"], c["wte.weight"])
    assert not np.array_equal(fresh[0]["wte.weight"], fresh[1]["wte.weight"])


def test_every_parameter_gets_a_gradient():
    model = GPT(CONFIG, seed=0)
    _, loss = model(*batch(B=8))
    loss.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, f"{name} has no gradient"
        assert p.grad.shape == p.shape
        assert p.grad.dtype == p.dtype
        assert np.isfinite(p.grad).all()
        assert p.grad.any(), f"the gradient of {name} is all zeros"


def test_deepcopy_is_independent():
    model = GPT(CONFIG, seed=0)
    ids, targets = batch()
    before = model(ids)[0].numpy().copy()
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(twin(ids)[0].numpy(), before)
    twin(ids, targets)[1].backward()
    optim.SGD(twin.parameters(), lr=1.0).step()
    assert all(p.grad is None for p in model.parameters())
    np.testing.assert_array_equal(model(ids)[0].numpy(), before)
    assert not np.allclose(twin(ids)[0].numpy(), before)


# ---- loss


def test_initial_loss_is_that_of_guessing():
    config = GPTConfig.named("baby", 65)
    _, loss = GPT(config, seed=0)(*batch(8, 64, 65))
    assert loss.item() == pytest.approx(np.log(65), abs=0.1)


def test_learns_one_batch_by_heart():
    model = GPT(GPTConfig(V, T, 2, 2, 32), seed=0)
    ids, targets = batch(B=4)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(80):
        _, loss = model(ids, targets)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 2
    assert losses[-1] < 0.02


def test_loss_is_the_mean_over_targets_that_count():
    model = spread(GPT(CONFIG, seed=0))
    ids, targets = batch()
    targets[0, :5] = -100
    targets[2] = -100
    logits, loss = model(ids, targets)
    z = logits.numpy().astype(np.float64)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    kept = targets != -100
    by_hand = -log_p[kept, targets[kept]]
    assert loss.item() == pytest.approx(by_hand.mean(), rel=1e-5)
    total, count = model.loss_sum(ids, targets)
    assert count == len(by_hand) == 11
    assert type(count) is int
    assert total.item() == pytest.approx(by_hand.sum(), rel=1e-5)
    np.testing.assert_array_equal(model(ids)[0].numpy(), logits.numpy())
    assert model(ids)[1] is None


def test_ignored_targets_have_no_influence():
    """The gradient is that of the row that counts, alone."""
    model = spread(GPT(CONFIG, seed=0)).astype(np.float64)
    ids, targets = batch()
    targets[1:] = -100
    model(ids, targets)[1].backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    model(ids[:1], targets[:1])[1].backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad, grads[name], rtol=1e-9, atol=1e-13, err_msg=name)


def test_all_targets_ignored():
    ids, targets = batch()
    with pytest.raises(mg.ArgumentError, match="all 24 targets are ignore_index"):
        GPT(CONFIG)(ids, np.full_like(targets, -100))
    total, count = GPT(CONFIG).loss_sum(ids, np.full_like(targets, -100))
    assert (total.item(), count) == (0.0, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64])
def test_ids_of_any_integer_type(dtype):
    ids, targets = batch()
    model = GPT(CONFIG, seed=0)
    assert model(ids.astype(dtype), targets.astype(dtype))[1].item() == model(ids, targets)[1].item()
    assert model(mg.Tensor(ids), mg.Tensor(targets))[1].item() == model(ids.tolist(), targets.tolist())[1].item()


# ---- errors


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (
            np.array([1, 2, 3]),
            mg.ShapeError,
            r"ids must be integers \(B, T\).*got int64 \(3,\); for one sequence: ids\[None\]",
        ),
        (np.zeros((1, 2, 3), int), mg.ShapeError, r"got int64 \(1, 2, 3\)"),
        (np.zeros((2, 0), int), mg.ShapeError, "T at least 1"),
        ([[1, 2], [3]], mg.ShapeError, r"\(B, T\)"),
        (np.zeros((1, T + 1), int), mg.ShapeError, r"9 tokens are more than block_size = 8.*ids\[:, -8:\]"),
        (np.array([[0.0, 1.0]]), mg.ShapeError, "must be integers .* got float64"),
        (np.array([[True, False]]), mg.ShapeError, "must be integers .* got bool"),
        (np.array([[0, 1], [2, V]]), mg.ArgumentError, r"id 11 at index \(1, 1\) is outside 0 … 10"),
        (np.array([[0, -1]]), mg.ArgumentError, r"id -1 at index \(0, 1\)"),
    ],
    ids=["1-D", "3-D", "no tokens", "ragged", "too long", "float", "bool", "too large", "negative"],
)
def test_wrong_ids(ids, error, message):
    with pytest.raises(error, match=message):
        GPT(CONFIG)(ids)


def test_wrong_targets():
    ids, targets = batch()
    with pytest.raises(mg.ShapeError, match="without the last axis"):
        GPT(CONFIG)(ids, targets[:, :-1])
    targets[1, 2] = V
    with pytest.raises(mg.ArgumentError, match=r"target 11 at index \(1, 2\)"):
        GPT(CONFIG)(ids, targets)


# ---- the last position alone


@pytest.mark.parametrize("length", [1, T])
def test_logits_of_the_last_position_are_those_of_the_whole(length):
    model, ids = spread(GPT(CONFIG)), batch()[0][:, :length]
    whole, _ = model(ids)
    last, loss = model(ids, only_last=True)
    assert loss is None
    np.testing.assert_allclose(last.numpy(), whole.numpy()[:, -1:], rtol=1e-6, atol=1e-6)


def test_a_prompt_is_read_without_the_logits_of_all_its_positions(monkeypatch):
    """For 1,000 tokens of GPT-2 those would be 200 MB."""
    seen = []
    linear = F.linear
    monkeypatch.setattr(F, "linear", lambda x, w, *a, **kw: seen.append((x.shape, w.shape)) or linear(x, w, *a, **kw))
    GPT(CONFIG).generate(batch()[0][:, :6], 2, temperature=0)
    assert [x for x, w in seen if w == (V, C)] == [(3, 1, C), (3, 1, C)]


def test_a_loss_needs_all_positions():
    ids, targets = batch()
    with pytest.raises(ArgumentError, match="only_last"):
        GPT(CONFIG)(ids, targets, only_last=True)


# ---- mask and positions


def test_positions_and_mask_as_they_are_anyway():
    model = spread(GPT(CONFIG, seed=0))
    ids, targets = batch()
    logits, loss = model(ids, targets)
    for positions in (np.arange(T), np.tile(np.arange(T), (3, 1))):
        same, same_loss = model(ids, targets, mask=np.ones((3, 1, T, T), bool), positions=positions)
        np.testing.assert_allclose(same.numpy(), logits.numpy(), rtol=0, atol=1e-6)
        assert same_loss.item() == pytest.approx(loss.item(), rel=1e-6)
    total, count = model.loss_sum(ids, targets, mask=np.ones((T, T), bool), positions=np.arange(T))
    assert total.item() / count == pytest.approx(loss.item(), rel=1e-6)


def test_a_token_that_is_masked_out_is_not_seen():
    model = spread(GPT(CONFIG, seed=0))
    ids, _ = batch(B=1)
    mask = np.ones((1, 1, 1, T), bool)
    mask[..., 2] = False
    logits = model(ids, mask=mask)[0].numpy()
    changed = ids.copy()
    changed[0, 2] = (changed[0, 2] + 1) % V
    others = model(changed, mask=mask)[0].numpy()
    np.testing.assert_array_equal(np.delete(others, 2, axis=1), np.delete(logits, 2, axis=1))
    assert np.abs(model(changed)[0].numpy()[:, 3:] - model(ids)[0].numpy()[:, 3:]).max() > 1e-3


def test_wrong_positions_and_masks():
    model, (ids, _) = GPT(CONFIG), batch()
    with pytest.raises(mg.ShapeError, match=r"positions \(4,\) must be \(T,\) or \(B, T\) as ids \(3, 8\)"):
        model(ids, positions=np.arange(4))
    with pytest.raises(mg.ArgumentError, match=r"id 8 at index \(7,\) is outside 0 … 7"):
        model(ids, positions=np.arange(1, T + 1))
    with pytest.raises(mg.ArgumentError, match="mask must be a boolean array"):
        model(ids, mask=np.ones((T, T)))
    with pytest.raises(mg.ShapeError, match="mask"):
        model(ids, mask=np.ones((2, 1, T, T), bool))
