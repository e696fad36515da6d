"""A GPT with int8 weights: reads like the float one, loses little, and says what it cannot do."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.data import TokenData
from minigpt.errors import CheckpointError, GraphError
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer, evaluate

ROWS = pytest.mark.parametrize("row", ["numpy", "cpu"])
SHAPE = GPTConfig(vocab_size=50, block_size=24, n_layer=2, n_head=4, n_embd=48)


@ROWS
@pytest.mark.parametrize("bias", [True, False])
def test_logits_are_close(row, bias, rng):
    model = GPT(GPTConfig(**{**SHAPE.to_dict(), "bias": bias}), seed=0).eval()
    ids = rng.integers(0, 50, (3, 20))
    with mg.use(row), mg.no_grad():
        wanted, small = model(ids)[0].numpy(), model.quantize()(ids)[0].numpy()
    assert 0 < np.abs(small - wanted).max() <= 0.03 * np.abs(wanted).max()


@ROWS
def test_with_and_without_cache(row, rng):
    small = GPT(SHAPE, seed=3).quantize()
    ids = rng.integers(0, 50, (2, 5))
    with mg.use(row):
        texts = [small.generate(ids, 15, temperature=0, use_cache=use) for use in (True, False)]
        np.testing.assert_array_equal(*texts)
        with small.evaluating():  # one token at a time, and all at once
            cache = small._new_cache(2)
            steps = [small._next_logits(texts[0][:, t : t + 1], cache) for t in range(20)]
            whole = small(texts[0])[0].numpy()
    np.testing.assert_allclose(np.stack(steps, axis=1), whole, atol=1e-5 * np.abs(whole).max(), rtol=0)


@pytest.fixture(scope="module")
def trained():
    """A model that has learned a text of 2,000 tokens with much to know and some chance in it."""
    rng = np.random.default_rng(0)
    follows = rng.integers(0, 50, (50, 3))  # after each token one of three
    tokens = [0]
    for choice in rng.integers(0, 3, 4000):
        tokens.append(int(follows[tokens[-1], choice]))
    data = TokenData(np.array(tokens[:3600]), np.array(tokens[3600:]))
    config = TrainConfig(steps=250, batch_size=8, lr=3e-3, min_lr=3e-4, warmup=10, backend="cpu", workers=1,
                         progress=False, eval_interval=0)  # fmt: skip
    trainer = Trainer(GPT(SHAPE, seed=0), data, config)
    trainer.fit()
    return trainer.model, trainer.data


def test_perplexity_of_a_trained_model_hardly_changes(trained):
    model, data = trained
    with mg.use("cpu"):
        loss, loss8 = evaluate(model, data), evaluate(model.quantize(), data)
    assert loss < 1.6  # it has learned: chance is 3.9, knowing the text's rule 1.1
    assert loss8 != loss
    assert abs(np.exp(loss8 - loss) - 1) < 0.01


def test_what_it_cannot_do_it_says(trained, tmp_path, rng):
    small = trained[0].quantize()
    with pytest.raises(CheckpointError, match="save the float model"):
        small.save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    ids = rng.integers(0, 50, (2, 4))
    with pytest.raises(GraphError, match="Train the float"):
        small(ids, ids)[1].backward()
