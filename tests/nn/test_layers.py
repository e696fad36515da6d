"""Linear, Embedding, LayerNorm, MLP, Block: initial weights, seeds, wrong sizes, and the formula of a block."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn
from minigpt.observe import observing


class WantsParts:
    """The smallest observer that makes modules run their fused ops as separate ones."""

    wants_parts = True


def gradients(module):
    return {name: np.array(p.grad) for name, p in module.named_parameters()}


# ---- initial weights


def test_linear_start():
    layer = nn.Linear(400, 300, rng=0)
    weight = layer.weight.numpy()
    assert weight.shape == (400, 300)
    assert weight.dtype == np.float32
    assert np.abs(weight).max() <= 400**-0.5
    assert weight.std() == pytest.approx(400**-0.5 / 3**0.5, rel=0.02)  # of the uniform distribution
    np.testing.assert_array_equal(layer.bias.numpy(), np.zeros(300))
    assert nn.Linear(400, 300, rng=0, init_std=0.1).weight.numpy().std() == pytest.approx(0.1, rel=0.02)


def test_embedding_and_layer_norm_start():
    assert nn.Embedding(500, 100, rng=0).weight.numpy().std() == pytest.approx(0.02, rel=0.02)
    norm = nn.LayerNorm(5)
    np.testing.assert_array_equal(norm.weight.numpy(), np.ones(5))
    np.testing.assert_array_equal(norm.bias.numpy(), np.zeros(5))
    assert nn.LayerNorm(5, bias=False).bias is None


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: nn.Linear(3, 4, rng=rng),
        lambda rng: nn.Embedding(3, 4, rng=rng),
        lambda rng: nn.MultiHeadAttention(4, 2, rng=rng),
        lambda rng: nn.MLP(4, rng=rng),
        lambda rng: nn.Block(4, 2, rng=rng),
    ],
    ids=["Linear", "Embedding", "MultiHeadAttention", "MLP", "Block"],
)
def test_seeds(make):
    """One seed, one set of weights; a Generator moves on; None is fresh; no global generator is touched."""
    legacy = np.random.get_state()[1].tolist()  # noqa: NPY002
    a, b, c = (make(seed).state_dict() for seed in (1, 1, 2))
    rng = np.random.default_rng(1)
    d, e = make(rng).state_dict(), make(rng).state_dict()
    f, g = make(None).state_dict(), make(None).state_dict()
    assert np.random.get_state()[1].tolist() == legacy  # noqa: NPY002
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
        np.testing.assert_array_equal(a[name], d[name])
    for x, y in ((a, c), (d, e), (f, g)):
        assert any(not np.array_equal(x[name], y[name]) for name in a)


def test_layers_of_one_block_differ():
    """One generator is passed through, not one seed: else layers of equal shape would start equal."""
    block = nn.Block(8, 2, rng=0)
    fc, other = block.mlp.c_fc.weight.numpy(), block.mlp.c_proj.weight.numpy()
    assert not np.array_equal(fc.ravel(), other.ravel())
    qkv = block.attn.c_attn.weight.numpy()
    assert not np.array_equal(qkv[:, :8], qkv[:, 8:16])


@pytest.mark.parametrize("rng", [-1, 1.0, True, "0", np.random.RandomState(0)], ids=repr)
def test_wrong_rng(rng):
    with pytest.raises(mg.ArgumentError, match=r"rng is a numpy\.random\.Generator"):
        nn.Linear(2, 2, rng=rng)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda n: nn.Linear(n, 2), "in_features"),
        (lambda n: nn.Linear(2, n), "out_features"),
        (lambda n: nn.Embedding(n, 2), "n"),
        (lambda n: nn.Embedding(2, n), "d"),
        (lambda n: nn.LayerNorm(n), "d"),
        (lambda n: nn.MultiHeadAttention(n, 1), "n_embd"),
        (lambda n: nn.MultiHeadAttention(4, n), "n_head"),
    ],
)
@pytest.mark.parametrize("n", [0, -3, 2.0, True, None, "4"])
def test_wrong_sizes(make, name, n):
    with pytest.raises(mg.ArgumentError, match=f"{name} must be a positive integer, got {n!r}"):
        make(n)


def test_numpy_integers_are_sizes():
    assert nn.Linear(np.int64(3), np.int32(4)).weight.shape == (3, 4)


# ---- forward


def test_linear_wrong_width():
    with pytest.raises(mg.ShapeError):
        nn.Linear(3, 4)(np.zeros((2, 5), np.float32))


def test_embedding_ids():
    layer = nn.Embedding(5, 3, rng=0)
    ids = np.array([[0, 4], [4, 1]])
    np.testing.assert_array_equal(layer(ids).numpy(), layer.weight.numpy()[ids])
    for wrong, message in ((5, r"id 5 at index \(0, 1\) is outside 0 … 4"), (-1, r"id -1 at index \(0, 1\)")):
        with pytest.raises(mg.ArgumentError, match=message):
            layer(np.array([[0, wrong]]))
    with pytest.raises(mg.ArgumentError, match="must be integers, got dtype float64"):
        layer(np.array([0.0, 1.0]))


def test_embedding_gradient_counts_repeats():
    layer = nn.Embedding(4, 2, rng=0)
    layer(np.array([1, 3, 1])).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, np.array([[0, 0], [2, 2], [0, 0], [1, 1]]))


def test_layer_norm_output():
    x = 5 + 3 * np.random.default_rng(0).standard_normal((4, 7, 50)).astype(np.float32)
    y = nn.LayerNorm(50)(x).numpy()
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(-1), 1, atol=1e-3)


def test_mlp_activations():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    for activation, function in (("relu", F.relu), ("gelu", F.gelu)):
        mlp = nn.MLP(4, hidden=6, activation=activation, rng=0)
        assert mlp.c_fc.weight.shape == (4, 6)
        np.testing.assert_allclose(mlp(x).numpy(), mlp.c_proj(function(mlp.c_fc(x))).numpy(), rtol=1e-5, atol=1e-7)
    assert nn.MLP(4).c_fc.weight.shape == (4, 16)
    with pytest.raises(mg.ArgumentError, match="'gelu' or 'relu', got 'tanh'"):
        nn.MLP(4, activation="tanh")


def test_mlp_fused_equals_parts():
    mlp = nn.MLP(6, rng=0).astype(np.float64)
    x = np.random.default_rng(0).standard_normal((2, 5, 6))
    mlp(x).sum().backward()
    fused, fused_y = gradients(mlp), mlp(x).numpy()
    mlp.zero_grad()
    with observing(WantsParts()):
        y = mlp(x)
    y.sum().backward()
    np.testing.assert_allclose(y.numpy(), fused_y, rtol=1e-12, atol=1e-14)
    for name, grad in gradients(mlp).items():
        np.testing.assert_allclose(grad, fused[name], rtol=1e-10, atol=1e-12, err_msg=name)


def test_block_is_pre_norm():
    """x + attn(ln_1(x)), then x + mlp(ln_2(x)): with both projections zero, a block does nothing at all."""
    block = nn.Block(8, 2, rng=0).astype(np.float64)
    x = mg.Tensor(np.random.default_rng(0).standard_normal((2, 5, 8)))
    between = x + block.attn(block.ln_1(x))
    expected = between + block.mlp(block.ln_2(between))
    np.testing.assert_allclose(block(x).numpy(), expected.numpy(), rtol=1e-12)
    state = block.state_dict()
    block.load_state_dict({name: 0 * value if "c_proj" in name else value for name, value in state.items()})
    np.testing.assert_array_equal(block(x).numpy(), x.numpy())


def test_block_hands_the_mask_on():
    block = nn.Block(8, 2, causal=False, rng=0, init_std=0.5)
    x = np.random.default_rng(0).standard_normal((1, 5, 8)).astype(np.float32)
    mask = np.random.default_rng(1).random((5, 5)) < 0.5
    y = mg.Tensor(x) + block.attn(block.ln_1(x), mask=mask)
    y = y + block.mlp(block.ln_2(y))
    np.testing.assert_allclose(block(x, mask=mask).numpy(), y.numpy(), rtol=1e-5, atol=1e-6)
    assert not np.allclose(block(x).numpy(), y.numpy())


def test_block_drops_both_branches():
    """With everything dropped, neither branch adds to the residual."""
    block = nn.Block(8, 2, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 5, 8)).astype(np.float32)
    block.drop.p = 1.0
    np.testing.assert_array_equal(block(x).numpy(), x)
    assert not np.allclose(block.eval()(x).numpy(), x)


def with_parameters(module, tensors):
    """Put these Tensors in the places of the module's parameters, so that gradients reach them."""
    places = [
        (owner, key)
        for _, owner in module.named_modules()
        for key, value in vars(owner).items()
        if isinstance(value, mg.Tensor)
    ]
    for (owner, key), tensor in zip(places, tensors, strict=True):
        setattr(owner, key, tensor)
    return module


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_a_block(bias):
    """Every element of every parameter, and of the input, against finite differences."""
    block = nn.Block(4, 2, bias=bias, rng=0, init_std=0.5, proj_std=0.5).astype(np.float64)
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    assert mg.gradcheck(lambda x, *tensors: with_parameters(block, tensors)(x), [x, *block.parameters()])
