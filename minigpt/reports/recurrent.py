"""A recurrent language model: what its states hold, what its gates let through, how far back it depends on its text."""

from __future__ import annotations

import functools

import numpy as np

from ..inspect import recurrent_states
from ..viz import HeatMaps, TokenScores
from .common import embeddings, histograms, occlusion_and_slope
from .gpt import NextTokenSubject, next_token, surprise
from .subject import NotShownError, section

MOST_UNITS = 48


class RecurrentSubject(NextTokenSubject):
    def __init__(self, model, *args, **kwargs):
        self.n_layer = model.config.n_layer
        self.kind = f"recurrent model ({model.config.cell.upper()}), reads from left to right"
        super().__init__(model, *args, **kwargs)

    @functools.cached_property
    def layer_states(self) -> list[dict[str, np.ndarray]]:
        return recurrent_states(self.model.rnn, self.acts["wte"])

    def most_tokens(self):
        return None  # a state has room for a text of any length

    def streams(self):
        yield from ((f"layer {i}", found["state"]) for i, found in enumerate(self.layer_states))


def state_maps(layers: list[dict[str, np.ndarray]], tokens: list[str], title: str) -> HeatMaps:
    """The units that change most, by token; a map for each layer."""
    spread = sum(found["state"].std(axis=0) for found in layers)  # (hidden,)
    units = np.sort(np.argsort(-spread, kind="stable")[:MOST_UNITS])
    shown = f"The {len(units)} of {len(spread)} units that change most. " if len(units) < len(spread) else ""
    return HeatMaps(
        {f"layer {i}": found["state"][:, units].T for i, found in enumerate(layers)},
        rows=[str(unit) for unit in units], row="unit", columns=tokens, column="token", tokens=True, diverging=True,
        words="state h", title=title, note=f"{shown}Blue: above 0. Vermilion: below 0.",
    )  # fmt: skip


def gate_maps(layers: list[dict[str, np.ndarray]], tokens: list[str], title: str) -> HeatMaps:
    """The mean over the units of each gate, by token; a map for each gate."""
    names = [name for name in layers[0] if name not in ("state", "cell")]
    if not names:
        raise NotShownError("a plain RNN has no gates")
    maps = {f"{name} gate": np.stack([found[name].mean(axis=1) for found in layers]) for name in names}
    return HeatMaps(
        maps,
        row="layer",
        columns=tokens,
        column="token",
        tokens=True,
        words="mean over the units, 0 to 1",
        high=1.0,
        title=title,
    )


@section(
    "states",
    "What does it keep in mind?",
    "The state of the units after each token, a column for each token: all that the model knows of the text so far.",
    "A row that keeps its colour over many tokens remembers something; one that flips at every space or quote counts "
    "or marks; point at a cell for unit, token and number.",
    ("gates", "influence"),
)
def states(s):
    return state_maps(s.layer_states, s.tokens, "States while it reads")


@section(
    "gates",
    "When does it write, and when does it forget?",
    "The mean opening of each gate at each token, from 0 (shut) to 1 (open), by layer.",
    "A forget gate (or, in a GRU, an update gate) near 1 keeps what was there; where it falls, at the end of a "
    "sentence for example, old content is dropped.",
    ("states",),
)
def gates(s):
    return gate_maps(s.layer_states, s.tokens, "Gates while it reads")


@section(
    "influence",
    "How far back does the next token depend on the text?",
    "The prompt twice, for the likeliest next token: how far its log-probability falls with the mean embedding in a "
    "token's place, and how steeply it depends on the token's embedding.",
    "In a model that forgets both fade with the distance from the end; a token far back that still stands out was "
    "carried there by the state.",
    ("states", "next-token"),
)
def influence(s):
    answer, drop, slope = occlusion_and_slope(s, "wte", lambda ids: s.model(ids)[0][:, -1])
    scores = {"occlusion, nats": drop, "slope, nats per unit": slope}
    return TokenScores(s.tokens, scores, title=f"Why {s.texts([answer])[0]!r}?")


RecurrentSubject.views = (surprise, next_token, states, gates, influence, embeddings, histograms)
