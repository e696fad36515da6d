"""Every rung of every ladder against kernels/reference, on inputs that a wrong kernel does not survive.

Outputs are filled with NaN before a rung writes them, so an element that is left out cannot pass.
"""

import numpy as np
import pytest

from kernels import reference
from kernels.cpu import MODULES, optimizer
from kernels.cpu.attention import NO_MASK, TILE
from kernels.cpu.ladder import LADDERS, rung
from tests.helpers.recurrent_ladders import RECURRENT_LADDERS

assert MODULES  # importing the kernels is what fills LADDERS


def blank(shape, dtype):
    return np.full(shape, np.nan, dtype)


def floats(rng, dtype, *shape):
    return rng.normal(size=shape).astype(dtype)


# --- how each ladder is called: rung, inputs -> outputs; the reference takes the same inputs -------------------


def one_output(step, x, *more):
    y = blank(x.shape, x.dtype)
    step.function(x, *more, y)
    return (y,)


def run_matmul(step, a, b):
    y = blank((a.shape[0], b.shape[1]), a.dtype)
    step.function(a, b, y)
    return (y,)


def run_attention(step, q, k, v, causal, scale):
    (Tq, _), Tk = q.shape, k.shape[0]
    y, lse = blank(q.shape, q.dtype), blank(Tq, q.dtype)
    options = (blank((min(TILE, Tq), Tk), q.dtype), *no_options(q)) if step.number == 3 else ()
    step.function(q, k, v, causal, scale, y, lse, *options)
    return y, lse


def no_options(q):
    """No mask, no dropout: has_mask, mask, p, first, key, threshold, factor"""
    return False, NO_MASK[0, 0], 0.0, 0, np.uint64(0), np.uint64(0), q.dtype.type(1)


def reference_attention(q, k, v, causal, scale):
    y, lse = reference.attention.attention_forward(q[None, None], k[None, None], v[None, None], None, causal, scale)
    return y[0, 0], lse[0, 0]


def run_attention_backward(step, dy, q, k, v, causal, scale):
    y, lse = reference_attention(q, k, v, causal, scale)
    grads = [blank(x.shape, x.dtype) for x in (q, k, v)]
    scratch = [blank((min(TILE, len(q)), len(k)), q.dtype) for _ in range(2)]
    options = (*scratch, *no_options(q)) if step.number == 2 else ()
    step.function(dy, q, k, v, y, lse, causal, scale, *grads, *options)
    return tuple(grads)


def reference_attention_backward(dy, q, k, v, causal, scale):
    y, lse = reference_attention(q, k, v, causal, scale)
    heads = [x[None, None] for x in (dy, q, k, v, y, lse)]
    return tuple(d[0, 0] for d in reference.attention.attention_backward(*heads, None, causal, scale))


def run_attention_single(step, q, k, v, scale):
    y, scores = blank(q.shape, q.dtype), blank(len(k), q.dtype)
    options = (False, NO_MASK[0, 0, 0]) if step.number == 2 else ()
    return y, q.dtype.type(step.function(q, k, v, scale, y, scores, *options))


def reference_attention_single(q, k, v, scale):
    y, lse = reference_attention(q[None], k, v, False, scale)
    return y[0], lse[0]


def run_int8_linear(step, x, q, scale):
    y = blank((len(x), len(q)), x.dtype)
    step.function(x, q, scale, y)
    return (y,)


def run_layernorm(step, x, weight, bias, eps):
    out = blank(x.shape, x.dtype), blank((len(x), 1), x.dtype), blank((len(x), 1), x.dtype)
    step.function(x, weight, bias, eps, *out)
    return out


def run_layernorm_backward(step, dy, x, weight):
    _, mean, rstd = reference.layernorm.layernorm_forward(x)
    out = blank(x.shape, x.dtype), blank(x.shape[1], x.dtype), blank(x.shape[1], x.dtype)
    step.function(dy, x, weight, mean, rstd, *out)
    return out


def reference_layernorm_backward(dy, x, weight):
    _, mean, rstd = reference.layernorm.layernorm_forward(x)
    return reference.layernorm.layernorm_backward(dy, x, weight, mean, rstd)


def run_cross_entropy(step, logits, targets, ignore_index, smoothing):
    out = tuple(blank(len(logits), logits.dtype) for _ in range(3))
    step.function(logits, targets, ignore_index, smoothing, *out)
    return out


def run_cross_entropy_backward(step, dloss, logits, targets, ignore_index, smoothing):
    _, m, log_sum = reference.cross_entropy.cross_entropy_forward(logits, targets, ignore_index, smoothing)
    return one_output_like(step, logits, dloss, logits, targets, m, log_sum, ignore_index, smoothing)


def one_output_like(step, like, *arguments):
    y = blank(like.shape, like.dtype)
    step.function(*arguments, y)
    return (y,)


def reference_cross_entropy_backward(dloss, logits, targets, ignore_index, smoothing):
    _, m, log_sum = reference.cross_entropy.cross_entropy_forward(logits, targets, ignore_index, smoothing)
    return reference.cross_entropy.cross_entropy_backward(
        dloss, logits, targets, m, log_sum, ignore_index, smoothing
    )  # fmt: skip


def run_dropout(step, x, p, key, first_example):
    y = blank(x.size, x.dtype)
    scale = x.dtype.type(0.0 if p == 1.0 else 1 / (1 - p))
    start = first_example * (x.size // len(x))
    step.function(x.reshape(-1), start, np.uint64(key), np.uint64(round(p * 2**32)), scale, y)
    return (y.reshape(x.shape),)


def run_embedding(step, ids, weight):
    y = blank((len(ids), weight.shape[1]), weight.dtype)
    step.function(ids, weight, y)
    return (y,)


def run_embedding_backward(step, dy, ids, n):
    dweight = np.zeros((n, dy.shape[1]), dy.dtype)
    step.function(dy, ids, dweight)
    return (dweight,)


def run_adam(step, *arguments):
    p, g, m, v = (a.copy() for a in arguments[:4])
    # rung 2 takes constants that adam_step makes of the settings
    (step.function if step.number == 1 else optimizer.adam_step)(p, g, m, v, *arguments[4:])
    return p, m, v


def reference_adam(*arguments):
    p, g, m, v = (a.copy() for a in arguments[:4])
    reference.optimizer.adam_step(p, g, m, v, *arguments[4:])
    return p, m, v


# --- inputs -----------------------------------------------------------------------------------------------------


def gelu_inputs(rng, dtype):
    for x in (floats(rng, dtype, 1), floats(rng, dtype, 1003) * 4, np.array([-1e4, -90, -0.0, 0, 1e-30, 90, 1e4])):
        yield (x.astype(dtype),)


def softmax_inputs(rng, dtype):
    masked = np.where(rng.random((7, 9)) < 0.5, -np.inf, rng.normal(size=(7, 9)))
    masked[3], masked[5, :-1] = -np.inf, -np.inf  # one row sees nothing, one a single place
    for x in (floats(rng, dtype, 1, 1), floats(rng, dtype, 5, 1), floats(rng, dtype, 3, 65), floats(rng, dtype, 0, 4),
              floats(rng, dtype, 4, 33) * 1e4, masked, np.full((2, 17), 1e4)):  # fmt: skip
        yield (x.astype(dtype),)


def matmul_inputs(rng, dtype):
    for n, k, m in [(1, 1, 1), (5, 1, 3), (4, 64, 256), (7, 65, 257), (6, 129, 5), (3, 0, 4), (0, 3, 2)]:
        yield floats(rng, dtype, n, k), floats(rng, dtype, k, m)


def attention_inputs(rng, dtype):
    for Tq, Tk, D in [(1, 1, 1), (1, 5, 3), (63, 63, 4), (64, 64, 2), (65, 65, 3), (129, 129, 8), (3, 130, 4),
                      (130, 3, 4), (66, 1, 2)]:  # fmt: skip
        for causal in (False, True):
            yield floats(rng, dtype, Tq, D), floats(rng, dtype, Tk, D), floats(rng, dtype, Tk, D), causal, 0.7
    # scores of thousands that float32 holds exactly
    q, k = rng.integers(-40, 41, (2, 70, 4)).astype(dtype)
    yield q, k, floats(rng, dtype, 70, 4), True, 2.0


def attention_single_inputs(rng, dtype):
    for Tk, D in [(1, 1), (5, 3), (64, 64), (130, 7)]:
        yield floats(rng, dtype, D), floats(rng, dtype, Tk, D), floats(rng, dtype, Tk, D), dtype(0.7)
    q, k = rng.integers(-40, 41, (2, 70, 4)).astype(dtype)  # scores of thousands
    yield q[0], k, floats(rng, dtype, 70, 4), dtype(2.0)


def int8_linear_inputs(rng, dtype):
    for n, k, m in [(1, 1, 1), (1, 64, 33), (3, 65, 5), (4, 768, 7), (0, 3, 2), (2, 0, 3), (8, 1025, 2), (11, 9, 5),
                    (9, 513, 1), (8, 0, 2)]:  # fmt: skip
        yield floats(rng, dtype, n, k), rng.integers(-127, 128, (m, k)).astype(np.int8), rng.random(m, np.float32)
    yield (
        np.ones((2, 4000), dtype),
        np.full((3, 4000), 127, np.int8),
        np.ones(3, np.float32),
    )  # no small integer holds it


def layernorm_inputs(rng, dtype):
    for n, c in [(1, 1), (5, 1), (3, 7), (0, 4), (33, 65)]:
        yield floats(rng, dtype, n, c), floats(rng, dtype, c), floats(rng, dtype, c)
    yield np.full((2, 9), 3.0, dtype), floats(rng, dtype, 9), floats(rng, dtype, 9)  # no variance at all


def cross_entropy_inputs(rng, dtype):
    for n, v in [(1, 1), (1, 9), (6, 65), (0, 5)]:
        for smoothing in (0.0, 0.1, 1.0):
            targets = rng.integers(0, v, n)
            targets[1::3] = -100
            yield floats(rng, dtype, n, v) * 3, targets, -100, smoothing
    yield floats(rng, dtype, 5, 33) * 1e4, rng.integers(0, 33, 5), 7, 0.0  # an ignore_index among the classes
    barred = floats(rng, dtype, 4, 6)
    barred[:, 3] = -np.inf
    yield barred, np.array([0, 1, -1, 5]), -1, 0.0


def dropout_inputs(rng, dtype):
    for p in (0.0, 0.3, 1.0):
        yield floats(rng, dtype, 6, 5, 7), p, 2**63 + 12345, 11
    yield floats(rng, dtype, 1), 0.5, 0, 0


def embedding_inputs(rng, dtype):
    for n, v, c in [(1, 1, 1), (40, 5, 3), (0, 4, 2), (9, 300, 65)]:
        yield rng.integers(0, v, n), floats(rng, dtype, v, c)


def adam_inputs(rng, dtype):
    for step, decay, decoupled in [(1, 0.1, True), (1, 0.1, False), (7, 0.0, True), (100_000, 0.3, False)]:
        p, g, m = floats(rng, dtype, 3, 101)
        g[::5] = 0
        yield p, g, m, m * m, step, 0.01, 0.9, 0.99, 1e-8, decay, decoupled
    yield *floats(rng, dtype, 2, 1), np.zeros(1, dtype), np.zeros(1, dtype), 1, 0.5, 0.0, 0.0, 1e-8, 0.0, True


def with_dy(inputs):
    """The same inputs, preceded by a gradient of the first one's shape."""
    return lambda rng, dtype: ((floats(rng, dtype, *x.shape), x, *rest) for x, *rest in inputs(rng, dtype))


# ladder -> (how a rung is called, the same in the reference, inputs)
LADDER_TESTS = {
    "gelu_forward": (one_output, reference.activation.gelu_forward, gelu_inputs),
    "gelu_backward": (one_output, reference.activation.gelu_backward, with_dy(gelu_inputs)),
    "matmul": (run_matmul, reference.matmul.matmul, matmul_inputs),
    "softmax_forward": (one_output, reference.softmax.softmax_forward, softmax_inputs),
    "softmax_backward": (one_output, lambda dy, y: reference.softmax.softmax_backward(dy, y), lambda rng, dtype: (
        (floats(rng, dtype, *x.shape), reference.softmax.softmax_forward(x)) for (x,) in softmax_inputs(rng, dtype))),
    "attention_forward": (run_attention, reference_attention, attention_inputs),
    "attention_backward": (run_attention_backward, reference_attention_backward, with_dy(attention_inputs)),
    "attention_single": (run_attention_single, reference_attention_single, attention_single_inputs),
    "int8_linear": (run_int8_linear, reference.int8.int8_linear_forward, int8_linear_inputs),
    "layernorm_forward": (run_layernorm, reference.layernorm.layernorm_forward,
                          lambda rng, dtype: ((*inputs, 1e-5) for inputs in layernorm_inputs(rng, dtype))),
    "layernorm_backward": (run_layernorm_backward, reference_layernorm_backward, lambda rng, dtype: (
        (floats(rng, dtype, *x.shape), x, weight) for x, weight, _ in layernorm_inputs(rng, dtype))),
    "cross_entropy_forward": (run_cross_entropy, reference.cross_entropy.cross_entropy_forward, cross_entropy_inputs),
    "cross_entropy_backward": (run_cross_entropy_backward, reference_cross_entropy_backward, lambda rng, dtype: (
        (floats(rng, dtype, len(logits)), logits, *rest) for logits, *rest in cross_entropy_inputs(rng, dtype))),
    "dropout": (run_dropout, reference.dropout.dropout_forward, dropout_inputs),
    "embedding_forward": (run_embedding, reference.embedding.embedding_forward, embedding_inputs),
    "embedding_backward": (run_embedding_backward, reference.embedding.embedding_backward, lambda rng, dtype: (
        (floats(rng, dtype, len(ids), w.shape[1]), ids, len(w)) for ids, w in embedding_inputs(rng, dtype))),
    "adam_step": (run_adam, reference_adam, adam_inputs),
    "squared_norm": (lambda step, x: (np.float64(step.function(x)),),
                     lambda x: np.float64(reference.reduce.squared_norm(x)), lambda rng, dtype: (
                         (floats(rng, dtype, n),) for n in (0, 1, 7, 255, 256, 257, 1003))),  # a block is 256
    **RECURRENT_LADDERS,
}  # fmt: skip


def test_every_ladder_is_climbed_here():
    assert set(LADDERS) == set(LADDER_TESTS)


def test_a_rung_out_of_order_is_refused():
    with pytest.raises(ValueError, match="rung 7"):
        rung("softmax_forward", 7, "skips some")(abs)


RUNGS = [step for ladder in LADDERS.values() for step in ladder]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the reference subtracts -inf from -inf
@pytest.mark.parametrize("step", RUNGS, ids=[f"{step.kernel}-{step.number}" for step in RUNGS])
def test_a_rung_equals_the_reference(step, dtype, agree, rng):
    run, in_reference, inputs = LADDER_TESTS[step.kernel]
    for number, arguments in enumerate(inputs(rng, dtype)):
        wanted = in_reference(*arguments)
        tolerance = 2e-5 if step.kernel == "squared_norm" and dtype == np.float32 else None  # its result is float64
        floor = 1.0 if step.kernel == "cross_entropy_forward" else 0.0
        if step.kernel.endswith("backward"):  # differences of numbers as large as dy
            floor = np.abs(arguments[0]).max(initial=0.0)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        agree(run(step, *arguments), wanted, tolerance, f"input {number}", floor)
