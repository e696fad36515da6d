"""Values replaced on the way: nothing replaced changes nothing, everything replaced is the other run."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.inspect import ablate, capture, hooked, patch, patching_grid, run_with_hooks
from minigpt.models import (
    GPT,
    EncoderConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
    GPTConfig,
    MaskedLM,
    RecurrentConfig,
    RecurrentLM,
)

ROWS = [name for name, there in mg.backends().items() if there is True]
IDS = np.array([[1, 5, 2, 7, 3]])
OTHER = np.array([[4, 4, 9, 0, 6]])


@pytest.fixture(params=ROWS)
def model(request):
    with mg.use(request.param):
        yield GPT(GPTConfig(vocab_size=11, block_size=6, n_layer=2, n_head=2, n_embd=8), seed=3)


def logits(model, ids=IDS):
    with model.evaluating():
        return model(ids)[0].numpy()


def test_captured_weights_are_those_of_captured_q_and_k(model):
    with model.evaluating(), capture(model) as acts:
        model(IDS)
    for layer in range(2):
        q, k, weights = (acts[f"h.{layer}.attn.{name}"] for name in ("q", "k", "weights"))
        scores = q.astype(np.float64) @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        e = np.exp(scores) * np.tri(5)
        np.testing.assert_allclose(weights, e / e.sum(axis=-1, keepdims=True), atol=1e-6)


def test_ablating_nothing_changes_nothing(model):
    before = logits(model)
    with ablate(model):
        np.testing.assert_array_equal(logits(model), before)
    with hooked(model, {"*": lambda value, name: None}):
        np.testing.assert_allclose(logits(model), before, atol=1e-6)  # in parts: other roundings on the cpu row


def test_ablating_a_head_is_zeroing_its_rows_of_c_proj(model):
    with ablate(model, heads=[(1, 0)]):
        ablated = logits(model)
    model.h[1].attn.c_proj.weight.data[:4] = 0
    np.testing.assert_allclose(ablated, logits(model), atol=1e-6)


def test_ablating_an_mlp_is_leaving_it_out(model):
    with ablate(model, mlps=[0]):
        ablated = logits(model)
    model.h[0].mlp.c_proj.weight.data[:] = 0
    model.h[0].mlp.c_proj.bias.data[:] = 0
    np.testing.assert_allclose(ablated, logits(model), atol=1e-6)


def test_a_mean_is_that_of_the_reference(model):
    reference = np.array([[1, 2, 3], [4, 5, 6]])
    with capture(model, ["h.0.mlp", "h.1.attn.heads"], copy=True) as acts, model.evaluating():
        model(reference)
    with ablate(model, heads=[(1, 1)], mlps=[0], how="mean", reference=reference), capture(model) as seen:
        logits(model)
    mean = acts["h.0.mlp"].mean(axis=(0, 1))
    np.testing.assert_allclose(
        seen["h.0"] - seen["h.0.attn"] - seen["wte"] - seen["wpe"], mean + 0 * seen["h.0"], atol=1e-5
    )
    model.h[1].attn.c_proj.bias.data[:] = 0  # what is left of the attention is head 0, and the mean of head 1
    with ablate(model, heads=[(1, 0), (1, 1)], how="mean", reference=reference), capture(model) as seen:
        logits(model)
    both = acts["h.1.attn.heads"].mean(axis=(0, 2)).reshape(-1) @ model.h[1].attn.c_proj.weight.numpy()
    np.testing.assert_allclose(seen["h.1.attn"], both + 0 * seen["h.1.attn"], atol=1e-5)


def test_everything_patched_is_the_other_output(model):
    with model.evaluating(), capture(model, copy=True) as acts:
        model(OTHER)
    other = acts["output"]
    for names in ("*", "h.1", ["h.0"], ["wte", "wpe"]):
        with patch(model, acts, names):
            np.testing.assert_allclose(logits(model), other, atol=1e-6)
    with patch(model, acts, "h.*.attn.q"):
        assert not np.allclose(logits(model), other, atol=1e-4)
    with patch(model, acts, "h.0", positions=[2]):
        patched = logits(model)
    np.testing.assert_allclose(patched[0, :2], logits(model)[0, :2], atol=1e-6)  # causal: the past does not see it
    assert not np.allclose(patched[0, 2:], logits(model)[0, 2:], atol=1e-4)


def test_a_grid_of_patches(model):
    metric = lambda out: out[-1, 3] - out[-1, 8]  # noqa: E731
    found = patching_grid(model, OTHER[0], IDS[0], metric)
    assert found.values.shape == (2, 5)
    assert found.clean == pytest.approx(metric(logits(model, OTHER)[0]), abs=1e-6)
    assert found.corrupted == pytest.approx(metric(logits(model)[0]), abs=1e-6)
    np.testing.assert_allclose(
        found.values[1, :-1], found.corrupted, atol=1e-5
    )  # after the last block nobody reads them
    assert found.restored[1, -1] == pytest.approx(1.0, abs=1e-4)
    heads = patching_grid(model, OTHER[0], IDS[0], metric, what="heads")
    assert heads.values.shape == (2, 2)
    assert not np.allclose(heads.values, found.corrupted)


def test_hooks_have_gradients_and_may_change_attention(model):
    def even(value, name):
        T = value.shape[-1]
        return np.broadcast_to(np.tri(T) / np.arange(1, T + 1)[:, None], value.shape)

    with capture(model, "h.0.attn.*", copy=True) as acts:
        run_with_hooks(model, IDS, hooks={"h.0.attn.weights": even})
    v = acts["h.0.attn.v"]
    np.testing.assert_allclose(acts["h.0.attn.heads"][:, :, -1], v.mean(axis=2), rtol=1e-5)
    _, loss = run_with_hooks(model, IDS, IDS, hooks={"h.1.mlp": lambda value, name: value * 2.0})
    loss.backward()
    assert np.abs(model.h[1].mlp.c_fc.weight.grad).max() > 0


MODELS = {
    "encoder-decoder": (
        lambda: EncoderDecoder(EncoderDecoderConfig(9, 8, 1, 2, 4, start_id=0, end_id=1)), ((IDS % 9, IDS % 9)),
        ["encoder.0.attn.weights", "decoder.0.attn.weights", "decoder.0.cross.weights", "output"],
    ),
    "masked": (lambda: MaskedLM(EncoderConfig(11, 8, 1, 2, 4)), (IDS,), ["encoder.h.0.attn.weights"]),
    "recurrent": (lambda: RecurrentLM(RecurrentConfig(11, 2, 4)), (IDS,), ["wte", "output"]),
}  # fmt: skip


@pytest.mark.parametrize("family", MODELS)
def test_every_family_has_names(family):
    make, args, wanted = MODELS[family]
    model = make()
    with model.evaluating(), capture(model) as acts:
        model(*args)
    for name in wanted:
        if "attn.weights" in name:
            np.testing.assert_allclose(acts[name].sum(axis=-1), 1, rtol=1e-5)
        assert acts[name].shape[0] == 1


def test_wrong_names_list_the_nearest(model):
    with pytest.raises(mg.ArgumentError, match=r"'h.0.attn.weight'; nearest: h\.0\.attn\.weights"):
        run_with_hooks(model, IDS, hooks={"h.0.attn.weight": lambda value, name: None})
    with pytest.raises(mg.ArgumentError, match=r"no Multi.* 5; there are 0 \(h\.0\.attn\), 1"), ablate(model, [(5, 0)]):
        pass
    with pytest.raises(mg.ArgumentError, match="heads 0 to 1, got 2"), ablate(model, [(0, 2)]):
        pass
    with (
        pytest.raises(mg.ArgumentError, match="was the model called"),
        hooked(model, {"h.0": lambda value, name: None}),
    ):
        pass
    with pytest.raises(mg.ShapeError, match=r"gave shape \(3,\) in place of"):
        run_with_hooks(model, IDS, hooks={"h.0": lambda value, name: np.ones(3)})
    with pytest.raises(mg.ArgumentError, match="reference"), ablate(model, [(0, 0)], how="mean"):
        pass
    with capture(model) as acts:
        model(OTHER[:, :3])
    with pytest.raises(mg.ShapeError, match="use equal lengths"), patch(model, acts, "h.0"):
        model(IDS)


def test_an_exception_in_a_hook_leaves_the_model_as_it_was(model):
    before = logits(model)

    def fails(value, name):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_with_hooks(model, IDS, hooks={"h.0": fails})
    np.testing.assert_array_equal(logits(model), before)
