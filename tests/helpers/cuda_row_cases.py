"""Inputs for every function of the row, to be checked by cuda_checks.check_function.

Sizes come in threes: small for the simulated card, odd (primes, so that nothing is a multiple of a tile), and those of
a training step.
"""

import numpy as np
from cuda_checks import CASES, Call, Computed, Draw, case

from minigpt.backend import load

FLOAT = np.dtype(np.float32)


# --- making and writing -----------------------------------------------------------------------------------------


@case("zeros")
def a_shape(draw: Draw):
    return Call(((draw.size(3, 37, 1000), 7), FLOAT))


@case("full")
def a_shape_and_a_value(draw: Draw):
    return Call(((draw.size(3, 37, 1000), 7), 1.5, FLOAT))


@case("astype")
def ids_to_floats(draw: Draw):
    return Call((draw.ids(100, draw.size(5, 1009, 65536)), FLOAT))


@case("astype")
def mask_to_floats(draw: Draw):
    return Call((draw.mask(draw.size(5, 1009, 65536)), FLOAT))


@case("copy", "negative", "absolute", "sign", "exp", "tanh_forward", "sigmoid_forward", "relu_forward", "gelu_forward")
def one_array(draw: Draw):
    return Call((draw.floats(draw.size(3, 127, 4096), draw.size(5, 101, 768)),))


@case("log", "sqrt")
def positive_numbers(draw: Draw):
    return Call((draw.positive(draw.size(3, 127, 4096), draw.size(5, 101, 768)),))


@case("assign")
def a_part(draw: Draw):
    n, m = draw.size(4, 61, 1024), draw.size(5, 67, 768)
    return Call((draw.floats(n, m), (slice(1, None), slice(None, -1)), draw.floats(n - 1, m - 1)), changes=(0,))


@case("add_into")
def into_an_array(draw: Draw):
    shape = (draw.size(3, 61, 4096), draw.size(5, 67, 768))
    return Call((draw.floats(*shape), draw.floats(*shape)), changes=(0,))


@case("fetch")
def single_numbers(draw: Draw):
    return Call(([draw.floats(), draw.floats()],))


# --- elementwise ------------------------------------------------------------------------------------------------


@case("add", "subtract", "multiply", "tanh_backward", "sigmoid_backward", "relu_backward", "gelu_backward")
def two_arrays(draw: Draw):
    shape = (draw.size(3, 127, 4096), draw.size(5, 101, 768))
    return Call((draw.floats(*shape), draw.floats(*shape)))


@case("add", "subtract", "multiply")
def an_array_and_a_row(draw: Draw):
    n, m = draw.size(3, 127, 4096), draw.size(5, 101, 768)
    return Call((draw.floats(2, n, m), draw.floats(m)))


@case("add", "subtract", "multiply")
def a_column_and_a_row(draw: Draw):
    return Call((draw.floats(draw.size(3, 127, 4096), 1), draw.floats(draw.size(5, 101, 768))))


@case("divide")
def by_positive_numbers(draw: Draw):
    shape = (draw.size(3, 127, 4096), draw.size(5, 101, 768))
    return Call((draw.floats(*shape), draw.positive(*shape)))


@case("compare")
def neighbours(draw: Draw):
    n = draw.size(7, 1009, 65536)
    return Call((draw.ids(3, n).astype(np.float32), draw.ids(3, n).astype(np.float32), "<="))


@case("where")
def a_choice(draw: Draw):
    shape = (draw.size(3, 127, 4096), draw.size(5, 101, 768))
    return Call((draw.mask(*shape), draw.floats(*shape), draw.floats(*shape)))


@case("power")
def to_a_number(draw: Draw):
    return Call((draw.positive(draw.size(7, 1009, 65536)), 1.7))


@case("power_backward")
def slope_of_a_power(draw: Draw):
    n = draw.size(7, 1009, 65536)
    return Call((draw.floats(n), draw.positive(n), 1.7))


@case("power_backward_exponent")
def slope_in_the_exponent(draw: Draw):
    n = draw.size(7, 1009, 65536)
    x, exponent = draw.positive(n), draw.floats(n)
    return Call((draw.floats(n), x, (x**exponent).astype(np.float32)))


# --- reduce -----------------------------------------------------------------------------------------------------


@case("sum", "max", "var")
def along_the_rows(draw: Draw):
    return Call((draw.floats(draw.size(3, 127, 4096), draw.size(5, 101, 768)), (1,)))


@case("sum", "max", "var")
def down_the_columns(draw: Draw):
    return Call((draw.floats(draw.size(3, 127, 8192), draw.size(5, 101, 768)), (0,)))


@case("sum", "max")
def over_all_but_one(draw: Draw):
    return Call((draw.floats(draw.size(2, 11, 64), draw.size(3, 13, 64), draw.size(5, 17, 768)), (0, 2), True))


@case("max_backward")
def ties(draw: Draw):
    x = draw.ids(3, draw.size(3, 61, 1024), draw.size(5, 67, 768)).astype(np.float32)
    return Call((draw.floats(len(x), 1), x, x.max(axis=1, keepdims=True), (1,)))


@case("var_backward")
def slope_of_the_variance(draw: Draw):
    x = draw.floats(draw.size(3, 61, 1024), draw.size(5, 67, 768))
    return Call((draw.floats(len(x), 1), x, (1,), x.shape[1]))


@case("squared_norm")
def a_gradient(draw: Draw):
    return Call((draw.floats(draw.size(9, 100_003, 5_000_000)),))


def gradients(draw: Draw) -> list:
    """Of several sizes: less than four, no multiple of four, more than a block works on."""
    return [draw.floats(n) for n in (1, draw.size(9, 4099, 768), draw.size(17, 70_001, 3_000_000))]


@case("clip_scale")
def clipped(draw: Draw):
    """squared_norms has no result that can be compared by itself: what it leaves is for clip_scale."""
    return Call(([Computed("squared_norms", (gradients(draw),))], [draw.floats()], 0.125, 0.5))


@case("clip_scale")
def not_clipped(draw: Draw):
    return Call(([Computed("squared_norms", (gradients(draw),))], [draw.floats(), draw.floats()], 0.125, 1e6))


@case("scale_all")
def by_a_factor(draw: Draw):
    return Call((gradients(draw), 0.37), changes=(0,))


# --- shape ------------------------------------------------------------------------------------------------------


@case("reshape")
def in_one_row(draw: Draw):
    n, m = draw.size(3, 61, 1024), draw.size(5, 67, 768)
    return Call((draw.floats(n, m), (m * n,)))


@case("permute")
def heads_first(draw: Draw):
    return Call((draw.floats(2, draw.size(3, 61, 1024), draw.size(2, 5, 12), draw.size(4, 17, 64)), (0, 2, 1, 3)))


@case("broadcast_to")
def repeated(draw: Draw):
    n, m = draw.size(3, 61, 1024), draw.size(5, 67, 768)
    return Call((draw.floats(1, m), (n, m)))


@case("concatenate")
def side_by_side(draw: Draw):
    n = draw.size(3, 61, 1024)
    return Call(([draw.floats(n, m) for m in (draw.size(2, 13, 64), 1, draw.size(4, 17, 64))], 1))


@case("slice_forward")
def every_other(draw: Draw):
    return Call((draw.floats(draw.size(4, 61, 1024), draw.size(5, 67, 768)), (slice(None, None, 2), slice(1, -1))))


@case("slice_backward")
def back_to_every_other(draw: Draw):
    shape = (draw.size(4, 61, 1024), draw.size(5, 67, 768))
    key = (slice(None, None, 2), slice(1, -1))
    return Call((draw.floats(*np.empty(shape)[key].shape), key, shape))


@case("gather")
def rows_by_number(draw: Draw):
    n = draw.size(4, 61, 1024)
    return Call((draw.floats(n, draw.size(5, 67, 768)), draw.ids(n, draw.size(6, 127, 4096))))


@case("scatter_add")
def rows_that_meet(draw: Draw):
    n, m, rows = draw.size(4, 61, 1024), draw.size(6, 127, 4096), draw.size(5, 67, 768)
    return Call((draw.floats(m, rows), draw.ids(n, m), (n, rows)))


# --- products ---------------------------------------------------------------------------------------------------


@case("matmul")
def two_matrices(draw: Draw):
    n, k, m = draw.size(5, 131, 1024), draw.size(7, 257, 768), draw.size(6, 67, 3072)
    return Call((draw.floats(n, k), draw.floats(k, m)))


@case("matmul")
def stacks(draw: Draw):
    t, d = draw.size(5, 67, 512), draw.size(4, 17, 64)
    return Call((draw.floats(2, 3, t, d), draw.floats(2, 3, d, t)))


def tokens_in_out(draw: Draw):
    return draw.size(5, 131, 2048), draw.size(8, 67, 768), draw.size(12, 257, 3072)


@case("linear_forward")
def with_bias_and_residual(draw: Draw):
    N, inside, out = tokens_in_out(draw)
    return Call((draw.floats(N, inside), draw.floats(inside, out), draw.floats(out), draw.floats(N, out)))


@case("linear_gelu_forward")
def with_bias(draw: Draw):
    N, inside, out = tokens_in_out(draw)
    return Call((draw.floats(N, inside), draw.floats(inside, out), draw.floats(out)))


@case("linear_backward")
def all_gradients(draw: Draw):
    N, inside, out = tokens_in_out(draw)
    return Call((draw.floats(N, out), draw.floats(N, inside), draw.floats(inside, out)))


@case("linear_gelu_backward")
def all_gradients_through_gelu(draw: Draw):
    N, inside, out = tokens_in_out(draw)
    given = (draw.floats(N, out), draw.floats(N, inside), draw.floats(inside, out), draw.floats(N, out))
    return Call(given, tolerance=2e-5)


@case("bias_residual_forward")
def a_bias_and_a_residual(draw: Draw):
    N, C, _ = tokens_in_out(draw)
    return Call((draw.floats(N, C), draw.floats(C), draw.floats(N, C)))


@case("bias_residual_backward")
def rows_to_add(draw: Draw):
    return Call((draw.floats(*tokens_in_out(draw)[:2]),))


# --- softmax, layer norm, cross entropy -------------------------------------------------------------------------


@case("softmax_forward", "log_softmax_forward")
def rows(draw: Draw):
    return Call((draw.floats(draw.size(3, 127, 4096), draw.size(9, 101, 768)) * np.float32(5),))


@case("softmax_forward", "log_softmax_forward")
def long_rows(draw: Draw):
    return Call((draw.floats(2, draw.size(3, 127, 1024), draw.size(33, 1501, 2048)),))


def weights(draw: Draw):
    x = draw.floats(draw.size(3, 127, 4096), draw.size(9, 1501, 2048)).astype(np.float64)
    return load("numpy").softmax_forward(x).astype(np.float32)


@case("softmax_backward")
def slope_of_weights(draw: Draw):
    y = weights(draw)
    return Call((draw.floats(*y.shape), y))


@case("log_softmax_backward")
def slope_of_their_logarithms(draw: Draw):
    y = np.log(weights(draw))
    return Call((draw.floats(*y.shape), y))


def rows_for_norm(draw: Draw, C: int):
    return draw.floats(draw.size(5, 131, 8192), C) * np.float32(3) + np.float32(1), draw.floats(C), draw.floats(C)


@case("layernorm_forward")
def by_fours(draw: Draw):
    return Call(rows_for_norm(draw, draw.size(12, 1000, 768)))


@case("layernorm_forward")
def no_multiple_of_four(draw: Draw):
    return Call(rows_for_norm(draw, draw.size(7, 101, 2049)))


def gradients_for_norm(draw: Draw, C: int):
    x, weight, bias = rows_for_norm(draw, C)
    _, mean, rstd = load("numpy").layernorm_forward(x.astype(np.float64), weight, bias)
    return draw.floats(*x.shape), x, weight, mean.astype(np.float32), rstd.astype(np.float32)


@case("layernorm_backward")
def gradients_by_fours(draw: Draw):
    return Call(gradients_for_norm(draw, draw.size(12, 1000, 768)), tolerance=2e-5)


@case("layernorm_backward")
def gradients_of_odd_rows(draw: Draw):
    return Call(gradients_for_norm(draw, draw.size(7, 101, 1027)), tolerance=2e-5)


def logits_and_targets(draw: Draw, V: int):
    N = draw.size(4, 61, 512)
    targets = draw.ids(V, N)
    targets[1] = -100
    return draw.floats(N, V) * np.float32(3), targets


@case("cross_entropy_forward")
def few_classes(draw: Draw):
    return Call(logits_and_targets(draw, draw.size(11, 67, 65)), {"label_smoothing": 0.1})


@case("cross_entropy_forward")
def many_classes(draw: Draw):
    return Call(logits_and_targets(draw, draw.size(37, 5003, 50257)))


@case("cross_entropy_backward")
def gradient_of_few_classes(draw: Draw):
    return gradient_of_logits(draw, draw.size(11, 67, 65), 0.1)


@case("cross_entropy_backward")
def gradient_of_many_classes(draw: Draw):
    return gradient_of_logits(draw, draw.size(37, 5003, 50257), 0.0)


def gradient_of_logits(draw: Draw, V: int, smoothing: float) -> Call:
    logits, targets = logits_and_targets(draw, V)
    _, m, log_sums = load("numpy").cross_entropy_forward(logits.astype(np.float64), targets)
    given = (draw.floats(len(logits)), logits, targets, m.astype(np.float32), log_sums.astype(np.float32))
    return Call(given, {"label_smoothing": smoothing})


# --- attention --------------------------------------------------------------------------------------------------


def heads(draw: Draw, D: int, count: int):
    B, H, T = draw.size(1, 2, 2), draw.size(2, 3, 8), draw.size(5, 67, 512)
    return [draw.floats(B, H, T, D) for _ in range(count)]


@case("attention_forward")
def causal(draw: Draw):
    D = draw.size(4, 20, 64)
    return Call((*heads(draw, D, 3), None, True, D**-0.5))


@case("attention_forward")
def masked_and_dropped(draw: Draw):
    D = draw.size(6, 17, 64)
    q, k, v = heads(draw, D, 3)
    mask = draw.mask(q.shape[0], 1, q.shape[2], q.shape[2])
    return Call((q, k, v, mask, False, D**-0.5, (0.3, 11, 2)))


@case("attention_backward")
def gradients_causal(draw: Draw):
    D = draw.size(4, 20, 64)
    return attention_gradients(heads(draw, D, 4), (None, True, D**-0.5))


@case("attention_backward")
def gradients_masked_and_dropped(draw: Draw):
    D = draw.size(6, 17, 64)
    q, k, v, dy = heads(draw, D, 4)
    mask = draw.mask(q.shape[0], 1, q.shape[2], q.shape[2])
    return attention_gradients((q, k, v, dy), (mask, False, D**-0.5, (0.3, 11, 2)))


def attention_gradients(arrays, settings) -> Call:
    q, k, v, dy = arrays
    y, lse = load("numpy").attention_forward(*(x.astype(np.float64) for x in (q, k, v)), *settings)
    return Call((dy, q, k, v, y.astype(np.float32), lse.astype(np.float32), *settings), tolerance=2e-5)


def packed(draw: Draw):
    B, T, H, D = draw.size(1, 2, 4), draw.size(5, 67, 512), draw.size(2, 3, 12), draw.size(4, 20, 64)
    return draw.floats(B, T, 3 * H * D), H, D


@case("attention_qkv_forward")
def packed_causal(draw: Draw):
    qkv, H, D = packed(draw)
    return Call((qkv, H, None, True, D**-0.5))


@case("attention_qkv_backward")
def gradients_packed(draw: Draw):
    qkv, H, D = packed(draw)
    settings = (H, None, True, D**-0.5)
    y, lse = load("numpy").attention_qkv_forward(qkv.astype(np.float64), *settings)
    dy = draw.floats(*y.shape)
    return Call((dy, qkv, y.astype(np.float32), lse.astype(np.float32), *settings), tolerance=2e-5)


# --- embedding, dropout, optimizers -----------------------------------------------------------------------------


def table(draw: Draw, C: int):
    V = draw.size(7, 997, 50257)
    return V, draw.ids(V, draw.size(2, 7, 8), draw.size(3, 61, 1024)), draw.floats(V, C)


@case("embedding_forward")
def by_fours_from_a_table(draw: Draw):
    _, ids, weight = table(draw, draw.size(8, 100, 768))
    return Call((ids, weight))


@case("embedding_forward")
def from_a_table(draw: Draw):
    _, ids, weight = table(draw, draw.size(5, 67, 65))
    return Call((ids, weight))


@case("embedding_backward")
def ids_that_repeat(draw: Draw):
    V, ids, _ = table(draw, 1)
    ids[:] = np.where(draw.mask(*ids.shape, share=0.2), 3, ids)
    return Call((draw.floats(*ids.shape, draw.size(8, 100, 768)), ids, V))


@case("embedding_add_into")
def into_a_table(draw: Draw):
    _, ids, weight = table(draw, draw.size(5, 67, 768))
    return Call((weight, draw.floats(*ids.shape, weight.shape[1]), ids), changes=(0,))


@case("dropout_forward")
def dropped(draw: Draw):
    x = draw.floats(draw.size(3, 61, 4096), draw.size(5, 67, 768))
    return Call((x, 0.3, int(draw.rng.integers(2**63)), 5))


@case("adam_step")
def parameters(draw: Draw):
    n = draw.size(9, 4099, 3_000_000)
    p, g, m, v = draw.floats(n), draw.floats(n), draw.floats(n), draw.positive(n)
    return Call((p, g, m, v, 3, 1e-2, 0.9, 0.99, 1e-8, 0.1, bool(draw.mask(1)[0])), changes=(0, 2, 3))


@case("sgd_step")
def with_momentum(draw: Draw):
    n = draw.size(9, 4099, 3_000_000)
    return Call((draw.floats(n), draw.floats(n), draw.floats(n), 1e-2, 0.9, 0.1), changes=(0, 2))


@case("sgd_step")
def without_momentum(draw: Draw):
    n = draw.size(9, 4099, 3_000_000)
    return Call((draw.floats(n), draw.floats(n), None, 1e-2, 0.0, 0.1), changes=(0,))


@case("adam_steps")
def many_parameters(draw: Draw):
    settings = (3, 1e-2, 0.9, 0.99, 1e-8, 0.1, True)
    moves = [(draw.floats(g.size), g, draw.floats(g.size), draw.positive(g.size), *settings) for g in gradients(draw)]
    return Call((moves, 0.37), changes=(0,))


@case("sgd_steps")
def many_with_and_without_momentum(draw: Draw):
    settings = ((1e-2, 0.9, 0.1), (1e-2, 0.0, 0.0), (2e-2, 0.5, 0.0))
    moves = [
        (draw.floats(g.size), g, draw.floats(g.size) if each[1] else None, *each)
        for g, each in zip(gradients(draw), settings, strict=True)
    ]
    return Call((moves, 0.37), changes=(0,))


ALL = [(name, make) for name in CASES for make in CASES[name]]
