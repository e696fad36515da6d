"""Shared by the tests of views: made-up attention, and a reader of HTML."""

from html.parser import HTMLParser

import numpy as np
import pytest


class Page(HTMLParser):
    """Collects every element as (tag, attributes) and the text inside each `script` and `title`."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.titles, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        inside = getattr(self, "_inside", None)
        if inside == "script":
            self.scripts[-1] += data
        elif inside == "title":
            self.titles.append(data)
        elif inside != "style":
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


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
