"""LoRALinear against its formula, and the bugs that such layers usually have."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.errors import ArgumentError
from minigpt.nn import MLP, Linear, LoRALinear, MultiHeadAttention
from minigpt.nn.lora import without_adapters

IN, OUT, RANK, ALPHA = 6, 5, 3, 7.0


def layer(rng, kind=LoRALinear, dtype=np.float64, trained=True, bias=True):
    base = Linear(IN, OUT, bias=bias, rng=0).astype(dtype)
    made = kind(base, RANK, ALPHA, rng=1)
    if trained:
        made.lora_b.data = rng.normal(size=(RANK, OUT)).astype(dtype)
    if bias:
        base.bias.data = rng.normal(size=OUT).astype(dtype)
    return made


def formula(made, x, residual=0.0):
    W, A, B = (p.numpy() for p in (made.base.weight, made.lora_a, made.lora_b))
    bias = 0.0 if made.bias is None else made.bias.numpy()
    return x @ W + bias + (ALPHA / RANK) * (x @ A @ B) + residual


def check_starts_at_the_base(kind, rng):
    """Also in float32 and on every row: not one bit of the output differs before training."""
    for dtype in (np.float32, np.float64):
        made = layer(rng, kind, dtype, trained=False)
        x, residual = rng.normal(size=(2, 4, IN)).astype(dtype), rng.normal(size=(2, 4, OUT)).astype(dtype)
        for row in ("numpy", "cpu"):
            with mg.use(row):
                np.testing.assert_array_equal(made(x).numpy(), made.base(x).numpy())
                np.testing.assert_array_equal(made(x, residual).numpy(), made.base(x, residual).numpy())


def check_formula(kind, rng):
    made = layer(rng, kind)
    x, residual = rng.normal(size=(2, 4, IN)), rng.normal(size=(2, 4, OUT))
    np.testing.assert_allclose(made(x).numpy(), formula(made, x), rtol=1e-12)
    np.testing.assert_allclose(made(x, residual).numpy(), formula(made, x, residual), rtol=1e-12)
    np.testing.assert_allclose(x @ made.weight.numpy() + made.bias.numpy(), formula(made, x), rtol=1e-12)


def check_merge(kind, rng):
    made = layer(rng, kind)
    x, before = rng.normal(size=(3, IN)), made.base.weight.numpy().copy()
    separate = made(x).numpy()
    made.merge()
    np.testing.assert_allclose(made(x).numpy(), separate, rtol=1e-12)
    np.testing.assert_allclose(made.plain()(x).numpy(), separate, rtol=1e-12)
    made.merge()  # a second time changes nothing
    np.testing.assert_allclose(made(x).numpy(), separate, rtol=1e-12)
    made.unmerge()
    made.unmerge()
    np.testing.assert_allclose(made.base.weight.numpy(), before, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(made(x).numpy(), separate, rtol=1e-12)


class StartsWithNoise(LoRALinear):
    """B drawn like A: the model is disturbed before its first step."""

    def __init__(self, base, rank, alpha, rng=None):
        super().__init__(base, rank, alpha, rng)
        self.lora_b.data = np.full_like(self.lora_b.data, 1e-3)


class ForgetsScale(LoRALinear):
    """s = 1 whatever alpha and rank are."""

    @property
    def scale(self):
        return 1.0


class MergesWithoutScale(LoRALinear):
    """The forward pass has s, the merged matrix does not."""

    def difference(self):
        return self.lora_a.numpy() @ self.lora_b.numpy()


class MergesTwice(LoRALinear):
    """Merging does not look whether it has been done."""

    def merge(self):
        self._shift(True, 1)
        self.merged = True


class LosesResidual(LoRALinear):
    def forward(self, x, residual=None):
        return super().forward(x)


@pytest.mark.parametrize("check", [check_starts_at_the_base, check_formula, check_merge])
def test_layer(check, rng):
    check(LoRALinear, rng)


@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (StartsWithNoise, check_starts_at_the_base),
        (ForgetsScale, check_formula),
        (MergesWithoutScale, check_merge),
        (MergesTwice, check_merge),
        (LosesResidual, check_formula),
    ],
)
def test_planted_bugs_are_found(bug, check, rng):
    with pytest.raises(AssertionError):
        check(bug, rng)


@pytest.mark.parametrize("bias", [True, False])
def test_gradients(rng, bias):
    made = layer(rng, bias=bias)
    arrays = [rng.normal(size=s) for s in ((2, 3, IN), (2, 3, OUT), (IN, RANK), (RANK, OUT))]

    def f(x, residual, a, b):
        made.lora_a, made.lora_b = a, b
        return made(x, residual)

    assert mg.gradcheck(f, arrays)
    made = layer(rng, bias=bias)
    made(rng.normal(size=(4, IN))).sum().backward()
    assert made.base.weight.grad is None  # frozen: not computed
    assert made.lora_a.grad is not None
    assert made.lora_b.grad is not None


def test_float32_merge_and_back(rng):
    """Bit-near: within 1e-5 of the largest number."""
    made = layer(rng, dtype=np.float32)
    before = made.base.weight.numpy().copy()
    x = rng.normal(size=(9, IN)).astype(np.float32)
    y = made(x).numpy()
    made.merge()
    np.testing.assert_allclose(made(x).numpy(), y, atol=1e-5 * np.abs(y).max())
    made.unmerge()
    np.testing.assert_allclose(made.base.weight.numpy(), before, atol=1e-5 * np.abs(before).max())
    assert made.base.weight.dtype == np.float32


def test_layers_that_use_it_do_what_they_do_with_the_merged_matrix(rng):
    """The fused paths of the MLP and of attention, and the parts of c_attn that cross-attention takes."""
    x = rng.normal(size=(2, 5, 8))
    context = rng.normal(size=(2, 3, 8))
    attention, mlp = MultiHeadAttention(8, 2, rng=0).astype(np.float64), MLP(8, rng=1).astype(np.float64)
    for owner, names in ((attention, ("c_attn", "c_proj")), (mlp, ("c_fc", "c_proj"))):
        for name in names:
            adapter = LoRALinear(getattr(owner, name), 2, 4.0, rng=2)
            adapter.lora_b.data = rng.normal(size=adapter.lora_b.shape)
            setattr(owner, name, adapter)
    for call in (
        lambda a, m: a(x),
        lambda a, m: a(x, residual=x),
        lambda a, m: a(x, context=context),
        lambda a, m: a(x, return_weights=True)[1],
        lambda a, m: m(x, residual=x),
    ):
        wanted = call(without_adapters(attention), without_adapters(mlp)).numpy()
        np.testing.assert_allclose(call(attention, mlp).numpy(), wanted, rtol=1e-9, atol=1e-12)
    assert without_adapters(Linear(2, 3)) is not None
    plain = MLP(8, rng=1)
    assert without_adapters(plain) is plain


def test_refused():
    base = Linear(4, 3)
    for rank in (0, 5, True):
        with pytest.raises(ArgumentError, match="rank"):
            LoRALinear(base, rank, 1.0)
    for alpha in (0, -1.0, float("nan"), "2"):
        with pytest.raises(ArgumentError, match="alpha"):
            LoRALinear(base, 2, alpha)
    with pytest.raises(ArgumentError, match="goes around a Linear"):
        LoRALinear(MLP(4), 2, 1.0)
    assert base.weight.requires_grad  # nothing was changed by what was refused
    assert repr(LoRALinear(base, 2, 1.0)).startswith("LoRALinear(rank=2, alpha=1")
