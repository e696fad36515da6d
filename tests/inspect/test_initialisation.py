"""The initialisation study: what the schemes draw, and what the numbers mean."""

import math

import numpy as np
import pytest

from minigpt.errors import ArgumentError
from minigpt.inspect.initialisation import SCHEMES, initialisation_study, initialise, layer_numbers
from minigpt.models import GPT, GPTConfig

CONFIG = GPTConfig(17, 8, n_layer=4, n_head=2, n_embd=32)
IDS, TARGETS = np.random.default_rng(0).integers(0, 17, (2, 3, 8))
STUDY = initialisation_study(CONFIG, IDS, TARGETS)


@pytest.mark.parametrize(
    ("scheme", "c_attn", "c_proj", "c_fc", "narrow", "tables"),
    [
        ("gpt2", 0.02, 0.02 / 8**0.5, 0.02, 0.02 / 8**0.5, 0.02),
        ("unscaled", 0.02, 0.02, 0.02, 0.02, 0.02),
        ("xavier", (2 / 64) ** 0.5, (2 / 64) ** 0.5, (2 / 160) ** 0.5, (2 / 160) ** 0.5, 0.02),
        ("he", (2 / 32) ** 0.5, (2 / 32) ** 0.5, (2 / 32) ** 0.5, (2 / 128) ** 0.5, 0.02),
        ("large", 1, 1, 1, 1, 1),
        ("zeros", 0, 0, 0, 0, 0),
    ],
)
def test_deviations(scheme, c_attn, c_proj, c_fc, narrow, tables):
    model = GPT(GPTConfig(97, 64, n_layer=4, n_head=2, n_embd=32), seed=0)
    for p in model.parameters():
        p.data += 5  # nothing of this is left
    initialise(model, scheme, rng=0)
    last = model.h[3]
    for module, std in (
        (last.attn.c_attn, c_attn), (last.attn.c_proj, c_proj), (last.mlp.c_fc, c_fc), (last.mlp.c_proj, narrow),
        (model.wte, tables), (model.wpe, tables),
    ):  # fmt: skip
        assert module.weight.data.std() == pytest.approx(std, rel=0.1)
    assert not last.mlp.c_fc.bias.data.any()
    assert (model.ln_f.weight.data == 1).all()
    assert not model.ln_f.bias.data.any()


def test_every_scheme_without_biases():
    for scheme in SCHEMES:
        initialise(GPT(GPTConfig(17, 8, 1, 2, 8, bias=False), seed=0), scheme)


def test_what_the_study_shows():
    n = STUDY.schemes
    assert STUDY.guess == math.log(17)
    for scheme in ("gpt2", "unscaled", "xavier", "he"):
        assert n[scheme].loss == pytest.approx(STUDY.guess, abs=0.2)
    assert n["large"].loss > 2 * STUDY.guess
    assert n["zeros"].loss == pytest.approx(STUDY.guess)
    assert not n["zeros"].gradient.any()
    assert not n["zeros"].weight_gradient.any()
    last = {name: numbers.activation[-1] for name, numbers in n.items()}
    assert last["gpt2"] < last["unscaled"] < last["xavier"] < last["he"] < last["large"] / 10
    for numbers in n.values():
        assert numbers.activation.shape == numbers.gradient.shape == (5,)
        assert numbers.weight_gradient.shape == (4,)


def test_numbers_by_other_means():
    """Activations as `capture` sees them; the gradient of the stream by finite differences along itself."""
    from minigpt.inspect import capture

    model = GPT(CONFIG, seed=3).astype(np.float64)
    initialise(model, "unscaled", 3)
    numbers = layer_numbers(model, IDS, TARGETS)
    with capture(model, "h.*") as acts:
        _, loss = model(IDS, TARGETS)
    assert numbers.loss == loss.item()
    for i in range(4):
        assert numbers.activation[i + 1] == pytest.approx(np.sqrt((acts[f"h.{i}"] ** 2).mean()))
    embedded = model.wte.weight.data[IDS] + model.wpe.weight.data[: IDS.shape[1]]
    assert numbers.activation[0] == pytest.approx(np.sqrt((embedded**2).mean()))
    loss.backward()
    gradients = np.concatenate([p.grad.reshape(-1) for p in model.h[2].parameters() if p.ndim == 2])
    assert numbers.weight_gradient[2] == pytest.approx(np.sqrt((gradients**2).mean()))
    # all of dx at the embeddings flows into wpe, summed over the batch: with one row they are the same numbers
    one = layer_numbers(model, IDS[:1], TARGETS[:1])
    model.zero_grad()
    model(IDS[:1], TARGETS[:1])[1].backward()
    assert one.gradient[0] == pytest.approx(np.sqrt((model.wpe.weight.grad**2).mean()))


def test_the_model_is_left_as_it_was():
    model = GPT(GPTConfig(17, 8, 2, 2, 8, dropout=0.5), seed=0)
    before = model.state_dict()
    first, second = layer_numbers(model, IDS, TARGETS), layer_numbers(model, IDS, TARGETS)
    assert first.loss == second.loss  # dropout is off
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_table():
    table = STUDY.table()
    lines = table.splitlines()
    assert lines[0].startswith("a guess has the loss ln V = 2.833")
    assert [line.split()[0] for line in lines[2:]] == list(SCHEMES)
    gpt2 = STUDY.schemes["gpt2"]
    assert f"{gpt2.activation[0]:.2e} → {gpt2.activation[-1]:.2e}" in lines[2]
    assert f"{gpt2.gradient[-1]:.2e} → {gpt2.gradient[0]:.2e}" in lines[2]
    assert len({len(line) for line in lines[1:]}) == 1


def test_chosen_schemes_and_refusals():
    study = initialisation_study(CONFIG, IDS, TARGETS, schemes=["he", "gpt2"])
    assert list(study.schemes) == ["he", "gpt2"]
    assert study.schemes["gpt2"].loss == STUDY.schemes["gpt2"].loss
    assert set(study.by_layer()["he"]) == {"activation", "gradient", "weight gradient"}
    with pytest.raises(ArgumentError, match="there is no scheme 'orthogonal'; there are gpt2, unscaled"):
        initialisation_study(CONFIG, IDS, TARGETS, schemes=["orthogonal"])
