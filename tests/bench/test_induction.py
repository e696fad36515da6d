"""bench induction: texts that can be copied only by looking back, a recipe that repeats bit for bit, its command."""

import numpy as np
import pytest

from minigpt.bench import induction
from minigpt.bench.induction import NO_LOSS, Pieces
from minigpt.cli import main
from minigpt.errors import ArgumentError
from minigpt.files import read_json
from minigpt.models import GPT


@pytest.mark.parametrize(
    "numbers", [{}, {"texts": (2, 3), "pieces": (2, 2)}, {"texts": (9, 9), "pieces": (3, 20)}], ids=str
)
def test_a_target_counts_where_the_row_went_on_so_before(numbers):
    data = Pieces(30, 40, **numbers)
    batch = data.batch(3, 20)
    assert batch["ids"].shape == batch["targets"].shape == (20, 40)
    counted = 0
    for ids, targets in zip(batch["ids"], batch["targets"], strict=True):
        assert data.texts[0] <= len(set(ids)) <= data.texts[1] or len(set(ids)) < data.texts[0] < 40
        next_ids = [*ids[1:], None]  # what follows the last one is not among them
        for t in np.flatnonzero(targets != NO_LOSS):
            assert next_ids[t] in (targets[t], None)
            assert targets[t] in [next_ids[s] for s in range(t) if ids[s] == ids[t]]
            counted += 1
        assert targets[0] == NO_LOSS
    assert counted > 20 * 40 / 5
    again = data.batch(3, 20)
    assert all(np.array_equal(batch[name], again[name]) for name in batch)


def test_a_row_has_no_period():
    """The place of the last copy says nothing: how far it lies back differs within one row."""
    ids = Pieces(60, 60).batch(0, 1)["ids"][0]
    back = {t - max(np.flatnonzero(ids[:t] == ids[t])) for t in range(60) if (ids[:t] == ids[t]).any()}
    assert len(back) > 5


@pytest.mark.parametrize(
    "numbers", [{"texts": (1, 5)}, {"texts": (5, 31)}, {"texts": (6, 5)}, {"pieces": (1, 4)}], ids=str
)
def test_numbers_that_do_not_fit(numbers):
    with pytest.raises(ArgumentError, match="distinct tokens"):
        Pieces(30, 40, **numbers)


def test_a_model_of_another_shape():
    model = induction.new_model(0, "abcd", n_layer=2, block_size=8)
    assert (model.config.vocab_size, model.config.n_layer, model.config.block_size) == (4, 2, 8)
    assert model.config.n_embd == induction.SHAPE["n_embd"]
    assert model.tokenizer.decode(model.tokenizer.encode("dab")) == "dab"


def test_the_recipe_repeats_bit_for_bit(tmp_path):
    for name in ("one", "two"):
        induction.train(induction.new_trainer(5, 4, "numpy", progress=False), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["char_tokenizer.json", "config.json", "made.json", "model.safetensors"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    made = read_json(tmp_path / "one" / "made.json")
    (loss,) = made.pop("losses").values()
    assert 4 < loss < 6
    assert made == {"command": "minigpt bench induction", "seed": 5, "steps": 4, "row": "numpy", "workers": 2}
    other = induction.new_trainer(6, 4, "numpy", progress=False)
    other.fit()
    assert not np.array_equal(other.model.wte.weight.data, GPT.from_pretrained(tmp_path / "one").wte.weight.data)


def test_an_untrained_model_copies_nothing_and_reaches_nothing():
    measured = induction.measure(induction.new_model(), rows=4)
    assert measured.copied < 0.2
    assert not measured.reached
    assert measured.first == pytest.approx(measured.second, abs=0.5)


def test_command(tmp_path, capsys):
    out = str(tmp_path / "model")
    assert main(["bench", "induction", "--steps", "2", "--backend", "numpy", "--out", out]) == 0
    printed = capsys.readouterr().out
    assert "copied without it" in printed
    assert printed.count("layer ") == induction.SHAPE["n_layer"] * induction.SHAPE["n_head"]
    assert GPT.from_pretrained(out).tokenizer.decode([0]) == "a"


def test_the_command_fails_where_the_recipe_falls_short(monkeypatch, capsys):
    monkeypatch.setattr(induction, "STEPS", 1)
    assert main(["bench", "induction", "--backend", "numpy"]) == 1
    capsys.readouterr()
