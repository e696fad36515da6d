"""The cpu row as a whole: a GPT on it is the GPT of the numpy row, forward, backward, in training and generating."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig
from minigpt.randomness import dropout_keys
from minigpt.training import TrainConfig, Trainer

V, T = 17, 70  # one token more than fits into an attention tile of 64, and then some


def model_of(dtype=np.float32, **changes):
    shape = {"vocab_size": V, "block_size": T, "n_layer": 2, "n_head": 3, "n_embd": 12, **changes}
    model = GPT(GPTConfig(**shape), seed=1)
    rng = np.random.default_rng(2)
    for p in model.parameters():  # away from zeros and ones, so that biases and scales take part
        p.data += rng.normal(size=p.shape).astype(np.float32) * 0.2
    return model.astype(dtype)


def run(row, model, ids, targets):
    """logits, loss and all gradients"""
    with mg.use(row), dropout_keys(seed=3, step=7, first_example=5):
        model.zero_grad()
        logits, loss = model(ids, targets)
        loss.backward()
    return [logits.numpy(), loss.numpy(), *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("length", [1, 5, T])
def test_logits_loss_and_every_gradient(length, bias, dropout, dtype, agree, rng):
    model = model_of(dtype, dropout=dropout, bias=bias)
    ids, targets = rng.integers(0, V, (2, 3, length))
    targets[0, : length // 2] = -100
    wanted = run("numpy", model, ids, targets)
    ours = run("cpu", model, ids, targets)
    names = ["logits", "loss", *(name for name, _ in model.named_parameters())]
    # a gradient may cancel (that of a bias before a softmax does): then it is as small as the others are exact
    floor = 0.1 * max(np.abs(g).max() for g in wanted[2:])
    for name, a, b in zip(names, ours, wanted, strict=True):
        agree(a, b, 1e-5 if dtype == np.float32 else 1e-10, name, floor if name not in ("logits", "loss") else 0.0)


def test_padding_and_cross_attention(agree, rng):
    attention = mg.nn.MultiHeadAttention(12, 3, causal=True, dropout=0.2, rng=0)
    x, context = rng.normal(size=(2, 4, 9, 12)).astype(np.float32)
    lengths = np.array([9, 4, 1, 0])
    padding = (np.arange(9) < lengths[:, None])[:, None, None, :]  # (B, 1, 1, Tk); one example is padding alone
    for other in (None, context[:, :6]):
        mask = padding if other is None else padding[..., :6]
        results = []
        for row in ("numpy", "cpu"):
            attention.zero_grad()
            leaf = mg.Tensor(x, requires_grad=True)
            with mg.use(row), dropout_keys(1, 2):
                y = attention(leaf, other, mask=mask)
                (y * y).sum().backward()
            results.append([y.numpy(), leaf.grad, *(p.grad for p in attention.parameters())])
        for a, b in zip(results[1], results[0], strict=True):
            agree(a, b, floor=1e-2)


def test_captured_attention_equals_the_fused_kernel(agree, rng):
    attention = mg.nn.MultiHeadAttention(12, 3, causal=True, rng=0)
    x = rng.normal(size=(2, 67, 12)).astype(np.float32)
    with mg.use("cpu"):
        fused = attention(mg.Tensor(x))
        parts, weights = attention(mg.Tensor(x), return_weights=True)
    agree(fused.numpy(), parts.numpy())
    np.testing.assert_allclose(weights.numpy().sum(-1), 1, rtol=1e-5)


X = np.sin(np.arange(24.0)).reshape(4, 6)
W, WIDE = np.cos(np.arange(30.0)).reshape(6, 5), np.sin(np.arange(24.0) * 1.3).reshape(1, 2, 3, 4)
IDS, MASK = np.array([2, 0, 2, -100]), np.array([[1, 1, 1], [0, 0, 0], [1, 0, 1]], bool)
FUSED = {
    "gelu": (F.gelu, X),
    "softmax": (F.softmax, X),
    "softmax over rows": (lambda x: F.softmax(x, 0), X),
    "log_softmax": (F.log_softmax, X),
    "linear": (F.linear, X, W, W[0]),
    "linear_gelu": (F.linear_gelu, X, W, W[0]),
    "bias_residual": (F.bias_residual, X, X[0] + 1, X + 2),
    "layer_norm": (F.layer_norm, X, X[0] + 1, X[1]),
    "embedding": (lambda w: F.embedding(np.array([[1, 3], [1, 0]]), w), X),
    "cross_entropy": (lambda x: F.cross_entropy(x, IDS), X),
    "cross_entropy, smoothed": (lambda x: F.cross_entropy(x, IDS, reduction="none", label_smoothing=0.2), X),
    "dropout": (lambda x: F.dropout(x, 0.4, 5), X),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True), WIDE, WIDE + 1, WIDE * 2),
    "attention, all": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, MASK, True, 0.3, 0.7, 5), WIDE, WIDE + 1,
                       WIDE * 2),
    "self_attention": (lambda x: F.self_attention(x, 2, MASK, dropout_p=0.3, rng=5), np.sin(np.arange(36.0) * 0.7)
                       .reshape(1, 3, 12)),
    "matmul": (lambda a, b: a @ b, X, W),
}  # fmt: skip


@pytest.mark.parametrize("name", FUSED)
def test_finite_differences(name):
    function, *inputs = FUSED[name]
    with mg.use("cpu"):
        assert mg.gradcheck(function, inputs)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("workers", [1, 2])
def test_thirty_steps_of_training(workers):
    text = np.random.default_rng(0).integers(0, V, 3000)
    text[1::2] = (text[::2] * 3 + 1) % V  # half of it can be learnt
    losses = {}
    for row in ("numpy", "cpu"):
        model = GPT(GPTConfig(V, 16, n_layer=2, n_head=2, n_embd=16, dropout=0.1), seed=0)
        config = TrainConfig(steps=30, batch_size=8, lr=1e-2, min_lr=1e-3, warmup=5, weight_decay=0.1, grad_clip=0.5,
                             accumulate=2, backend=row, workers=workers, progress=False)  # fmt: skip
        trainer = Trainer(model, TokenData(text[:2500], text[2500:]), config)
        losses[row] = np.append([trainer.step() for _ in range(30)], trainer.evaluate())
    np.testing.assert_allclose(losses["cpu"], losses["numpy"], rtol=1e-3)
    assert losses["cpu"][-1] < losses["cpu"][0] - 0.3


def test_greedy_generation_is_that_of_the_numpy_row():
    model = model_of(block_size=20)
    prompt = np.array([[1, 2, 3], [4, 5, 6]])
    texts = []
    for row in ("numpy", "cpu"):
        for use_cache in (True, False):
            with mg.use(row):
                texts.append(model.generate(prompt, 15, temperature=0, use_cache=use_cache))
    for text in texts[1:]:
        np.testing.assert_array_equal(text, texts[0])


def test_sampling_draws_the_same_tokens():
    model = model_of(block_size=20)
    prompt = np.array([[1, 2, 3]])
    with mg.use("numpy"):
        wanted = model.generate(prompt, 15, temperature=0.8, top_k=5, seed=4)
    with mg.use("cpu"):
        np.testing.assert_array_equal(model.generate(prompt, 15, temperature=0.8, top_k=5, seed=4), wanted)


def test_backward_uses_the_row_of_forward(agree, rng):
    """A graph built on one row and walked while another is in use."""
    x = rng.normal(size=(3, 5)).astype(np.float32)
    grads = []
    for forward, backward in (("numpy", "cpu"), ("cpu", "numpy"), ("numpy", "numpy")):
        leaf = mg.Tensor(x, requires_grad=True)
        with mg.use(forward):
            loss = (F.gelu(F.layer_norm(leaf)) * leaf).sum()
        with mg.use(backward):
            loss.backward()
        grads.append(leaf.grad)
    agree(grads[0], grads[2])
    agree(grads[1], grads[2])


def test_a_parameter_in_fortran_order_learns():
    """Weights that were read in and transposed, as PyTorch's are, lie column by column."""
    losses = {}
    for row in ("numpy", "cpu"):
        with mg.use(row):
            weight = mg.Tensor(np.asfortranarray(np.float32(W)), requires_grad=True)
            optimizer = mg.optim.AdamW([weight], lr=0.1)
            for _ in range(5):
                optimizer.zero_grad()
                loss = (F.linear(np.float32(X), weight) - 1.0).exp().mean()
                loss.backward()
                optimizer.step()
            losses[row] = loss.item()
    assert losses["cpu"] == pytest.approx(losses["numpy"], rel=1e-4)
