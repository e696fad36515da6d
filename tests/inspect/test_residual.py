"""The residual stream: its parts add up, its last reading is the model's own, shares add up to the logit."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.inspect import capture, decompose, logit_attribution, logit_lens, neuron_breakdown
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM

ROWS = [name for name, there in mg.backends().items() if there is True]
IDS = np.array([1, 5, 2, 7, 3])


@pytest.fixture(params=[(row, bias, heads) for row in ROWS for bias, heads in ((True, 2), (False, 1))], ids=str)
def model(request):
    row, bias, heads = request.param
    with mg.use(row):
        made = GPT(GPTConfig(11, 6, 2, heads, 8, bias=bias), seed=3)
        rng = np.random.default_rng(0)
        for p in made.parameters():  # biases and norms too are something
            p.data[:] = rng.normal(0, 0.5, p.shape)
        yield made


def run(model, ids=IDS):
    with model.evaluating(), capture(model) as acts:
        model(ids[None])
    return acts


@pytest.mark.parametrize("ids", [IDS, IDS[:1]])
def test_the_parts_add_up_to_the_stream(model, ids):
    found = decompose(model, ids)
    assert found.parts.shape == (len(found.names), len(ids), 8)
    scale = np.abs(found.residual).max()
    np.testing.assert_allclose(found.parts.sum(axis=0), found.residual, atol=1e-5 * scale)
    np.testing.assert_allclose(found.residual, run(model, ids)["h.1"][0], atol=1e-5 * scale)
    heads = [part for name, part in zip(found.names, found.parts, strict=True) if name.startswith("h.0.attn")]
    np.testing.assert_allclose(sum(heads), run(model, ids)["h.0.attn"][0], atol=1e-5 * scale)


def test_the_lens_at_the_last_layer_is_the_logits(model):
    lens = logit_lens(model, IDS)
    with model.evaluating():
        np.testing.assert_allclose(lens.logits[-1], model(IDS[None])[0].numpy()[0], atol=1e-5)
    assert lens.names == ["embedding", "h.0", "h.1"]
    np.testing.assert_allclose(lens.probabilities.sum(axis=-1), 1, rtol=1e-5)
    ids, p = lens.top(3)
    assert ids.shape == p.shape == (3, 5, 3)
    np.testing.assert_array_equal(ids[..., 0], lens.logits.argmax(axis=-1))
    assert (np.diff(p, axis=-1) <= 0).all()


def test_shares_add_up_to_the_logit(model):
    with model.evaluating():
        logits = model(IDS[None])[0].numpy()[0].astype(np.float64)
    for position in (0, -1):
        found = logit_attribution(model, IDS, target=4, position=position)
        assert found.logit == pytest.approx(logits[position, 4], rel=1e-4, abs=1e-4)
        assert found.shares.sum() == pytest.approx(found.logit)
    lead = logit_attribution(model, IDS, target=4, versus=9)
    assert lead.logit == pytest.approx(logits[-1, 4] - logits[-1, 9], rel=1e-4, abs=1e-4)
    assert lead.table().splitlines()[-1].endswith("sum")
    assert "h.0.mlp" in lead.table()


def test_a_score_is_the_sum_over_channels(model):
    acts = run(model)
    found = neuron_breakdown(model, IDS, layer=1, head=0, i=4, j=2)
    assert found.running[-1] == pytest.approx(acts["h.1.attn.scores"][0, 0, 4, 2], rel=1e-4)
    np.testing.assert_allclose(found.products, found.q * found.k / len(found.q) ** 0.5)


def test_refusals(model):
    with pytest.raises(mg.ArgumentError, match="GPT, got RecurrentLM"):
        decompose(RecurrentLM(RecurrentConfig(11, 1, 4)), IDS)
    with pytest.raises(mg.ShapeError, match=r"ids \(T,\), got \(1, 5\)"):
        logit_lens(model, IDS[None])
    with pytest.raises(mg.ArgumentError, match="from 0 to 10, got 11"):
        logit_attribution(model, IDS, target=11)
