"""Sections that several families share: what tokens are, how large numbers are, what attention looks at."""

from __future__ import annotations

import numpy as np

from ..inspect import attention_rollout, head_scores, stream_numbers
from ..inspect.stream import keeping_gradients
from ..observe import observing
from ..tensor import Tensor
from ..viz import (
    AttentionGrid,
    AttentionRollout,
    EmbeddingPCA,
    HeadScores,
    HeadView,
    LayerHistograms,
    LayerStatistics,
    PositionCosine,
)
from .subject import NotShownError, log_softmax, section

MOST_VECTORS = 300  # of an embedding table
MOST_POSITIONS = 64


@section(
    "attention-grid",
    "Where does each head look?",
    "One map for each layer and head: rows are the tokens that read, columns the tokens that are read, the brighter "
    "the larger the attention weight.",
    "Look for stripes (a fixed distance back), columns (one token that all read) and evenly lit maps (a head that "
    "averages); click a map to enlarge it, and compare the entropy below it with that of an even spread.",
    ("head-view", "head-scores", "ablation"),
    attention=True,
)
def attention_grid(s):
    return AttentionGrid(s.self_attention[s.layers], s.tokens, title="Attention of every head", layers=s.layers)


@section(
    "head-view",
    "Who reads whom?",
    "The same weights as lines of one layer, from each token on the left to those it reads on the right, one colour "
    "for each head.",
    "Point at a token to see what it reads or, on the right, by whom it is read; choose the layer, and switch heads "
    "off to follow a single one.",
    ("attention-grid", "rollout"),
    attention=True,
)
def head_view(s):
    from ..viz.heads import MOST_HEADS

    if s.self_attention.shape[1] > MOST_HEADS:
        raise NotShownError(f"more than {MOST_HEADS} heads cannot be told apart by colour")
    return HeadView(s.self_attention[s.layers], s.tokens, layers=s.layers)


@section(
    "rollout",
    "What does each position hold of each token, all layers together?",
    "Attention of each layer, averaged over its heads, and the rollout: these maps multiplied through all layers, "
    "half of each through the residual.",
    "A token that the last layer seems to ignore may have reached it in earlier layers: compare the row of the "
    "rollout with those of the layers above it.",
    ("attention-grid", "explanation"),
    attention=True,
)
def rollout(s):
    return AttentionRollout(s.self_attention, attention_rollout(s.self_attention), s.tokens)


@section(
    "head-scores",
    "What kind of head is it?",
    "Scores of every head on random tokens that come twice, so not on your prompt: how much it looks at the token "
    "before, at an earlier copy of the token, or at what came after that copy (induction).",
    "A head near 1 does little else; with T tokens a head without any habit still gets about 1/T.",
    ("attention-grid", "ablation"),
    attention=True,
)
def head_scores_on_repeats(s):
    ordinary = np.setdiff1d(np.arange(s.tok.vocab_size), list(s.tok.special_tokens.values()))
    found = head_scores(s.model, tokens=ordinary)
    scores = {
        "previous token": found.previous_token,
        "duplicate token": found.duplicate_token,
        "induction": found.induction,
    }
    known = {name: values for name, values in scores.items() if np.isfinite(values).all()}
    if not known:
        raise NotShownError("its context is too short for a token to come twice")
    return HeadScores(known, title="Scores on repeated random tokens")


@section(
    "embeddings",
    "Which tokens look alike to the model?",
    "Rows of the token embedding on the two directions in which they differ most; the tokens of the prompt have a "
    "mark of their own.",
    "Neighbours are used alike by the model, but read the shares first: where the two components hold a small part of "
    "the variance, what looks near may be far apart.",
    ("positions",),
)
def embeddings(s):
    table = s.token_table()  # (V, C)
    V = min(len(table), s.tok.vocab_size)
    used = np.unique(np.concatenate([np.asarray(ids, np.int64) for ids in s.all_ids()]))
    others = np.setdiff1d(np.arange(V), used)
    if V > MOST_VECTORS:
        room = max(0, MOST_VECTORS - len(used))
        others = np.sort(np.random.default_rng(0).choice(others, min(room, len(others)), replace=False))
    chosen = np.concatenate([used, others])
    groups = ["in the prompt"] * len(used) + ["others"] * len(others)
    title = "Token embeddings" if V <= MOST_VECTORS else f"Token embeddings: {len(chosen)} of {V:,}"
    return EmbeddingPCA(table[chosen], s.texts(chosen), groups, title)


@section(
    "positions",
    "What does the model know of distance?",
    "The cosine between the embeddings of every two positions, from −1 (opposite) to 1 (the same direction).",
    "A bright band along the diagonal means that neighbours look alike; a map without any pattern means that "
    "positions have been told apart, but not ordered.",
    ("embeddings",),
)
def positions(s):
    return PositionCosine(s.position_table()[:MOST_POSITIONS], title="Cosine between position embeddings")


@section(
    "layer-statistics",
    "How large are numbers and gradients, layer by layer?",
    "Root mean squares after each layer for this prompt: of the stream of activations, of the gradient of the mean "
    "loss with respect to it, and of the gradients of the layer's matrices.",
    "In a healthy model none of them grows or shrinks by orders of magnitude from layer to layer; a steep line in the "
    "gradient means that early layers hardly learn, or learn too fast.",
    ("histograms",),
)
def layer_statistics(s):
    found = stream_numbers(s.model, s.stacks(), s.loss)
    values = {
        name: {"activation": n.activation, "gradient": n.gradient, "weight gradient": n.weight_gradient}
        for name, n in found.items()
    }
    units = {"gradient": "nats per unit", "weight gradient": "nats per unit"}
    loss = next(iter(found.values())).loss
    return LayerStatistics(values, title=f"Root mean squares by layer; mean loss {loss:.3f} nats", units=units)


@section(
    "histograms",
    "How are the activations spread?",
    "A row for each layer: the share of the numbers of its output that fall into each bin, all layers with the same "
    "bins.",
    "Rows that grow wider from layer to layer are normal in a residual stream; a few numbers far out, or a bright bar "
    "at one value, are worth a look.",
    ("layer-statistics",),
)
def histograms(s):
    names, arrays = zip(*s.streams(), strict=True)
    title = "Activations after each layer, for this prompt"
    return LayerHistograms(list(arrays), names=list(names), title=title)


def occlusion_and_slope(s, table: str, logits) -> tuple[int, np.ndarray, np.ndarray]:
    """Which tokens made the model choose its likeliest answer: (that answer, two scores of the T tokens).

    table: name of the token embedding; logits: runs the model on ids (n, T), gives the (n, K) that are chosen from.
    Fall of ln p(answer) with the mean embedding in a token's place (T,), and |d ln p(answer) / d embedding| (T,).
    """
    from .. import functional as F
    from ..inspect import hooked

    T, mean = len(s.ids), s.token_table().mean(axis=0)

    def occlude(value, name):  # (T, T, C): row t without token t
        new = value.numpy().copy()
        new[np.arange(T), np.arange(T)] = mean
        return new

    with s.model.evaluating():
        whole = log_softmax(logits(s.ids[None]).numpy())[0]  # (K,)
        answer = int(whole.argmax())
        with hooked(s.model, {table: occlude}):
            without = log_softmax(logits(np.repeat(s.ids[None], T, axis=0)).numpy())[:, answer]  # (T,)
    with keeping_gradients(s.model):
        keep = _Keep(s.model, table)
        with observing(keep):
            score = F.log_softmax(logits(s.ids[None]))[0, answer]
        keep.value.retain_grad()
        score.backward()
        slope = np.linalg.norm(Tensor(keep.value.grad).numpy()[0], axis=-1)  # (T,)
    return answer, whole[answer] - without, slope


class _Keep:
    """An observer that keeps the output of one module, a Tensor of the graph."""

    def __init__(self, model, name):
        self.module = dict(model.named_modules())[name]

    def around_module(self, module, args, kwargs, proceed):
        output = proceed()
        if module is self.module:
            self.value = output
        return output
