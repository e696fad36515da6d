"""Every function that the cpu row takes from kernels/cpu gives what the reference gives, wherever its inputs lie."""

from dataclasses import fields
from itertools import product

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt.backend import Row, load

CPU, NUMPY = load("cpu"), load("numpy")
OURS = {f.name for f in fields(Row) if getattr(CPU, f.name) is not getattr(NUMPY, f.name)} - {"name"}

N, C, K = 5, 6, 4  # rows, channels in, channels out
B, H, T, D = 2, 3, 5, 2


def calls(rng, dtype, rows=N, batch=B):
    """name -> arguments; all float arrays are C-contiguous and of dtype."""

    def f(*shape):
        return rng.normal(size=shape).astype(dtype)

    x, y, weight, bias = f(rows, C), f(rows, C), f(C, K), f(K)
    targets = rng.integers(0, C, rows)
    targets[1::3] = -100
    ids = rng.integers(0, N, (rows, 2))
    q, k, v, dy = (f(batch, H, T, D) for _ in range(4))
    qkv, dyc = f(batch, T, 3 * H * D), f(batch, T, H * D)
    mask = rng.random((batch, H, T, T)) < 0.8
    head = (mask, True, 0.6, (0.3, 99, 4))
    y_head, lse = NUMPY.attention_forward(q, k, v, *head)
    y_qkv, lse_qkv = NUMPY.attention_qkv_forward(qkv, H, *head)
    _, mean, rstd = NUMPY.layernorm_forward(x)
    q8, scale = NUMPY.int8_quantize(f(K, C))
    _, m, log_sum = NUMPY.cross_entropy_forward(x, targets, -100, 0.1)
    lengths = rng.integers(1, T + 1, batch)
    h0, c0, dh, dc = (f(batch, D) for _ in range(4))
    lstm, gru, rnn = ((f(batch, T, n * D), f(n * D, D)) for n in (4, 3, 1))
    y_lstm, _, _, *kept_lstm = NUMPY.lstm_forward(*lstm, h0, c0, lengths)
    y_gru, _, *kept_gru = NUMPY.gru_forward(*gru, f(3 * D), h0, lengths)
    y_rnn, _ = NUMPY.rnn_forward(*rnn, h0, lengths)
    return {
        "add": (x, y),
        "multiply": (x, f(C)),
        "copy": (x,),
        "gelu_forward": (x,),
        "gelu_backward": (y, x),
        "squared_norm": (x,),
        "matmul": (f(rows, 3, C), f(1, C, K)),
        "linear_forward": (x, weight, bias),
        "linear_backward": (f(rows, K), x, weight),
        "linear_gelu_forward": (x, weight, bias),
        "linear_gelu_backward": (f(rows, K), x, weight, f(rows, K)),
        "bias_residual_forward": (x, f(C), y),
        "bias_residual_backward": (x,),
        "softmax_forward": (f(rows, 3, C),),
        "softmax_backward": (y, np.abs(x)),
        "log_softmax_forward": (x,),
        "log_softmax_backward": (y, -np.abs(x)),
        "attention_forward": (q, k, v, *head),
        "attention_backward": (dy, q, k, v, y_head, lse, *head),
        "attention_qkv_forward": (qkv, H, *head),
        "attention_qkv_backward": (dyc, qkv, y_qkv, lse_qkv, H, *head),
        "layernorm_forward": (x, f(C), f(C)),
        "layernorm_backward": (y, x, f(C), mean, rstd),
        "embedding_forward": (ids, f(N, C)),
        "embedding_backward": (f(rows, 2, C), ids, N),
        "cross_entropy_forward": (x, targets, -100, 0.1),
        "cross_entropy_backward": (f(rows), x, targets, m, log_sum, -100, 0.1),
        "int8_linear_forward": (x, q8, scale, bias, f(rows, K)),
        "int8_embedding_forward": (rng.integers(0, K, (rows, 2)), q8, scale),
        "dropout_forward": (x, 0.3, 12345, 7),
        "lstm_cell_forward": (f(batch, 4 * D), c0),
        "lstm_cell_backward": (dh, dc, np.abs(lstm[0][:, 0]) / 9, c0, h0),
        "lstm_forward": (*lstm, h0, c0, lengths),
        "lstm_backward": (f(batch, T, D), dh, dc, lstm[1], h0, c0, y_lstm, *kept_lstm, lengths),
        "gru_forward": (*gru, f(3 * D), h0, lengths),
        "gru_backward": (f(batch, T, D), dh, gru[1], h0, y_gru, *kept_gru, lengths),
        "rnn_forward": (*rnn, h0, lengths, "relu"),
        "rnn_backward": (f(batch, T, D), dh, rnn[1], h0, y_rnn, lengths, "tanh"),
    }


NAMES = sorted(calls(np.random.default_rng(0), np.float32))
ELSEWHERE = {"arena", "owns_memory", "zeros", "adam_step", "adam_steps", "embedding_add_into", "squared_norms"}


def test_every_function_is_called_here():
    """And the row takes nothing that a kernel file only imports, such as jit.exp, which is meant for use in kernels."""
    assert {*NAMES, *ELSEWHERE} == OURS


def agree_on(agree, name, arguments, reference_arguments=None):
    with np.errstate(all="ignore"):
        wanted = getattr(NUMPY, name)(*(reference_arguments or arguments))
    ours = getattr(CPU, name)(*arguments)
    if name == "squared_norm":
        assert type(ours) is float
        assert ours == pytest.approx(wanted, rel=1e-5)
        return
    # rounding of differences counts relative to the numbers subtracted, all about 1 here
    agree(ours, wanted, what=name, floor=1.0)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def strided(x):
    """Every other element along each axis of a larger array of NaN (or of a wrong number)."""
    around = np.full([2 * n for n in x.shape], np.nan if x.dtype.kind == "f" else 1, x.dtype)
    view = around[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def backwards(x):
    """Stored last element first: negative strides along every axis."""
    turned = tuple(slice(None, None, -1) for _ in x.shape)
    return x[turned].copy()[turned]


LAYOUTS = {"contiguous": np.array, "read-only": read_only, "Fortran": np.asfortranarray, "strided": strided,
           "backwards": backwards}  # fmt: skip
# seconds to compile, and no other code than for Fortran order, where the last axis is not contiguous either
SLOW = set(product(("strided", "backwards"), [name for name in NAMES if name.startswith("attention")]))


@pytest.mark.parametrize("name", NAMES)
def test_both_float_types(name, dtype, agree, rng):
    agree_on(agree, name, calls(rng, dtype)[name])


@pytest.mark.parametrize(("layout", "name"), [pair for pair in product(LAYOUTS, NAMES) if pair not in SLOW])
def test_any_memory_layout(layout, name, agree, rng):
    arguments = calls(rng, np.float32)[name]  # one type: each layout is compiled anew
    laid = [LAYOUTS[layout](a) if isinstance(a, np.ndarray) else a for a in arguments]
    agree_on(agree, name, laid, arguments)
    for a, before in zip(laid, arguments, strict=True):  # and nothing was written that is not meant to be
        np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("attention")])  # its views: test_attention.py
def test_inputs_that_are_broadcast(name, agree, rng):
    """What sum().backward() hands on: one row, repeated along the first axis, in read-only memory with stride 0."""
    arguments = calls(rng, np.float32)[name]
    repeated = [np.broadcast_to(a[:1], a.shape) if isinstance(a, np.ndarray) else a for a in arguments]
    agree_on(agree, name, repeated)


@pytest.mark.parametrize("name", NAMES)
def test_memory_maps(name, tmp_path, agree, rng):
    arguments = calls(rng, np.float32)[name]
    mapped = []
    for i, a in enumerate(arguments):
        if isinstance(a, np.ndarray):
            np.save(tmp_path / f"{i}.npy", a)
            mapped.append(np.load(tmp_path / f"{i}.npy", mmap_mode="r"))
        else:
            mapped.append(a)
    agree_on(agree, name, mapped, arguments)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch(name, agree, rng):
    agree_on(agree, name, calls(rng, np.float32, rows=0, batch=0)[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_one(name, agree, rng):
    agree_on(agree, name, calls(rng, np.float32, rows=1, batch=1)[name])


@pytest.mark.parametrize("name", NAMES)
def test_inside_an_arena_nothing_else_comes_out(name, agree, rng):
    arguments = calls(rng, np.float32, rows=2000, batch=70)[name]  # large enough for blocks of the arena
    wanted = getattr(CPU, name)(*arguments)
    with CPU.arena():
        for _ in range(2):  # the second time into memory that holds old results
            got = getattr(CPU, name)(*arguments)
    for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (got, wanted)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint16, np.uint8])
@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith(("embedding", "cross"))])
def test_ids_of_any_integer_type(name, kind, agree, rng):
    arguments = [
        np.where(a < 0, 0, a).astype(kind) if isinstance(a, np.ndarray) and a.dtype.kind == "i" else a
        for a in calls(rng, np.float32)[name]
    ]
    agree_on(agree, name, arguments)
    if name.startswith("cross"):  # an ignore_index that is one of the classes
        agree_on(agree, name, [0 if isinstance(a, int) else a for a in arguments])


def test_without_optional_parameters(dtype, agree, rng):
    x, y, weight = (rng.normal(size=s).astype(dtype) for s in [(N, C), (N, C), (C, K)])
    agree_on(agree, "linear_forward", (x, weight, None))
    agree_on(agree, "linear_gelu_forward", (x, weight, None))
    for given in [(x, None, None), (x, y[0], None), (x, None, y[0])]:
        agree_on(agree, "layernorm_forward", given)
    _, mean, rstd = NUMPY.layernorm_forward(x)
    agree_on(agree, "layernorm_backward", (y, x, None, mean, rstd))
    for needs in [(False, True, True), (True, False, False), (False, False, False)]:
        agree_on(agree, "linear_backward", (y @ weight, x, weight, needs))
        agree_on(agree, "linear_gelu_backward", (y @ weight, x, weight, x @ weight, needs))
    for name in ("gelu_forward", "gelu_backward"):
        agree_on(agree, name, (*[y, x][name == "gelu_forward" :], "none"))


def test_layernorm_far_from_zero_is_as_exact_as_the_reference(rng):
    x = (rng.normal(size=(20, 768)) + 300).astype(np.float32)
    true, _, _ = NUMPY.layernorm_forward(x.astype(np.float64))
    ours, reference = (np.abs(row.layernorm_forward(x)[0] - true).max() for row in (CPU, NUMPY))
    assert ours <= max(4 * reference, 1e-4)


# --- in place ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["contiguous", "Fortran", "strided", "backwards"])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_moves_the_parameter_wherever_it_lies(layout, decoupled, dtype, agree, rng):
    arrays = [rng.normal(size=(4, 7)).astype(dtype) for _ in range(3)]
    arrays.append(arrays[2] ** 2)
    ours, reference = ([LAYOUTS[layout](a.copy()) for a in arrays] for _ in range(2))
    for step in (1, 2, 3):
        for row, (p, g, m, v) in ((CPU, ours), (NUMPY, reference)):
            row.adam_step(p, g, m, v, step, 0.1, 0.9, 0.99, 1e-8, 0.2, decoupled)
    agree(tuple(ours), tuple(reference))
    assert np.abs(ours[0] - arrays[0]).max() > 0.1


def test_adam_on_a_single_number(agree):
    ours, reference = ([np.array(a, np.float32) for a in (0.5, 1.0, 0.0, 0.0)] for _ in range(2))
    CPU.adam_step(*ours, 1, 0.1, 0.9, 0.99, 1e-8, 0.2, True)
    NUMPY.adam_step(*reference, 1, 0.1, 0.9, 0.99, 1e-8, 0.2, True)
    agree(tuple(ours), tuple(reference))


@pytest.mark.parametrize("layout", ["contiguous", "Fortran", "strided", "backwards"])
def test_rows_are_added_wherever_they_lie(layout, dtype, agree, rng):
    table, dy = rng.normal(size=(5, 3)).astype(dtype), rng.normal(size=(2, 4, 3)).astype(dtype)
    ids = np.array([[4, 0, 4, 4], [1, 0, 4, 1]])
    ours, reference = (LAYOUTS[layout](table.copy()) for _ in range(2))
    CPU.embedding_add_into(ours, LAYOUTS[layout](dy), ids)
    NUMPY.embedding_add_into(reference, dy, ids)
    agree(ours, reference)
    assert (ours[[2, 3]] == table[[2, 3]]).all()


def test_zeros():
    for shape in [(), (0,), (3, 4), (200, 300)]:
        for dtype in (np.float32, np.float64, np.int64):
            with CPU.arena():
                used = CPU.zeros((200, 300), dtype)
                used.fill(7)
                del used
                out = CPU.zeros(shape, dtype)
            assert out.shape == shape
            assert out.dtype == dtype
            assert not out.any()


# --- through the ops: numbers, integers, mixed types ------------------------------------------------------------


def on_both_rows(function):
    with mg.use("numpy"):
        wanted = function()
    with mg.use("cpu"):
        ours = function()
    return ours.numpy(), wanted.numpy()


def test_single_numbers_keep_their_shape(agree):
    weight = np.arange(6, dtype=np.float32).reshape(3, 2)
    for name, function in {
        "gelu": lambda: F.gelu(mg.Tensor(0.5)),
        "gelu none": lambda: F.gelu(mg.Tensor(0.5), "none"),
        "dropout": lambda: F.dropout(mg.Tensor(0.5), 0.5, 3),
        "embedding": lambda: F.embedding(mg.Tensor(2), weight),
        "cross_entropy": lambda: F.cross_entropy(mg.Tensor([0.1, 0.2]), mg.Tensor(1)),
        "add": lambda: mg.Tensor(0.5) + mg.Tensor(0.25),
    }.items():
        agree(*on_both_rows(function), what=name)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "gelu", "layer_norm"])
def test_whole_numbers_are_taken_as_floats(name, agree):
    for x in (np.array([[1, 2, 3]]), np.array([[True, False, True]])):
        agree(*on_both_rows(lambda x=x: getattr(F, name)(mg.Tensor(x))), what=name)


def test_attention_and_cross_entropy_of_whole_numbers(agree):
    q = np.arange(12).reshape(1, 2, 3, 2) % 5
    agree(*on_both_rows(lambda: F.scaled_dot_product_attention(q, q, q)))
    agree(*on_both_rows(lambda: F.self_attention(np.arange(24).reshape(1, 4, 6) % 5, 1)))
    agree(*on_both_rows(lambda: F.cross_entropy(np.array([[1, 2, 4]]), np.array([2]))))


def test_float32_beside_float64(agree, rng):
    q, k, v = rng.normal(size=(3, 1, 2, 3, 4))
    single = np.float32(q)
    for name, function in {
        "attention": lambda: F.scaled_dot_product_attention(single, k, v),
        "attention, k": lambda: F.scaled_dot_product_attention(q, k.astype(np.float32), v),
        "linear": lambda: F.linear(single, q[0, 0].T, None),
        "linear_gelu": lambda: F.linear_gelu(single, k[0, 0].T, v[0, 0, 0, :3]),
        "bias_residual": lambda: F.bias_residual(single, k[0, 0, 0], v),
        "layer_norm": lambda: F.layer_norm(single, k[0, 0, 0], v[0, 0, 0]),
        "add": lambda: mg.Tensor(single) + mg.Tensor(k),
    }.items():
        agree(*on_both_rows(function), tolerance=1e-6, what=name)
