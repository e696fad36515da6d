"""RecurrentLM: reading, writing, training, files."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer

CELLS = ["rnn", "lstm", "gru"]
IDS = np.array([[1, 2, 3, 4, 0], [4, 4, 1, 0, 2]])


def tiny(cell="lstm", **changes):
    model = RecurrentLM(
        RecurrentConfig(**{"vocab_size": 7, "n_layer": 2, "n_embd": 6, "cell": cell, **changes}), seed=0
    )
    return model


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("own", [{}, {"tied": False, "n_hidden": 5}], ids=["tied", "own head"])
def test_parameters_are_counted_from_the_shapes(cell, own):
    model = tiny(cell, **own)
    assert model.num_parameters() == model.config.n_parameters()
    logits, loss = model(IDS, IDS)
    assert logits.shape == (2, 5, 7)
    assert np.log(7) * 0.8 < loss.item() < np.log(7) * 1.2
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_is_a_cache(cell):
    """Token by token with the state, or the whole text anew for each token: the same, also past any window."""
    model = tiny(cell, block_size=4)
    for settings in ({"temperature": 0}, {"seed": 3}):
        written = [model.generate(IDS, 9, use_cache=cache, **settings) for cache in (True, False)]
        np.testing.assert_array_equal(*written)
    assert written[0].shape == (2, 14)


@pytest.mark.parametrize("cell", CELLS)
def test_prompts_of_different_lengths_are_read_as_each_alone(cell):
    model, prompts = tiny(cell), [[1, 2, 3, 4], [5], [2, 0, 6]]
    with model.evaluating():
        reader = model.reader(prompts)
        together = [reader.logits()]
        reader.select(np.array([2, 0, 1, 1]))
        reader.append([1, 2, 3, 4])
        together.append(reader.logits())
        for k, prompt in enumerate(prompts):
            np.testing.assert_allclose(together[0][k], model.reader([prompt]).logits()[0], rtol=1e-5, atol=1e-6)
        for k, (row, token) in enumerate([(2, 1), (0, 2), (1, 3), (1, 4)]):
            alone = model.reader([[*prompts[row], token]]).logits()[0]
            np.testing.assert_allclose(together[1][k], alone, rtol=1e-5, atol=1e-6)


def test_text_goes_in_and_comes_out():
    tok = CharTokenizer.train("abcdefg")
    model = tiny()
    model.tokenizer = tok
    assert len(mg.generate(model, None, "abc", 5, n=3, seed=0)) == 3
    assert "".join(mg.stream(model, tok, "ab", 8, seed=1)) == mg.generate(model, tok, "ab", 8, seed=1)[0]
    assert mg.generate(model, tok, "ab", 4, beams=3) == mg.generate(model, tok, "ab", 4, beams=3)
    with pytest.raises(mg.ArgumentError, match="the tokenizer knows 8 tokens, the model only 7"):
        model.tokenizer = CharTokenizer.train("abcdefgh")


@pytest.mark.parametrize("bptt", [None, 1, 2, 4])
def test_truncated_back_propagation_cuts_gradients_and_nothing_else(bptt):
    model, whole = tiny(bptt=bptt).astype("float64"), tiny().astype("float64")
    losses = [m.loss_sum(IDS, np.roll(IDS, -1, axis=1)) for m in (model, whole)]
    assert losses[0][0].item() == pytest.approx(losses[1][0].item(), rel=1e-12)
    assert losses[0][1] == losses[1][1] == 10
    for loss, _ in losses:
        loss.backward()
    same = np.allclose(model.rnn.weight_hh_l0.grad, whole.rnn.weight_hh_l0.grad, rtol=1e-9)
    assert same == (bptt is None)


@pytest.mark.parametrize(
    ("ids", "targets", "message"),
    [
        ([1, 2], [1, 2], r"one sequence: ids\[None\]"),
        (np.zeros((2, 0), int), np.zeros((2, 0), int), "with T at least 1"),
        (IDS, IDS[:, :-1], r"targets \(2, 4\) must have the shape of ids, \(2, 5\)"),
        (IDS[:, :-1], IDS, r"targets \(2, 5\) must have the shape of ids, \(2, 4\)"),
    ],
)
def test_losses_of_pieces_need_ids_and_targets_of_one_shape(ids, targets, message):
    with pytest.raises(mg.ShapeError, match=message):
        tiny(bptt=2).loss_sum(ids, targets)


def test_truncation_is_that_of_pieces_by_hand():
    model, by_hand, targets = (*(tiny(bptt=2).astype("float64") for _ in range(2)), np.roll(IDS, -1, axis=1))
    loss, _ = model.loss_sum(IDS, targets)
    loss.backward()
    state = None
    for start in (0, 2, 4):
        logits, state = by_hand.read(IDS[:, start : start + 2], state)
        mg.functional.cross_entropy(logits, targets[:, start : start + 2], reduction="sum").backward()
        state = nn.detached(state)
    for p, q in zip(model.parameters(), by_hand.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_trainer_teaches_it_a_rule(cell):
    """Every token is the one before plus 1 or 2 in turn, which takes a memory of one step."""
    ids = np.cumsum(np.arange(600) % 2 + 1) % 7
    model = tiny(cell, n_embd=16, n_layer=1)
    config = TrainConfig(steps=60, batch_size=8, lr=2e-2, warmup=5, backend="numpy", workers=2, progress=False)
    history = Trainer(model, TokenData(ids, block_size=12), config).fit()
    assert history["loss"][-1] < 0.35 < 1.5 < history["loss"][0]


def test_a_number_of_workers_changes_nothing_but_rounding():
    losses = []
    for workers in (1, 3):
        config = TrainConfig(steps=3, batch_size=6, warmup=0, backend="numpy", workers=workers, progress=False)
        trainer = Trainer(tiny(dropout=0.3), TokenData(np.arange(80) * 5 % 7, block_size=6), config)
        losses.append([trainer.step() for _ in range(3)])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_files(tmp_path):
    model = tiny("gru", tied=False, n_hidden=5, dropout=0.1)
    model.tokenizer = CharTokenizer.train("abc")
    model.save_pretrained(tmp_path)
    loaded = RecurrentLM.from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert loaded.tokenizer.encode("cab") == model.tokenizer.encode("cab")
    assert not loaded.training
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], array)
    model.tokenizer = None
    model.save_pretrained(tmp_path)
    with pytest.raises(mg.TokenizerError):
        _ = RecurrentLM.from_pretrained(tmp_path).tokenizer


def test_a_folder_of_another_model_is_refused(tmp_path):
    GPT(GPTConfig(7, 4, 1, 1, 4)).save_pretrained(tmp_path)
    with pytest.raises(mg.CheckpointError, match="model_type is 'gpt2', a RecurrentLM needs 'minigpt-recurrent'"):
        RecurrentLM.from_pretrained(tmp_path)
    with pytest.raises(mg.CheckpointError, match=r"no folder .*nowhere"):
        RecurrentLM.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "lstmm"}, "cell must be one of 'rnn', 'gru', 'lstm'"),
        ({"n_hidden": 5}, "make them equal, or set tied=False"),
        ({"n_layer": 0}, "n_layer must be a positive integer"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\)"),
        ({"bptt": 0}, "bptt must be a positive integer"),
    ],
)
def test_settings_must_fit(changes, message):
    with pytest.raises(mg.ConfigError, match=message):
        tiny(**changes)
    with pytest.raises(mg.ArgumentError, match="needs a RecurrentConfig"):
        RecurrentLM({"vocab_size": 3})
