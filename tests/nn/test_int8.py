"""int8 layers: close to the float layers they come from, which stay as they were."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.errors import ArgumentError, NumericsError
from minigpt.nn.int8 import weight_bytes


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer(bias, rng):
    linear = nn.Linear(64, 40, bias=bias, rng=0)
    if bias:
        linear.bias.data += rng.normal(size=40).astype(np.float32)
    small = nn.Int8Linear(linear)
    x, residual = rng.normal(size=(3, 64)).astype(np.float32), rng.normal(size=(3, 40)).astype(np.float32)
    with mg.no_grad():
        wanted, got = linear(x, residual).numpy(), small(x, mg.Tensor(residual)).numpy()
    # each of 64 weights is off by up to scale / 2, evenly spread: their sum by 3 deviations at most, one in 300 times
    deviation = small.scale.numpy().max() / 12**0.5 * np.linalg.norm(x, axis=1).max()
    assert 0 < np.abs(got - wanted).max() < 4 * deviation
    assert repr(small) == f"Int8Linear(64 -> 40, int8{', bias' if bias else ''})"


def test_an_embedding_and_its_scores(rng):
    table = nn.Embedding(30, 16, rng=0)
    small = nn.Int8Embedding(table)
    ids, x = np.array([[3, 29], [0, 3]]), rng.normal(size=(2, 16)).astype(np.float32)
    with mg.no_grad():
        assert np.abs(small(ids).numpy() - table(ids).numpy()).max() <= 0.501 * small.scale.numpy().max()
        np.testing.assert_allclose(table.scores(x).numpy(), x @ table.weight.numpy().T, rtol=1e-5, atol=1e-6)
        # reading rows and scoring use one and the same table
        rows = small(np.arange(30)).numpy()
        np.testing.assert_allclose(small.scores(x).numpy(), x @ rows.T, rtol=1e-5, atol=1e-6)


def test_the_rest_is_shared_and_the_original_stays_as_it_was():
    block = nn.Block(16, 2, rng=0)
    before = block.state_dict()
    small = nn.quantized(block)
    assert type(small.mlp.c_fc) is type(small.attn.c_attn) is nn.Int8Linear
    assert type(block.mlp.c_fc) is nn.Linear
    assert small.ln_1 is not block.ln_1
    assert small.ln_1.weight is block.ln_1.weight
    assert all(np.array_equal(before[name], value) for name, value in block.state_dict().items())
    small.eval()
    assert block.training
    assert block.mlp.training
    floats, int8 = weight_bytes(block), weight_bytes(small)
    assert floats == 4 * block.num_parameters()
    assert int8 == 12 * 16 * 16 + 4 * 9 * 16 + 4 * (9 + 4) * 16  # matrices, scales, biases and layer norms


def test_layers_that_are_kept():
    model = nn.MLP(8, rng=0)
    small = nn.quantized(model, keep=(model.c_proj,))
    assert small.c_proj is model.c_proj
    assert type(small.c_fc) is nn.Int8Linear
    with pytest.raises(ArgumentError, match="LayerNorm has no Linear"):
        nn.quantized(nn.LayerNorm(4))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    linear = nn.Linear(3, 3)
    linear.weight.data[1, 2] = bad
    with pytest.raises(NumericsError, match="diverged"):
        nn.Int8Linear(linear)
