"""bench seq2seq: the recipes' machinery in small, learning included, and its command."""

import numpy as np
import pytest

from minigpt.bench import seq2seq
from minigpt.cli import main
from minigpt.models import EncoderDecoder

TINY = {"n_layer": 1, "n_head": 2, "n_embd": 8}


@pytest.fixture
def tiny(monkeypatch):
    """Recipes that take moments."""
    for name, recipe in seq2seq.RECIPES.items():
        small = recipe._replace(pairs=60, steps=2, batch_size=4, shape=TINY)
        monkeypatch.setitem(seq2seq.RECIPES, name, small)
    monkeypatch.setattr(seq2seq, "UNSEEN", 5)


@pytest.mark.parametrize("task", seq2seq.RECIPES)
def test_every_task_runs(tiny, task):
    result = seq2seq.run(task, backend="numpy", progress=False)
    assert 0 <= result.exact <= 1
    text = seq2seq.report(task, result)
    assert f"{task}: {result.exact:.1%} of 5 unseen inputs exact" in text
    assert len(text.splitlines()) == 4
    again = seq2seq.run(task, backend="numpy", progress=False)
    for a, b in zip(result.model.parameters(), again.model.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_it_learns(tiny, monkeypatch):
    """Words of one or two letters: a model that copied nothing would get 1 in 26 right at best."""
    recipe = seq2seq.RECIPES["copy"]._replace(pairs=400, steps=200, batch_size=16, lr=1e-2, warmup=10)
    monkeypatch.setitem(seq2seq.RECIPES, "copy", recipe._replace(shape={**TINY, "n_embd": 32}))
    monkeypatch.setattr("minigpt.data.pair_tasks.LONGEST", 2)
    monkeypatch.setattr(seq2seq, "UNSEEN", 50)
    assert seq2seq.run("copy", backend="numpy", progress=False).exact > 0.2


def test_the_picture_has_a_row_for_what_is_written_and_a_column_for_what_is_read(tiny):
    result = seq2seq.run("copy", backend="numpy", progress=False)
    view = seq2seq.cross_attention(result.model, "abcd")
    assert view.keys == list("abcd")
    assert len(view.tokens) == 24  # untrained, it does not end before the longest target
    assert view.weights.shape == (1, 2, 24, 4)
    np.testing.assert_allclose(view.weights.sum(-1), 1, rtol=1e-5)


def test_command(tiny, tmp_path, capsys):
    picture = tmp_path / "cross.png"
    out = ["--out", str(tmp_path), "--picture", str(picture), "--backend", "numpy"]
    assert main(["bench", "seq2seq", "--task", "copy", "reverse", "--steps", "1", *out]) == 0
    printed = capsys.readouterr().out
    assert "copy: " in printed
    assert "reverse: " in printed
    assert picture.stat().st_size > 1000
    EncoderDecoder.from_pretrained(tmp_path / "reverse")
    assert main(["bench", "seq2seq", "--task", "copy", "--backend", "numpy"]) == 1  # 2 steps miss what is wanted
