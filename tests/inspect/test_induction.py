"""The model that comes with the library: it copies, its heads do what they should, its files are the recipe's."""

import configparser
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt.bench import induction as recipe
from minigpt.files import read_json
from minigpt.inspect import ablate, capture, head_scores, induction_model, repeated_tokens
from minigpt.inspect.induction import FOLDER

ROWS = [name for name, there in mg.backends().items() if there is True]
ROOT = Path(mg.__file__).parents[1]
LENGTH = 32


@pytest.fixture(scope="module")
def model():
    return induction_model()


@pytest.fixture(scope="module")
def ids(model):
    return repeated_tokens(model.config.vocab_size, LENGTH, rows=32, seed=7)


def copied(model, ids):
    """Share of the second half, but for its first token, that is guessed right."""
    with model.evaluating():
        logits = model(ids[:, :-1])[0].numpy()
    return (logits[:, LENGTH:].argmax(-1) == ids[:, LENGTH + 1 :]).mean()


def test_it_is_small_and_reads_letters(model):
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 300_000
    assert not model.training
    text = "k7QfbxZ2mPk7Qfb"
    ids = np.array([model.tokenizer.encode(text)])
    assert model.tokenizer.decode(model.generate(ids, 5, temperature=0)[0]) == text + "xZ2mP"


def test_every_call_reads_it_anew(model):
    other = induction_model()
    other.wte.weight.data[:] = 0
    assert np.abs(model.wte.weight.data).max() > 0.1


@pytest.mark.parametrize("row", ROWS)
def test_the_heads_of_the_circuit_stand_out(row, ids):
    with mg.use(row):
        scores = head_scores(induction_model(), ids)
    assert scores.best("previous_token") == (0, 0)
    assert scores.best("induction") == (1, 0)
    previous, induction = (np.sort(s.ravel())[::-1] for s in (scores.previous_token, scores.induction))
    assert previous[0] > 0.4 > 4 * previous[1]
    assert induction[0] > 0.75 > 10 * induction[1]


def test_taking_out_a_head_of_the_circuit_destroys_copying_and_another_does_not(model, ids):
    assert copied(model, ids) > 0.98
    for how in ({}, {"how": "mean", "reference": ids}):
        for head, least, most in (((0, 0), 0, 0.1), ((1, 0), 0, 0.1), ((2, 0), 0.98, 1)):
            with ablate(model, heads=[head], **how):
                assert least <= copied(model, ids) <= most, (head, how)


def test_the_score_before_the_softmax_points_at_what_came_next_last_time(model, ids):
    with model.evaluating(), capture(model, "h.1.attn.scores") as acts:
        model(ids)
    scores = acts["h.1.attn.scores"][:, 0]  # (B, 2 L, 2 L)
    lead = []
    for i in range(LENGTH, 2 * LENGTH):
        others = np.delete(scores[:, i, : i + 1], i - LENGTH + 1, axis=1)  # (B, i)
        lead.append(scores[:, i, i - LENGTH + 1] - others.max(axis=1))
    assert np.mean(np.array(lead) > 0) > 0.95
    assert np.mean(lead) > 2  # nats: e² times the weight of the next best


def test_it_copies_whatever_the_distance(model):
    """Texts of other lengths than in the training, and read twice from the middle of a row."""
    for length in (4, 9, 30):
        half = repeated_tokens(model.config.vocab_size, length, rows=32, seed=3)
        before = repeated_tokens(model.config.vocab_size, 2, rows=32, seed=4)[:, :2]
        rows = np.concatenate([before, half], axis=1)
        with model.evaluating():
            guess = model(rows[:, :-1])[0].numpy().argmax(-1)
        assert (guess[:, 2 + length :] == rows[:, 3 + length :]).mean() > 0.85, length


def test_its_files_say_what_the_recipe_says(model):
    made = read_json(FOLDER / "made.json")
    assert list(map(int, made.pop("losses"))) == recipe.noted_steps(recipe.STEPS)
    assert made == {
        "command": "minigpt bench induction", "seed": 0, "steps": recipe.STEPS, "row": "cpu", "workers": recipe.WORKERS
    }  # fmt: skip
    assert model.config == recipe.new_model().config
    assert model.tokenizer.decode(range(model.config.vocab_size)) == recipe.CHARACTERS
    assert recipe.measure(model).reached


def test_an_installation_has_them():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    package = ROOT / "minigpt" / "inspect"
    patterns = [p.strip() for p in settings["options.package_data"]["minigpt.inspect"].split(",")]
    assert {path for pattern in patterns for path in package.glob(pattern)} >= set(FOLDER.iterdir())


def test_the_recipe_begins_as_the_shipped_model_did():
    """Its first 50 steps, on whatever processor: the losses that were noted when it was trained."""
    made = read_json(FOLDER / "made.json")
    row = made["row"] if made["row"] in ROWS else "numpy"
    trainer = recipe.new_trainer(made["seed"], made["steps"], row, False, made["workers"])
    losses = [trainer.step() for _ in range(50)]
    assert losses[0] == pytest.approx(made["losses"]["1"], abs=1e-4)
    assert losses[49] == pytest.approx(made["losses"]["50"], abs=1e-3)
