"""The table of FLOPs against counts by hand, the 6 N T rule, and the kernels' own counts."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import ops
from minigpt.bench.kernels_cases import cases
from minigpt.debug.flops import BEND, EXP, TABLE, Work, backward_flops, flops, pairs
from minigpt.models import GPT, GPTConfig
from minigpt.models.budget import training_flops


def tensor(*shape):
    return mg.Tensor(np.ones(shape, np.float32), requires_grad=True)


def attend(*shapes, causal=False):
    return F.scaled_dot_product_attention(*(tensor(*shape) for shape in shapes), causal=causal)


def counted(run):
    """(forward, backward) of everything that run() does to make its result, and of its backward."""
    with mg.trace() as t:
        y = run()
        y = y[0] if isinstance(y, tuple) else y
        y.backward(np.ones(y.shape, np.float32))
    assert not any(row.flops is None for row in t.rows)
    return tuple(sum(r.flops for r in t.rows if r.direction == way) for way in ("forward", "backward"))


B, T, H, D, C, V = 2, 5, 3, 4, 12, 7
IDS = np.zeros((B, T), int)


@pytest.mark.parametrize(
    ("run", "forward", "backward"),
    [
        (lambda: F.linear(tensor(B, T, C), tensor(C, 8), tensor(8)),
         2 * 10 * 12 * 8 + 80, 2 * (2 * 10 * 12 * 8) + 80),
        (lambda: F.linear(tensor(B, T, C), tensor(C, 8)), 2 * 10 * 12 * 8, 2 * (2 * 10 * 12 * 8)),
        (lambda: F.linear(np.ones((B, T, C), np.float32), tensor(C, 8)), 2 * 10 * 12 * 8, 2 * 10 * 12 * 8),
        (lambda: F.linear(tensor(B, T, C), tensor(8, C), transposed=True), 2 * 10 * 12 * 8, 2 * (2 * 10 * 12 * 8)),
        (lambda: F.linear(tensor(4, 3), tensor(3, 5), tensor(5), tensor(4, 5)), 120 + 20 + 20, 240 + 20),
        (lambda: F.linear_gelu(tensor(4, 3), tensor(3, 5), tensor(5)),
         120 + 20 + (6 + EXP) * 20, 240 + 20 + (15 + EXP) * 20),
        (lambda: tensor(6, 2, 3) @ tensor(6, 3, 4), 2 * 6 * 2 * 3 * 4, 2 * (2 * 6 * 2 * 3 * 4)),
        (lambda: tensor(6, 2, 3) @ tensor(1, 3, 4), 288, 576 + 6 * 12),  # b's gradient is added up over 6 matrices
        (lambda: tensor(6, 2, 3) @ tensor(3, 4), 288, 576),  # one tall product
        (lambda: tensor(3) @ tensor(3), 6, 12),
        (lambda: attend(*[(B, H, T, D)] * 3),
         6 * 25 * (4 * D + 4 + EXP), 6 * 25 * (10 * D + 4 + EXP) + 2 * 6 * 5 * D),
        (lambda: attend(*[(B, H, T, D)] * 3, causal=True),
         6 * 15 * (4 * D + 4 + EXP), 6 * 15 * (10 * D + 4 + EXP) + 2 * 6 * 5 * D),
        (lambda: attend((1, 1, 2, D), (1, 1, 5, D), (1, 1, 5, D), causal=True),
         (4 + 5) * (4 * D + 4 + EXP), 9 * (10 * D + 4 + EXP) + 2 * 2 * D),
        (lambda: F.self_attention(tensor(B, T, 3 * C), H, causal=True),
         6 * 15 * (4 * D + 4 + EXP), 6 * 15 * (10 * D + 4 + EXP) + 2 * B * T * C),
        (lambda: F.cross_entropy(tensor(B, T, V), IDS), 70 * (3 + EXP), 70 * (4 + EXP)),
        (lambda: F.layer_norm(tensor(B, T, C), tensor(C), tensor(C)), 120 * 8, 120 * 15),
        (lambda: F.layer_norm(tensor(B, T, C)), 120 * 6, 120 * 15),
        (lambda: F.embedding(IDS, tensor(V, C)), 0, 120),
        (lambda: F.softmax(tensor(4, 6)), 24 * (4 + EXP), 24 * 4),
        (lambda: F.gelu(tensor(4, 6)), 24 * (6 + EXP), 24 * (15 + EXP)),
        (lambda: tensor(4, 6) + tensor(6), 24, 24),  # the row's gradient is a sum over 4
        (lambda: tensor(4, 6) * tensor(4, 6), 24, 48),
        (lambda: tensor(4, 6) / 2.0, 24, 24),
        (lambda: tensor(4, 6).sum(axis=0), 24, 0),
        (lambda: tensor(4, 6).var(axis=1), 96, 48),
        (lambda: tensor(4, 6).T.reshape(8, 3)[:4], 0, 0),
        (lambda: tensor(4, 6) ** 2, 24, 24 + 48),
        (lambda: F.lstm(tensor(B, T, 4 * H), tensor(4 * H, H), tensor(B, H), tensor(B, H)),
         30 * (8 * H + 5 * BEND + 4), 30 * (16 * H + BEND + 22)),
    ],
)  # fmt: skip
def test_counts_by_hand(run, forward, backward):
    assert counted(run) == (forward, backward)


def test_pairs_of_causal_attention():
    for Tq, Tk in ((1, 1), (4, 4), (2, 5), (5, 2), (0, 3)):
        assert pairs(Tq, Tk, True) == np.tri(Tq, Tk, Tk - Tq).sum()
        assert pairs(Tq, Tk, False) == Tq * Tk


def test_every_op_of_the_library_is_in_the_table():
    found = {cls.__name__ for cls in vars(ops).values() if isinstance(cls, type) and issubclass(cls, ops.Op)}
    assert set(TABLE) == found - {"Op"}


def test_an_op_of_the_users_own_is_unknown_not_free():
    class Linear(mg.Op):  # even under a name of ours
        @staticmethod
        def forward(ctx, x):
            return 2 * x

    work = Work(((3,),), ((3,),), {}, (True,))
    assert flops(Linear, work) is backward_flops(Linear, work) is None


def test_a_training_step_of_a_gpt_takes_6_n_t_and_attention():
    """N: the weights that multiply. In all matrix products exactly; in all ops within 15 % (element-wise work)."""
    config = GPTConfig(vocab_size=512, block_size=32, n_layer=2, n_head=4, n_embd=128)
    model, ids = GPT(config), np.zeros((3, 32), int)
    with mg.trace() as t:
        model(ids, ids)[1].backward()
    N = sum(p.size for name, p in model.named_parameters() if p.ndim == 2 and name != "wpe.weight")
    products = sum(total.flops for total in t.ledger() if total.op in ("Linear", "LinearGELU"))
    element_wise = sum(
        r.flops - 2 * np.prod(r.outputs[0]) * r.inputs[0][-1]
        for r in t.rows
        if r.op in ("Linear", "LinearGELU") and r.direction == "forward"
    )  # biases, residuals, GELU
    forward = sum(r.flops for r in t.rows if r.op in ("Linear", "LinearGELU") and r.direction == "forward")
    assert forward - element_wise == 2 * N * ids.size
    assert 6 * N * ids.size < products < 1.1 * 6 * N * ids.size
    assert t.flops == pytest.approx(training_flops(config) * ids.size, rel=0.15)


def test_the_table_agrees_with_the_kernels_own_counts():
    """What `bench kernels` counts for a kernel, the table counts for its op."""
    ours = {
        "matmul": lambda a: ("MatMul", (a["a"].shape, a["b"].shape), a["y"].shape, {}),
        "gelu_forward": lambda a: ("GELU", (a["x"].shape,), a["x"].shape, {}),
        "softmax_forward": lambda a: ("Softmax", (a["x"].shape,), a["x"].shape, {}),
        "layernorm_forward": lambda a: ("LayerNorm", (a["x"].shape, (1,), (1,)), a["x"].shape, {}),
        "cross_entropy_forward": lambda a: ("CrossEntropy", (a["logits"].shape,), (), {}),
        "attention_forward": lambda a: ("Attention", ((1, 1, *a["q"].shape),) * 3, (1, 1, *a["q"].shape),
                                        {"causal": True}),
        "lstm_cell_forward": lambda a: ("LSTMCell", (a["a"].shape, a["c_prev"].shape), a["c_prev"].shape, {}),
        "dropout": lambda a: ("Dropout", (a["x"].shape,), a["x"].shape, {}),
    }  # fmt: skip
    backward = {"gelu": "dx", "softmax": "dx", "layernorm": "dx", "cross_entropy": "dlogits", "attention": "dq"}
    checked = set()
    for case in cases(quick=True):
        if case.kernel in ours:
            given = case.arguments(np.random.default_rng(0))
            name, inputs, output, settings = ours[case.kernel](given)
            work = Work(inputs, (output,), settings, (True, True, True))
            assert flops(getattr(ops, name), work) == case.flops, case.kernel
            checked.add(case.kernel)
            back = next((c for c in cases(True) if c.kernel == case.kernel.replace("forward", "backward")), None)
            if case.kernel.removesuffix("_forward") in backward and back.shape == case.shape:
                assert backward_flops(getattr(ops, name), work) == back.flops, back.kernel
    assert checked == set(ours)
