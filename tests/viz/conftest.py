"""Shared by the tests of views: made-up attention, a reader of HTML, a real browser."""

import numpy as np
import pytest
from browser import Page, visit

from minigpt.viz import html


@pytest.fixture
def read_html():
    return Page


@pytest.fixture
def attention():
    """A function (L, H, T, causal) -> weights (L, H, T, T) float64 whose rows sum to 1, from a fixed seed."""

    def make(L, H, T, causal=True):
        scores = np.random.default_rng(7).normal(0, 2, (L, H, T, T))
        if causal:
            scores = np.where(np.tri(T, dtype=bool), scores, -np.inf)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    return make


@pytest.fixture
def browse(tmp_path):
    """A function (fragments, probe) -> what the probe found, with the console's messages as "console"."""

    def run(fragments, probe):
        return visit(html.page("Test", *fragments), probe, tmp_path)

    return run
