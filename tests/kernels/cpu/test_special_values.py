"""NaN, Inf and numbers at the edge: what goes in must come out the same as in plain NumPy."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt.backend import load

CPU, NUMPY = load("cpu"), load("numpy")
NAN, INF = np.nan, np.inf

# the last one: more than one vector long, with a NaN in the tail that no full vector covers
ROWS = [[NAN, NAN, NAN], [-INF, NAN, 0], [0, 1, NAN], [NAN, -INF, -INF], [-INF, -INF, NAN], [INF, 0, 1], [INF, -INF, 0],
        [INF, INF, 0], [-INF, -INF, -INF], [-INF, -INF, 5], [1e30, -1e30, 0], [0] * 35 + [NAN]]  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["softmax_forward", "log_softmax_forward"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row)[:30])
def test_softmax(name, row, dtype, agree):
    x = np.array([row, [0.5] * len(row)], dtype)  # and a row beside it that must not suffer
    agree(getattr(CPU, name)(x), getattr(NUMPY, name)(x))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row)[:30])
def test_cross_entropy(row, smoothing, dtype, agree):
    x = np.array([row, row, [0.5] * len(row), row], dtype)
    targets = np.array([0, len(row) - 1, 1, -100])
    ours, _, _ = CPU.cross_entropy_forward(x, targets, -100, smoothing)
    wanted, m, log_sum = NUMPY.cross_entropy_forward(x, targets, -100, smoothing)
    agree(ours, wanted)
    dloss = np.ones(4, dtype)
    grads = (r.cross_entropy_backward(dloss, x, targets, m, log_sum, -100, smoothing)[:3] for r in (CPU, NUMPY))
    agree(*grads, floor=1.0)
    # the row that does not count has no gradient, whatever stands in it
    assert not CPU.cross_entropy_backward(dloss, x, targets, m, log_sum, -100, smoothing)[3].any()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("special", [NAN, INF, -INF])
def test_nan_and_inf_stay_in_their_row_or_column(special, dtype, agree, rng):
    """Everywhere that the reference has a NaN, and nowhere else."""
    x, y = rng.normal(size=(2, 4, 5)).astype(dtype)
    x[1, 2] = special
    weight, bias = rng.normal(size=(5, 5)).astype(dtype), y[0]
    _, mean, rstd = NUMPY.layernorm_forward(y)
    for name, arguments in {
        "add": (x, y),
        "multiply": (x, y),
        "linear_forward": (x, weight, bias),
        "linear_backward": (x, y, weight),
        "bias_residual_forward": (x, bias, y),
        "bias_residual_backward": (x,),
        "layernorm_forward": (x, bias, bias),
        "layernorm_backward": (x, y, bias, mean, rstd),
        "softmax_backward": (x, np.abs(y)),
        "log_softmax_backward": (x, -np.abs(y)),
        "dropout_forward": (x, 0.3, 5, 0),
        "embedding_backward": (x, np.array([0, 1, 1, 2]), 3),
    }.items():
        agree(getattr(CPU, name)(*arguments), getattr(NUMPY, name)(*arguments), what=name, floor=1.0)
    assert not np.isfinite(CPU.squared_norm(x))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gelu_of_nan_and_plus_inf(dtype, agree):
    x = np.array([NAN, INF, 1.0, NAN, -1.0], dtype)
    agree(CPU.gelu_forward(x), NUMPY.gelu_forward(x))
    agree(CPU.gelu_backward(np.ones(5, dtype), x), NUMPY.gelu_backward(np.ones(5, dtype), x))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gelu_of_minus_inf_is_not_taken_for_a_number(dtype):
    x = np.array([-INF], dtype)
    assert not np.isfinite(CPU.gelu_forward(x))  # 0 * -inf
    assert not np.isfinite(CPU.gelu_backward(np.ones(1, dtype), x))


def test_gelu_far_out_is_zero_or_the_identity(dtype):
    """Also beyond 1e12, where x^3 is so large that what it is multiplied by must be 0 exactly."""
    sizes = np.array([1e2, 1e4, 1e8, 1e12, 1e15, 1e18], dtype)
    ones = np.ones_like(sizes)
    np.testing.assert_array_equal(CPU.gelu_forward(sizes), sizes)
    np.testing.assert_allclose(CPU.gelu_forward(-sizes), 0, atol=1e-10)
    np.testing.assert_array_equal(CPU.gelu_backward(ones, sizes), 1)
    np.testing.assert_allclose(CPU.gelu_backward(ones, -sizes), 0, atol=1e-10)


def test_the_losses_of_confident_logits_keep_their_digits():
    """log(1 + 1e-6) next to a maximum of 1e4: forming m + log_sum first would lose it."""
    logits = np.array([[1e4, 1e4 - 13.5]], np.float32)
    (loss,), _, _ = CPU.cross_entropy_forward(logits, np.array([0]))
    assert loss == pytest.approx(np.log1p(np.exp(-13.5)), rel=0.1)


def test_adam_with_gradients_of_zero_and_of_all_sizes(dtype, agree):
    g = np.array([0, 1e-30, -1e-18, 1e-8, 1, 1e8, 1e15], dtype)
    ours, reference = ([np.ones_like(g), g.copy(), np.zeros_like(g), np.zeros_like(g)] for _ in range(2))
    for step in (1, 2):
        for row, arrays in ((CPU, ours), (NUMPY, reference)):
            row.adam_step(*arrays, step, 0.1, 0.9, 0.999, 1e-8, 0.0, True)
    agree(tuple(ours), tuple(reference))


def test_squared_norm_of_many_small_numbers_does_not_stall():
    x = np.full(20_000_000 // 4, 1e-3, np.float32)
    assert CPU.squared_norm(x) == pytest.approx(x.size * float(np.float32(1e-3)) ** 2, rel=1e-6)


def test_a_nan_parameter_is_found_by_the_trainer_checks():
    """Poison each parameter of a small model in turn: the loss must be NaN on this row wherever it is on the other."""
    model = mg.models.GPT(mg.models.GPTConfig(7, 6, n_layer=1, n_head=2, n_embd=8), seed=0)
    ids = np.arange(12).reshape(2, 6) % 7
    for name, p in model.named_parameters():
        kept = p.data.copy()
        p.data[(0,) * p.ndim] = NAN
        found = {}
        for row in ("numpy", "cpu"):
            with mg.use(row), np.errstate(all="ignore"), mg.no_grad():
                found[row] = bool(np.isnan(model(ids, ids)[1].item()))
        p.data[...] = kept
        assert found["cpu"] == found["numpy"], name


def test_softmax_of_what_a_mask_leaves(agree, rng):
    scores = rng.normal(size=(2, 3, 8, 8)).astype(np.float32)
    causal = np.tri(8, dtype=bool)
    causal[5] = False
    results = []
    for row in ("numpy", "cpu"):
        with mg.use(row):
            x = mg.Tensor(scores, requires_grad=True)
            y = F.softmax(mg.where(causal, x, -INF))
            (y * np.arange(8)).sum().backward()
            results.append((y.numpy(), x.grad))
    agree(results[1], results[0], floor=1.0)
