"""Errors about shapes, whole: what was wanted, what came, which axis, and the fix where one would fit."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn
from minigpt.ops.axes import broadcast_or_none, listed, named, rows


def ones(*shape):
    return mg.Tensor(np.ones(shape, np.float32))


def mask(*shape):
    return np.ones(shape, bool)


Q, L = ones(2, 4, 8, 16), np.ones((2, 8, 11))
FIT = "; the last axis on the left and the second to last one on the right must be equal"
RULE = ". Lengths of an axis, counted from the right, must be equal or 1"
LOGITS = "cross_entropy: logits (B=2, T=8, V=11) need targets (B=2, T=8), the same shape without the last axis; got "
attend = F.scaled_dot_product_attention

CASES = {
    "matmul": (
        lambda: ones(2, 8, 32) @ ones(64, 16),
        f"matmul: (B=2, T=8, C=32) @ (C=64, m=16): C is 32 on the left, 64 on the right{FIT}",
    ),
    "matmul, right transposed": (
        lambda: ones(2, 8, 32) @ ones(16, 32),
        "matmul: (B=2, T=8, C=32) @ (C=16, m=32): C is 32 on the left, 16 on the right"
        f"{FIT}; did you mean left @ right.T?",
    ),
    "matmul, heads": (
        lambda: Q @ ones(2, 4, 5, 16),
        "matmul: (B=2, H=4, T=8, D=16) @ (B=2, H=4, D=5, m=16): D is 16 on the left, 5 on the right"
        f"{FIT}; did you mean left @ right.swapaxes(-1, -2)?",
    ),
    "matmul, left transposed": (
        lambda: ones(3, 2) @ ones(3, 4),
        f"matmul: (n=3, k=2) @ (k=3, m=4): k is 2 on the left, 3 on the right{FIT}; did you mean left.T @ right?",
    ),
    "matmul, a transpose does not help where the batches differ": (
        lambda: ones(5, 8, 32) @ ones(7, 16, 32),
        f"matmul: (B=5, T=8, C=32) @ (B=7, C=16, m=32): C is 32 on the left, 16 on the right{FIT}",
    ),
    "matmul, a vector": (
        lambda: ones(2, 3) @ ones(4),
        "matmul: (n=2, k=3) @ (k=4,): k is 3 on the left, 4 on the right; the last axis on the left and the only one "
        "on the right must be equal",
    ),
    "matmul, batches": (
        lambda: Q @ ones(3, 4, 16, 8),
        "matmul: (B=2, H=4, T=8, D=16) @ (B=3, H=4, D=16, m=8): leading axes: shapes (2, 4) and (3, 4) do not "
        f"broadcast: B is 2 (left) and 3 (right){RULE}\n"
        "    left   B=2  H=4\n"
        "    right  B=3  H=4\n"
        "           ^^^",
    ),
    "add": (
        lambda: ones(2, 8, 32) + ones(2, 1, 16),
        f"add: shapes (2, 8, 32) and (2, 1, 16) do not broadcast: C is 32 (left) and 16 (right){RULE}\n"
        "    left   B=2  T=8  C=32\n"
        "    right  B=2  T=1  C=16\n"
        "                     ^^^^",
    ),
    "a new axis helps": (
        lambda: ones(4, 8) * ones(4),
        f"multiply: shapes (4, 8) and (4,) do not broadcast: axis -1 is 8 (left) and 4 (right){RULE}; did you mean "
        "right[:, None]?\n"
        "    left   4  8\n"
        "    right     4\n"
        "              ^",
    ),
    "a new axis on the left": (
        lambda: ones(2, 8) - ones(2, 8, 5),
        "subtract: shapes (2, 8) and (2, 8, 5) do not broadcast: T is 2 (left) and 8 (right); C is 8 (left) and 5 "
        f"(right){RULE}; did you mean left[:, :, None]?\n"
        "    left        T=2  C=8\n"
        "    right  B=2  T=8  C=5\n"
        "                ^^^  ^^^",
    ),
    "where": (
        lambda: F.where(mask(2, 3), ones(2, 4), 1.0),
        f"where: shapes (2, 3), (2, 4) and () do not broadcast: axis -1 is 3 (condition) and 4 (a){RULE}\n"
        "    condition  2  3\n"
        "    a          2  4\n"
        "                  ^",
    ),
    "linear": (
        lambda: F.linear(ones(2, 8, 32), ones(64, 5)),
        "linear: x (B=2, T=8, C=32) and weight (in=64, out=5): the last axis of x must have length in = 64, C is 32",
    ),
    "linear, weight transposed": (
        lambda: nn.Linear(64, 32)(ones(2, 8, 32)),
        "linear: x (B=2, T=8, C=32) and weight (in=64, out=32): the last axis of x must have length in = 64, C is 32; "
        "weight is (in, out), was it given transposed? weight.T fits",
    ),
    "linear, x transposed": (
        lambda: F.linear(ones(3, 7), ones(3, 4)),
        "linear: x (N=3, C=7) and weight (in=3, out=4): the last axis of x must have length in = 3, C is 7; did you "
        "mean x.swapaxes(-1, -2)?",
    ),
    "linear, the other order": (
        lambda: nn.Embedding(9, 4).scores(ones(2, 3)),
        "linear: x (N=2, C=3) and weight (out=9, in=4): the last axis of x must have length in = 4, C is 3",
    ),
    "layer_norm": (
        lambda: nn.LayerNorm(16)(ones(2, 8, 32)),
        "layer_norm: weight has shape (16,), x (B=2, T=8, C=32) needs (C,) = (32,)",
    ),
    "embedding, out of range": (
        lambda: nn.Embedding(3, 2)(np.array([[0, 1], [2, 3]])),
        "embedding: id 3 at index (1, 1) is outside 0 … 2 (V = 3 rows); was the text encoded with another tokenizer "
        "than the model's?",
    ),
    "embedding, float ids": (
        lambda: nn.Embedding(3, 2)(np.array([0.0, 1.0])),
        "embedding: ids must be integers, got dtype float64; ids come from a tokenizer, which gives integers; whole "
        "numbers are cast with x.astype(int)",
    ),
    "targets flat, logits not": (
        lambda: F.cross_entropy(L, np.ones(16, int)), f"{LOGITS}(16,); did you mean targets.reshape(2, 8)?",
    ),
    "logits flat, targets not": (
        lambda: F.cross_entropy(L.reshape(16, 11), np.ones((2, 8), int)),
        "cross_entropy: logits (N=16, V=11) need targets (N=16,), the same shape without the last axis; got (2, 8); "
        "did you mean targets.reshape(-1)?",
    ),
    "targets one-hot": (
        lambda: F.cross_entropy(L, L),
        f"{LOGITS}(2, 8, 11); targets are class numbers, of one-hot rows: targets.argmax(axis=-1)",
    ),
    "classes in the middle": (
        lambda: F.cross_entropy(np.ones((2, 11, 8)), np.ones((2, 8), int)),
        "cross_entropy: logits (B=2, T=11, V=8) need targets (B=2, T=11), the same shape without the last axis; got "
        "(2, 8); the classes come last here: did you mean logits.swapaxes(1, 2)?",
    ),
    "targets of another length": (lambda: F.cross_entropy(L, np.ones((2, 7), int)), f"{LOGITS}(2, 7)"),
    "float targets": (
        lambda: F.cross_entropy(L, np.ones((2, 8))),
        "cross_entropy: targets must be integers, got dtype float64; they are numbers of classes; whole numbers are "
        "cast with x.astype(int)",
    ),
    "target out of range": (
        lambda: F.cross_entropy(L, np.full((2, 8), 11)),
        "cross_entropy: target 11 at index (0, 0) is outside 0 … 10 (V = 11 classes, and it is not ignore_index -100); "
        "was the text encoded with another tokenizer than the model's?",
    ),
    "attention, an axis too few": (
        lambda: attend(Q[0], Q, Q),
        "attention: q has shape (4, 8, 16), needs four axes (B, H, T, D); one head: q[:, None], one sequence: q[None]",
    ),
    "attention, heads": (
        lambda: attend(Q, Q[:, :2], Q),
        "attention: q (B=2, H=4, T=8, D=16), k (B=2, H=2, T=8, D=16), v (B=2, H=4, T=8, D=16) must agree on axis H, "
        "which is 4, 2, 4",
    ),
    "attention, values": (
        lambda: attend(Q, Q, Q[:, :, :3]),
        "attention: there must be a value for each key, got k (B=2, H=4, T=8, D=16) and v (B=2, H=4, T=3, D=16): 8 "
        "keys, 3 values",
    ),
    "attention, a mask of padding": (
        lambda: attend(Q, Q, Q, mask=mask(2, 8)),
        f"attention: shapes (2, 8) and (2, 4, 8, 8) do not broadcast: Tq is 2 (mask) and 8 (scores){RULE}; for each "
        "row of the batch: mask[:, None, None, :]\n"
        "    mask              Tq=2  Tk=8\n"
        "    scores  B=2  H=4  Tq=8  Tk=8\n"
        "                      ^^^^",
    ),
    "attention, a mask without heads": (
        lambda: attend(Q, Q, Q, mask=mask(2, 8, 8)),
        f"attention: shapes (2, 8, 8) and (2, 4, 8, 8) do not broadcast: H is 2 (mask) and 4 (scores){RULE}; for all "
        "heads: mask[:, None]\n"
        "    mask         H=2  Tq=8  Tk=8\n"
        "    scores  B=2  H=4  Tq=8  Tk=8\n"
        "                 ^^^",
    ),
    "attention, a mask that is larger": (
        lambda: attend(Q, Q, Q, mask=mask(7, 2, 4, 8, 8)),
        "attention: mask (7, 2, 4, 8, 8) must broadcast to (B=2, H=4, Tq=8, Tk=8), and is larger",
    ),
    "attention, packed": (
        lambda: F.self_attention(ones(1, 3, 10), 2),
        "attention: qkv is (B=1, T=3, 3C=10), needs (B, T, 3C) with C divisible by 2 heads",
    ),
    "heads that do not divide": (
        lambda: nn.MultiHeadAttention(64, 5),
        "n_embd 64 is not divisible by n_head 5: each head gets n_embd / n_head channels; n_head could be 4",
    ),
    "attention layer, one sequence": (
        lambda: nn.MultiHeadAttention(8, 2)(ones(5, 8)),
        "attention: x has shape (5, 8), needs (B, T, C) with C = n_embd = 8; one sequence: x[None]",
    ),
    "lstm": (
        lambda: nn.LSTM(64, 3)(ones(2, 8, 32)),
        "LSTM: x has shape (B=2, T=8, C=32), needs (B, T, C) with C = input_size = 64",
    ),
    "concatenate, another axis fits": (
        lambda: mg.concatenate([ones(2, 3, 4), ones(2, 5, 4)]),
        "concatenate along axis 0: array 0 has shape (B=2, T=3, C=4), array 1 has (B=2, T=5, C=4): T is 3 and 5; all "
        "axes but axis 0 must agree; along axis 1 they fit",
    ),
    "concatenate, no axis fits": (
        lambda: mg.concatenate([ones(2, 3), ones(4, 5)], axis=1),
        "concatenate along axis 1: array 0 has shape (2, 3), array 1 has (4, 5): axis 0 is 2 and 4; all axes but axis "
        "1 must agree",
    ),
    "concatenate, an axis too few": (
        lambda: mg.concatenate([ones(2, 3), ones(3)]),
        "concatenate along axis 0: array 0 has shape (2, 3), array 1 has (3,): they have 2 and 1 axes; all axes but "
        "axis 0 must agree",
    ),
    "stack": (
        lambda: mg.stack([ones(2, 3), ones(2, 4)]),
        "stack: tensor 0 has shape (2, 3), tensor 1 has (2, 4); all must be equal: stack makes a new axis, concatenate "
        "joins along one that is there",
    ),
    "reshape": (
        lambda: ones(2, 8, 32).reshape(2, 8, 5, 6),
        "reshape: 512 elements of shape (B=2, T=8, C=32) do not fit into shape (2, 8, 5, 6), which holds 480",
    ),
    "reshape, one axis is wrong": (
        lambda: ones(2, 8, 32).reshape(2, 7, 32),
        "reshape: 512 elements of shape (B=2, T=8, C=32) do not fit into shape (2, 7, 32), which holds 448; axis 1 "
        "would have to be 8",
    ),
    "index": (
        lambda: ones(2, 8, 32)[..., ::2, None, 40],
        "index [..., ::2, None, 40] does not fit an array of shape (B=2, T=8, C=32): index 40 is out of bounds for "
        "axis 2 with size 32",
    ),
    "index array": (
        lambda: ones(2, 8)[np.array([0, 5]), 1:],
        "index [int64 (2,), 1:] does not fit an array of shape (2, 8): index 5 is out of bounds for axis 0 with size 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_whole_message(name):
    make, message = CASES[name]
    with pytest.raises((mg.ShapeError, mg.ArgumentError)) as caught:
        make()
    assert str(caught.value) == message
    assert caught.value.__context__ is None or caught.value.__suppress_context__  # one error, not two


@pytest.mark.parametrize(
    ("call", "fixed"),
    [
        (lambda: ones(2, 8, 32) @ ones(16, 32).T, (2, 8, 16)),
        (lambda: Q @ ones(2, 4, 5, 16).swapaxes(-1, -2), (2, 4, 8, 5)),
        (lambda: ones(4, 8) * ones(4)[:, None], (4, 8)),
        (lambda: ones(2, 8)[:, :, None] - ones(2, 8, 5), (2, 8, 5)),
        (lambda: F.linear(ones(2, 8, 32), ones(64, 32).T), (2, 8, 64)),
        (lambda: F.linear(ones(3, 7).swapaxes(-1, -2), ones(3, 4)), (7, 4)),
        (lambda: attend(Q, Q, Q, mask=mask(2, 8)[:, None, None, :]), (2, 4, 8, 16)),
        (lambda: attend(Q, Q, Q, mask=mask(2, 8, 8)[:, None]), (2, 4, 8, 16)),
        (lambda: mg.concatenate([ones(2, 3, 4), ones(2, 5, 4)], axis=1), (2, 8, 4)),
        (lambda: F.cross_entropy(np.ones((2, 11, 8)).swapaxes(1, 2), np.ones((2, 8), int), reduction="none"), (2, 8)),
    ],
)
def test_what_is_proposed_works(call, fixed):
    assert call().shape == fixed


def test_names():
    assert named((2, 8, 32)) == "(B=2, T=8, C=32)"
    assert named((2, 8)) == "(2, 8)"
    assert named((5, 2, 3), "in out") == "(5, in=2, out=3)"
    assert named((3,), "in out") == "(out=3,)"
    assert (named(()), rows(()), rows((4,))) == ("()", "()", "(C=4,)")
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert (broadcast_or_none((2, 1), (3,)), broadcast_or_none((2,), (3,))) == ((2, 3), None)
