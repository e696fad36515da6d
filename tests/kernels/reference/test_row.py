"""Every function of the `numpy` row, called once: what any row of the table must keep to.

float32 in gives float32 out, read-only inputs are accepted (so nothing is written that is not meant to be), and no
output is an input's memory unless a view is what the function is for.
"""

from dataclasses import fields, replace

import numpy as np
import pytest

from minigpt.backend import Row, load

ROW = load("numpy")
X = np.linspace(0.2, 1.9, 12).reshape(3, 4)
Y = X[::-1] + 0.1
IDS = np.array([2, 0, 2])
Q = np.sin(np.arange(24.0)).reshape(1, 2, 3, 4)
QKV = np.cos(np.arange(36.0)).reshape(1, 3, 12)
DROP = (0.5, 7, 0)
Q8, SCALE = np.array([[1, -2, 3, 127], [0, 4, -5, 6], [7, 0, 0, -127]], np.int8), X[:, 0]  # weights of one byte
SEQUENCE, ONE = X[None], X[:1, :1]  # a batch of one row with three steps, and its state of one unit

# name -> positional arguments. float64 arrays are cast to the dtype under test.
CALLS = {
    "add": (X, Y),
    "subtract": (X, Y),
    "multiply": (X, Y),
    "divide": (X, Y),
    "negative": (X,),
    "absolute": (X,),
    "sign": (X,),
    "exp": (X,),
    "log": (X,),
    "sqrt": (X,),
    "compare": (X, Y, "<="),
    "where": (X > 1, X, Y),
    "power": (X, Y),
    "power_backward": (Y, X, 1.5),
    "power_backward_exponent": (Y, X, X**0.5),
    "tanh_forward": (X,),
    "tanh_backward": (Y, np.tanh(X)),
    "sigmoid_forward": (X,),
    "sigmoid_backward": (Y, X / 2),
    "relu_forward": (X,),
    "relu_backward": (Y, X),
    "gelu_forward": (X, "none"),
    "gelu_backward": (Y, X, "none"),
    "sum": (X, (1,), True),
    "max": (X, (0,)),
    "max_backward": (X[:, :1], X, X.max(1, keepdims=True), (1,)),
    "var": (X, (0, 1)),
    "var_backward": (X[:, :1], X, (1,), 4),
    "squared_norm": (X,),
    "reshape": (X, (2, 6)),
    "permute": (X, (1, 0)),
    "broadcast_to": (X, (2, 3, 4)),
    "concatenate": ([X, Y], 1),
    "slice_forward": (X, (slice(1, None), None)),
    "slice_backward": (X[1:], slice(1, None), (3, 4)),
    "gather": (X, IDS),
    "scatter_add": (X, IDS, (3, 4)),
    "matmul": (X, Y.T),
    "linear_forward": (X, Y.T, X[:, 0]),
    "linear_backward": (X, Y, X.T @ X, (True, True, True)),
    "linear_gelu_forward": (X, Y.T, X[:, 0]),
    "linear_gelu_backward": (X[:, :3], Y, Y.T, X[:, :3], (True, True, True)),
    "bias_residual_forward": (X, X[0], Y),
    "bias_residual_backward": (X,),
    "softmax_forward": (X,),
    "softmax_backward": (Y, X),
    "log_softmax_forward": (X,),
    "log_softmax_backward": (Y, -X),
    "attention_forward": (Q, Q, Q, None, True, 0.5, DROP),
    "attention_backward": (Q, Q, Q, Q, Q, Q[..., 0], None, True, 0.5, DROP),
    "attention_qkv_forward": (QKV, 2, None, True, 0.5, DROP),
    "attention_qkv_backward": (QKV[..., :4], QKV, QKV[..., :4], Q[..., 0], 2, None, True, 0.5, DROP),
    "layernorm_forward": (X, X[0], X[1], 1e-5),
    "layernorm_backward": (Y, X, X[0], X[:, :1], X[:, :1]),
    "embedding_forward": (IDS, X),
    "embedding_backward": (X, IDS, 5),
    "cross_entropy_forward": (X, IDS, -100, 0.1),
    "cross_entropy_backward": (X[:, 0], X, IDS, X[:, 1], X[:, 2], -100, 0.1),
    "dropout_forward": (X, *DROP),
    "lstm_cell_forward": (X, X[:, :1]),
    "lstm_cell_backward": (X[:, :1], X[:, :1], X, X[:, :1], X[:, :1]),
    "lstm_forward": (SEQUENCE, X[:1].T, ONE, ONE),
    "lstm_backward": (SEQUENCE[..., :1], ONE, ONE, X[:1].T, ONE, ONE, SEQUENCE[..., :1], SEQUENCE, SEQUENCE[..., :1]),
    "gru_forward": (SEQUENCE[..., :3], X[:1, :3].T, X[0, :3], ONE),
    "gru_backward": (SEQUENCE[..., :1], ONE, X[:1, :3].T, ONE, *(SEQUENCE[..., :n] for n in (1, 3, 1))),
    "rnn_forward": (SEQUENCE[..., :1], ONE, ONE),
    "int8_linear_forward": (X, Q8, SCALE, X[:, 0], Y @ Y.T),
    "int8_embedding_forward": (IDS, Q8, SCALE),
    "rnn_backward": (SEQUENCE[..., :1], ONE, ONE, ONE, SEQUENCE[..., :1]),
}
DEVICE = {
    "is_array",
    "from_host",
    "to_host",
    "owns_memory",
    "shares_memory",
    "zeros",
    "full",
    "astype",
    "copy",
    "arena",
}
IN_PLACE = {"assign", "add_into", "scale_all", "embedding_add_into", "adam_step", "adam_steps", "sgd_step", "sgd_steps"}
NUMBERS = {"squared_norms", "clip_scale", "fetch"}
BYTES = {"int8_quantize"}  # gives int8, which tests/kernels/cpu/test_int8.py looks at
VIEWS = {"reshape", "permute", "broadcast_to", "slice_forward"}


def test_every_function_of_the_table_is_called_here():
    assert {field.name for field in fields(Row)} - {*CALLS, *DEVICE, *IN_PLACE, *NUMBERS, *BYTES, "name"} == set()


@pytest.mark.parametrize("row", ["numpy", "cpu"])
def test_squared_norms_of_several_arrays(row):
    arrays = [np.arange(3, dtype=np.float32), np.zeros((0, 2), np.float32), np.full((2, 2), 3, np.float32)]
    assert load(row).squared_norms(arrays) == [5.0, 0.0, 36.0]


def test_scale_and_norm_of_gradients():
    """3-4-5: the norm of the mean gradient is 5 / 2, and a step that failed has the scale 0."""
    squares = [[9.0], [0.0, 16.0]]
    assert ROW.clip_scale(squares, [np.float32(1)], 0.5, np.inf) == (0.5, 2.5)
    scale, norm = ROW.clip_scale(squares, [1.0], 0.5, 0.25)
    assert (scale, norm) == (pytest.approx(0.05), 2.5)
    for bad_squares, losses, before in (
        ([[np.nan]], [1.0], 1.0), ([[np.inf]], [1.0], 1.0), (squares, [1.0, np.nan], 1.0), (squares, [1.0], 0.0),
    ):  # fmt: skip
        assert ROW.clip_scale(bad_squares, losses, 0.5, 1.0, before)[0] == 0


@pytest.mark.parametrize("row", ["numpy", "cpu"])
def test_a_scale_of_zero_moves_nothing(row):
    for name, settings in (("adam_steps", (1, 0.1, 0.9, 0.99, 1e-8, 0.1, True)), ("sgd_steps", (0.1, 0.9, 0.1))):
        arrays = [np.full(3, value, np.float32) for value in (1, np.nan, 0.5, 0.25)]
        given = [*arrays[: 4 if name == "adam_steps" else 3], *settings]
        before = [a.copy() for a in arrays]
        getattr(load(row), name)([given], 0.0)
        np.testing.assert_array_equal(arrays, before)
        arrays[1][:] = 4
        getattr(load(row), name)([given], 0.5)
        assert arrays[1].tolist() == [2, 2, 2]  # gradients stay scaled
        assert (arrays[0] != before[0]).all()


def given(arguments, dtype):
    """The arguments with float arrays in dtype, all arrays read-only."""
    out = []
    for a in arguments:
        if isinstance(a, list):
            a = given(a, dtype)
        elif isinstance(a, np.ndarray):
            a = a.astype(dtype if a.dtype.kind == "f" else a.dtype)
            a.flags.writeable = False
        out.append(a)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CALLS)
def test_dtype_and_memory(name, dtype):
    arguments = given(CALLS[name], dtype)
    outputs = getattr(ROW, name)(*arguments)
    if name == "squared_norm":
        assert type(outputs) is float
        return
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    for y in outputs if isinstance(outputs, tuple) else (outputs,):
        assert y.dtype == (bool if name == "compare" else dtype)
        assert np.isfinite(y).all()
        if name in VIEWS:
            assert np.shares_memory(y, arrays[0])
        else:
            assert not any(np.shares_memory(y, a) for a in arrays)


def test_float32_agrees_with_float64():
    for name, arguments in CALLS.items():
        single, double = (getattr(ROW, name)(*given(arguments, dtype)) for dtype in (np.float32, np.float64))
        singles, doubles = (y if isinstance(y, tuple) else (y,) for y in (single, double))
        for a, b in zip(singles, doubles, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


def test_making_and_moving_arrays():
    host = np.arange(3.0)
    assert ROW.is_array(host)
    assert not ROW.is_array([1.0])
    assert ROW.to_host(ROW.from_host(host)) is host
    assert ROW.owns_memory(host)
    assert not ROW.owns_memory(host[1:])
    assert ROW.shares_memory(host, host[1:])
    assert not ROW.shares_memory(host, ROW.copy(host))
    assert ROW.astype(host, np.float64) is host
    assert ROW.zeros((2, 0), np.float32).shape == (2, 0)
    np.testing.assert_array_equal(ROW.full((2,), 0.1, np.float64), [0.1, 0.1])


@pytest.mark.parametrize("x", [np.broadcast_to(np.arange(3.0), (2, 3)), np.ones((2, 3)).T, np.ones((4, 3))[::2]])
def test_a_copy_is_c_contiguous_memory_of_its_own(x):
    """Kernels that walk over memory in order rely on it."""
    copy = ROW.copy(x)
    assert copy.flags.c_contiguous
    assert copy.flags.owndata
    assert copy.flags.writeable
    np.testing.assert_array_equal(copy, x)


def test_writing_in_place():
    out = np.arange(3.0)
    before = out
    ROW.add_into(out, np.ones(3))
    ROW.scale_all([out], 2.0)
    ROW.assign(out, slice(0, 1), 9.0)
    assert out is before
    np.testing.assert_array_equal(out, [9, 4, 6])


def test_a_row_is_a_record_that_cannot_be_changed():
    with pytest.raises(AttributeError):
        ROW.add = None
    assert replace(ROW, name="other").add is ROW.add
    assert "numpy" in repr(ROW)
