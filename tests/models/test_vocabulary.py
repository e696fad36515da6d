"""resize_vocab: known tokens keep every bit, the rest is as in a new model of that size."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import optim
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer

CONFIG = GPTConfig(7, 6, 2, 2, 8)
IDS = np.array([[0, 3, 6, 1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_growing(dtype):
    model = GPT(CONFIG, seed=1).astype(dtype)
    model.wte.weight.data[2, :2] = np.nan, -0.0  # bits, not numbers
    before = model.state_dict()
    others = {name: p.data for name, p in model.named_parameters() if name != "wte.weight"}
    assert model.resize_vocab(10, rng=5) is model
    assert model.config == GPTConfig(10, 6, 2, 2, 8)
    weight = model.wte.weight
    assert weight.dtype == dtype
    assert weight.shape == (10, 8)
    assert weight.data[:7].tobytes() == before["wte.weight"].tobytes()
    assert all(model.state_dict()[name] is not None and p.data is others[name] for name, p in model.named_parameters()
               if name != "wte.weight")  # fmt: skip


def test_old_tokens_get_the_logits_they_had():
    model = GPT(CONFIG, seed=1).eval()
    before = model(IDS)[0].numpy()
    model.resize_vocab(12, rng=0)
    np.testing.assert_allclose(model(IDS)[0].numpy()[..., :7], before, rtol=1e-5, atol=1e-7)
    assert model(np.array([[11, 7]]))[0].shape == (1, 2, 12)


def test_new_rows_are_drawn_like_those_of_a_new_model():
    model = GPT(GPTConfig(10, 4, 1, 2, 64), seed=1).resize_vocab(3000, rng=2)
    new = model.wte.weight.data[10:]
    assert new.std() == pytest.approx(0.02, rel=0.02)
    assert abs(new.mean()) < 1e-4
    assert len(np.unique(new)) > 0.99 * new.size
    again = GPT(GPTConfig(10, 4, 1, 2, 64), seed=1).resize_vocab(3000, rng=2)
    np.testing.assert_array_equal(again.wte.weight.data, model.wte.weight.data)
    other = GPT(GPTConfig(10, 4, 1, 2, 64), seed=1).resize_vocab(3000, rng=np.random.default_rng(3))
    assert not np.array_equal(other.wte.weight.data, model.wte.weight.data)


def test_shrinking_and_staying():
    model = GPT(CONFIG, seed=1)
    before = model.wte.weight.numpy().copy()
    model.resize_vocab(7)
    np.testing.assert_array_equal(model.wte.weight.data, before)
    model.resize_vocab(4)
    assert model.config.vocab_size == 4
    np.testing.assert_array_equal(model.wte.weight.data, before[:4])
    with pytest.raises(mg.ArgumentError, match="id"):
        model(np.array([[4]]))


def test_a_tokenizer_that_grew(tmp_path):
    """The way of a chat model: special tokens first, then rows for them; it survives saving."""
    model = GPT(CONFIG, seed=1)
    model.tokenizer = CharTokenizer.train("abcdefg")
    model.tokenizer.add_special_tokens(["<user>", "<eot>"])
    model.resize_vocab(model.tokenizer.vocab_size, rng=0)
    assert model(np.array([model.tokenizer.encode("ab<user>")]))[0].shape == (1, 3, 9)
    model.save_pretrained(tmp_path)
    loaded = GPT.from_pretrained(tmp_path)
    assert loaded.config.vocab_size == loaded.tokenizer.vocab_size == 9
    np.testing.assert_array_equal(loaded.wte.weight.data, model.wte.weight.data)


def test_it_trains_afterwards():
    model = GPT(CONFIG, seed=1).resize_vocab(9, rng=0)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    ids, targets = np.array([[7, 8, 7, 8]]), np.array([[8, 7, 8, 7]])
    losses = []
    for _ in range(20):
        _, loss = model(ids, targets)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_gradients_of_before_are_gone():
    model = GPT(CONFIG, seed=1)
    _, loss = model(IDS, IDS)
    loss.backward()
    _, pending = model(IDS, IDS)
    model.resize_vocab(9)
    assert model.wte.weight.grad is None
    with pytest.raises(mg.ShapeError, match=r"has shape \(7, 8\), the input itself \(9, 8\)"):
        pending.backward()


def test_too_small_for_the_tokenizer_changes_nothing():
    model = GPT(CONFIG, seed=1)
    model.tokenizer = CharTokenizer.train("abcdefg")
    before = model.wte.weight.numpy().copy()
    with pytest.raises(mg.ArgumentError, match=r"resize_vocab\(6\): the model's tokenizer knows 7 tokens"):
        model.resize_vocab(6)
    assert model.config == CONFIG
    np.testing.assert_array_equal(model.wte.weight.data, before)
    model.tokenizer = None
    assert model.resize_vocab(6).config.vocab_size == 6


@pytest.mark.parametrize("n", [0, -3, 2.0, True, "9", None])
def test_bad_sizes(n):
    with pytest.raises(mg.ConfigError, match="vocab_size must be a positive integer"):
        GPT(CONFIG).resize_vocab(n)


def test_bad_rng():
    with pytest.raises(mg.ArgumentError, match="rng is a"):
        GPT(CONFIG).resize_vocab(9, rng="seed")
