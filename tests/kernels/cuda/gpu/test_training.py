"""Training steps and generation of a tiny and of a medium GPT on a card, beside the numpy row."""

import pytest
from cuda_checks import new_seed, poisoned, told
from cuda_model_checks import MEDIUM, TINY, check_generation, check_losses, check_training

from .card import needs_card

pytestmark = [pytest.mark.gpu, needs_card]


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_a_tiny_gpt(dropout):
    seed = new_seed()
    with told(seed, "two steps of a tiny GPT"), poisoned():
        check_training(TINY, seed, dropout=dropout)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_medium_gpt(dropout):
    seed = new_seed()
    with told(seed, "a step of a medium GPT"), poisoned():
        check_training(MEDIUM, seed, steps=1, batch=4, tolerance=5e-5, exceptions=0.01, dropout=dropout)


def test_losses_of_a_medium_gpt():
    seed = new_seed()
    with told(seed, "five steps of a medium GPT"), poisoned():
        check_losses(MEDIUM, seed, steps=5, batch=4)


@pytest.mark.parametrize(("shape", "new"), [(TINY, 4), (MEDIUM, 30)], ids=["tiny", "medium"])
def test_generation(shape, new):
    seed = new_seed()
    with told(seed, "generation"), poisoned():
        check_generation(shape, seed, new)
