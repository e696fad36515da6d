"""The LSTM encoder-decoder with attention: it learns to reverse short strings, and its attention shows how."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import optim
from minigpt.decoding import beam_search
from minigpt.inspect import capture
from minigpt.models import RecurrentLM, RecurrentSeq2Seq, Seq2SeqConfig, load_model

KINDS = ["additive", "general", "dot", "multihead"]
START, END, FIRST, V, LONGEST = 0, 1, 2, 9, 4


def tiny(attention, **changes):
    given = {"vocab_size": V, "n_embd": 24, "start_id": START, "end_id": END, "attention": attention, **changes}
    return RecurrentSeq2Seq(Seq2SeqConfig(**given), seed=1)


def batch(rng, n, reverse=True):
    """Strings of 2 to LONGEST symbols and themselves, backwards or forwards."""
    lengths, src = rng.integers(2, LONGEST + 1, n), rng.integers(FIRST, V, (n, LONGEST))
    mask = np.arange(LONGEST) < lengths[:, None]
    tgt, targets = np.full((n, LONGEST + 1), START), np.full((n, LONGEST + 1), -100)
    for i, length in enumerate(lengths):
        answer = src[i, :length][::-1] if reverse else src[i, :length]
        tgt[i, 1 : length + 1], targets[i, :length], targets[i, length] = answer, answer, END
    return {"src": src, "tgt": tgt, "targets": targets, "src_mask": mask}


@pytest.mark.parametrize("attention", KINDS)
def test_what_stands_in_the_padding_changes_nothing(attention, rng):
    model, given = tiny(attention, n_layer=2).eval(), batch(rng, 5)
    with mg.no_grad():
        before, _ = model(given["src"], given["tgt"], None, given["src_mask"])
        noise = np.where(given["src_mask"], given["src"], rng.integers(0, V, given["src"].shape))
        after, _ = model(noise, given["tgt"], None, given["src_mask"])
        np.testing.assert_array_equal(before.numpy(), after.numpy())
        row = int(given["src_mask"].sum(axis=1).argmin())
        length = given["src_mask"][row].sum()
        alone, _ = model(given["src"][row : row + 1, :length], given["tgt"][row : row + 1])
    np.testing.assert_allclose(alone.numpy()[0], before.numpy()[row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", KINDS)
def test_every_parameter_gets_a_gradient(attention, rng):
    model = tiny(attention)
    loss, count = model.loss_sum(**batch(rng, 6))
    assert count > 12
    loss.backward()
    assert all(p.grad is not None and np.isfinite(p.grad).all() for p in model.parameters())
    silent = [name for name, p in model.named_parameters() if not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("attention", KINDS)
def test_observed_attention_is_the_attention_that_runs(attention, rng):
    model, given = tiny(attention).eval(), batch(rng, 3)
    with mg.no_grad():
        plain, _ = model(given["src"], given["tgt"], None, given["src_mask"])
        with capture(model) as acts:
            observed, _ = model(given["src"], given["tgt"], None, given["src_mask"])
    np.testing.assert_allclose(observed.numpy(), plain.numpy(), rtol=1e-4, atol=1e-5)
    weights = acts["attention.weights"]
    assert weights.shape == (3, 4 if attention == "multihead" else 1, LONGEST + 1, LONGEST)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    assert not weights[~np.broadcast_to(given["src_mask"][:, None, None], weights.shape)].any()


def test_it_learns_to_reverse_and_attention_runs_backwards():
    rng, model = np.random.default_rng(0), tiny("additive", n_embd=32)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(170):
        model.zero_grad()
        loss, count = model.loss_sum(**batch(rng, 32))
        (loss * (1 / count)).backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    fresh = batch(np.random.default_rng(1), 100)
    wanted = np.where(fresh["targets"] == -100, END, fresh["targets"])
    written = model.generate(fresh["src"], LONGEST + 1, src_mask=fresh["src_mask"])
    assert (written == wanted).all(axis=1).mean() >= 0.9
    with model.evaluating():
        found = beam_search(model.reader(fresh["src"][:1], fresh["src_mask"][:1]), LONGEST + 1, 3, eos_id=END)
    assert found[0].ids.tolist() == written[0, : len(found[0].ids)].tolist()
    with model.evaluating(), capture(model) as acts:
        full = fresh["src_mask"].all(axis=1)
        model(fresh["src"][full], fresh["tgt"][full], None, fresh["src_mask"][full])
    weights = acts["attention.weights"][:, 0, :LONGEST].mean(axis=0)  # (T, S)
    backwards = np.trace(weights[:, ::-1]) / LONGEST
    assert backwards > 2 * np.trace(weights) / LONGEST


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 3), bool), r"src_mask must be boolean \(B, S\) as src \(2, 4\)"),
        (np.ones((2, 4)), "src_mask must be boolean"),
        (np.array([[1, 1, 1, 1], [0, 1, 1, 1]], bool), "row 1 of src_mask is not True for the first tokens"),
        (np.array([[0, 0, 0, 0], [1, 1, 1, 1]], bool), "each source has at least one"),
    ],
)
def test_masks_that_do_not_fit(mask, message):
    with pytest.raises(mg.ShapeError, match=message):
        tiny("dot")(np.full((2, 4), 3), np.full((2, 2), 3), None, mask)


def test_sources_targets_and_settings_that_do_not_fit():
    model = tiny("additive")
    with pytest.raises(mg.ShapeError, match="with T at least 1"):
        model.generate(np.zeros((2, 0), int), 3)
    with pytest.raises(mg.ShapeError, match="2 sources, but tgt has 3 rows"):
        model(np.full((2, 4), 3), np.full((3, 2), 3))
    for changes, message in (
        ({"end_id": V}, "end_id must be a token id from 0 to 8, got 9"),
        ({"attention": "luong"}, "attention must be one of"),
        ({"attention": "multihead", "n_head": 5}, "not divisible"), ({"dropout": 2}, "dropout must be"),
    ):  # fmt: skip
        with pytest.raises(mg.ConfigError, match=message):
            tiny(**{"attention": "dot", **changes})


def test_files(tmp_path, rng):
    model, given = tiny("multihead", n_layer=2, dropout=0.1), batch(rng, 3)
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert type(loaded) is RecurrentSeq2Seq
    assert loaded.config == model.config
    with mg.no_grad():
        wanted, _ = model.eval()(given["src"], given["tgt"], None, given["src_mask"])
        found, _ = loaded(given["src"], given["tgt"], None, given["src_mask"])
    np.testing.assert_array_equal(found.numpy(), wanted.numpy())
    with pytest.raises(mg.CheckpointError, match="a RecurrentLM needs 'minigpt-recurrent'"):
        RecurrentLM.from_pretrained(tmp_path)
