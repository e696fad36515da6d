"""capture: activations by name, the same numbers as without it, and nothing left behind."""

import numpy as np
import pytest

from minigpt import functional as F
from minigpt import nn
from minigpt.errors import ArgumentError, ShapeError
from minigpt.inspect import capture
from minigpt.inspect.capture import attention_weights
from minigpt.models import GPT, GPTConfig
from minigpt.observe import OBSERVERS
from minigpt.randomness import dropout_keys
from minigpt.tensor import no_grad

B, T, C, H, V = 2, 5, 12, 3, 7
D = C // H
PARTS = ("q", "k", "v", "scores", "weights", "heads")


def new_model(seed=0, dropout=0.0, n_layer=2):
    return GPT(GPTConfig(vocab_size=V, block_size=8, n_layer=n_layer, n_head=H, n_embd=C, dropout=dropout), seed=seed)


@pytest.fixture
def model():
    gpt = new_model()
    rng = np.random.default_rng(1)
    for p in gpt.parameters():  # larger than at the start, so that attention is not nearly uniform
        p.data += rng.normal(scale=0.3, size=p.shape).astype(np.float32)
    return gpt


@pytest.fixture
def ids():
    return np.random.default_rng(2).integers(0, V, (B, T))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_names_and_shapes(model, ids):
    with capture(model) as acts:
        model(ids)
    modules = {name or "output" for name, module in model.named_modules() if not isinstance(module, nn.ModuleList)}
    labels = {f"h.{i}.attn.{part}" for i in range(2) for part in PARTS} | {f"h.{i}.mlp.hidden" for i in range(2)}
    labels |= {"h.0.mid", "h.1.mid"}
    assert set(acts) == modules | labels
    for name in labels:
        last = {"scores": (H, T, T), "weights": (H, T, T), "hidden": (T, 4 * C), "mid": (T, C)}.get(
            name.split(".")[-1], (H, T, D)
        )
        assert acts[name].shape == (B, *last), name
    assert acts["h.1.attn"].shape == acts["ln_f"].shape == (B, T, C)
    assert acts["output"].shape == (B, T, V)
    assert all(type(array) is np.ndarray for array in acts.values())
    order = list(acts)
    assert order.index("h.0.attn.weights") < order.index("h.0") < order.index("h.1.attn.q") < order.index("output")


def test_weights_are_causal_and_sum_to_1(model, ids):
    with capture(model) as acts:
        model(ids)
    for i in range(2):
        weights = acts[f"h.{i}.attn.weights"]
        np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-6)
        assert (weights[..., ~np.tri(T, dtype=bool)] == 0).all()
        assert (weights[..., np.tri(T, dtype=bool)] > 0).all()
        assert weights.std() > 0.1  # this model's attention is no trivial one


def test_weights_and_heads_by_hand_from_q_k_v(model, ids):
    with capture(model) as acts:
        model(ids)
    for i in range(2):
        q, k, v, scores, weights, heads = (acts[f"h.{i}.attn.{part}"].astype(np.float64) for part in PARTS)
        by_hand = q @ k.swapaxes(-1, -2) / np.sqrt(D)
        np.testing.assert_allclose(scores, by_hand, atol=1e-5)
        masked = np.where(np.tri(T, dtype=bool), by_hand, -np.inf)
        np.testing.assert_allclose(weights, softmax(masked), atol=1e-6)
        np.testing.assert_allclose(heads, weights @ v, atol=1e-5)


def test_the_stream_before_within_and_after_a_block(model, ids):
    with capture(model) as acts:
        model(ids)
    np.testing.assert_allclose(acts["drop"], acts["wte"] + acts["wpe"], rtol=1e-6)
    for before, block in (("drop", "h.0"), ("h.0", "h.1")):
        np.testing.assert_allclose(acts[f"{block}.mid"], acts[before] + acts[f"{block}.attn"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(acts[block], acts[f"{block}.mid"] + acts[f"{block}.mlp"], rtol=1e-5, atol=1e-6)


def test_q_k_v_are_the_thirds_of_c_attn(model, ids):
    with capture(model) as acts:
        model(ids)
    packed = acts["h.0.attn.c_attn"].reshape(B, T, 3, H, D)
    for j, part in enumerate("qkv"):
        np.testing.assert_array_equal(acts[f"h.0.attn.{part}"], packed[:, :, j].swapaxes(1, 2))


@pytest.mark.parametrize("training", [False, True])
def test_captured_and_fused_agree_in_outputs_and_gradients(ids, training):
    """In training the same dropout masks are drawn, whether attention runs fused or in parts."""
    targets = np.roll(ids, -1, axis=1)
    results = []
    for fused in (True, False):
        model = new_model(dropout=0.4).train(training)
        model.astype(np.float64)
        with dropout_keys(seed=3, step=0):
            if fused:
                logits, loss = model(ids, targets)
            else:
                with capture(model):
                    logits, loss = model(ids, targets)
        loss.backward()
        results.append({"logits": logits.numpy(), **{n: p.grad for n, p in model.named_parameters()}})
    for name, array in results[0].items():
        np.testing.assert_allclose(results[1][name], array, rtol=1e-9, atol=1e-12, err_msg=name)


def test_weights_are_those_before_dropout(ids):
    model = new_model(dropout=0.5).train()
    with capture(model, "h.*.attn.weights") as acts:
        model(ids)
    np.testing.assert_allclose(acts["h.0.attn.weights"].sum(-1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("h.*.attn.weights", {"h.0.attn.weights", "h.1.attn.weights"}),
        ("h.0.attn.weights", {"h.0.attn.weights"}),
        (["output", "h.?.mlp"], {"output", "h.0.mlp", "h.1.mlp"}),
        (("h.1.attn.[qk]",), {"h.1.attn.q", "h.1.attn.k"}),
        ([], set()),
        ("nothing.*", set()),
    ],
)
def test_wildcards(model, ids, names, expected):
    with capture(model, names) as acts:
        model(ids)
    assert set(acts) == expected


def test_a_later_run_replaces_and_the_dict_stays_after_the_block(model, ids):
    with capture(model, "output") as acts:
        model(ids)
        first = acts["output"]
        logits, _ = model(ids[:1])
    assert first.shape == (B, T, V)
    np.testing.assert_array_equal(acts["output"], logits.numpy())
    model(ids)
    assert acts["output"].shape == (1, T, V)  # not observed any more


def test_a_wrong_name_lists_the_nearest(model, ids):
    with capture(model) as acts:
        model(ids)
    with pytest.raises(ArgumentError, match=r"'h\.0\.attn\.weight' .*nearest: h\.0\.attn\.weights"):
        acts["h.0.attn.weight"]
    assert "h.0.attn.weight" not in acts
    assert acts.get("h.0.attn.weight") is None


def test_a_name_like_no_other_is_not_blamed_on_a_missing_call(model, ids):
    with capture(model) as acts:
        model(ids)
    with pytest.raises(ArgumentError) as error:
        acts["zzz"]
    assert "nothing was recorded" not in str(error.value)


def test_without_a_call_it_says_so(model):
    with capture(model) as acts:
        pass
    with pytest.raises(ArgumentError, match="was the model called"):
        acts["output"]


def test_another_model_leaves_no_trace(model, ids):
    """Neither its modules nor what they label: "weights" without a module's name would be the other model's."""
    other = new_model(seed=9)
    with capture(model) as acts:
        other(ids)
    assert acts == {}
    with capture(model) as acts:
        model(ids)
        before = {name: array.copy() for name, array in acts.items()}
        other(ids)
    assert acts.keys() == before.keys()
    for name in before:
        np.testing.assert_array_equal(acts[name], before[name])


def test_an_error_in_the_model_leaves_nothing_switched_on(model, ids):
    too_long = np.zeros((1, 99), int)
    with pytest.raises(ShapeError), capture(model):
        model(too_long)
    assert OBSERVERS.get() == ()
    with capture(model) as acts:
        model(ids)
    assert "h.0.attn.weights" in acts


def test_an_error_inside_does_not_shift_the_names(model):
    """A module that failed and was caught must not stay the parent of what is computed next."""
    x = np.ones((1, H, 2, D), np.float32)
    with capture(model) as acts:
        with pytest.raises(ShapeError):
            model.h[0](np.zeros((1, 2, C + 1), np.float32))
        F.attention_with_weights(x, x, x)
    assert not [name for name in acts if name.startswith("h.")]


def test_captures_nest(model, ids):
    with capture(model, "output") as outer, capture(model, "h.0.attn.weights") as inner:
        model(ids)
    assert (set(outer), set(inner)) == ({"output"}, {"h.0.attn.weights"})


def test_a_single_module_can_be_captured():
    attention = nn.MultiHeadAttention(C, H, causal=False, rng=0)
    x = np.random.default_rng(0).normal(size=(B, T, C)).astype(np.float32)
    with capture(attention) as acts:
        y, weights = attention(x, return_weights=True)
    assert set(acts) == {*PARTS, "c_attn", "c_proj", "output"}
    np.testing.assert_array_equal(acts["weights"], weights.numpy())
    np.testing.assert_array_equal(acts["output"], y.numpy())
    q, k = acts["q"], acts["k"]
    np.testing.assert_allclose(acts["weights"], softmax(q @ k.swapaxes(-1, -2) / np.sqrt(D)), atol=1e-6)


def test_while_generating_the_weights_are_of_the_newest_token(model):
    with capture(model, "h.1.attn.weights") as acts:
        model.generate(np.array([[1, 2]]), 3, seed=0)
    assert acts["h.1.attn.weights"].shape == (1, H, 1, 4)  # the last of 3 new tokens is chosen from 4 tokens


@pytest.mark.parametrize("training", [True, False])
def test_attention_weights_of_one_sequence(ids, training):
    model = new_model(dropout=0.5).train(training)
    weights = attention_weights(model, ids[0])
    assert weights.shape == (2, H, T, T)
    assert model.training is training
    model.eval()
    with no_grad(), capture(model) as acts:
        model(ids[:1])
    np.testing.assert_array_equal(weights[1], acts["h.1.attn.weights"][0])
    x = F.layer_norm(acts["h.0"], model.h[1].ln_1.weight, model.h[1].ln_1.bias)
    np.testing.assert_allclose(model.h[1].attn(x, return_weights=True)[1].numpy()[0], weights[1], atol=1e-6)
