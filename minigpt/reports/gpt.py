"""A GPT: what it expects, where it looks, which parts it needs."""

from __future__ import annotations

import functools

import numpy as np

from ..generation import microscope
from ..inspect import ablate, explain, logit_attribution
from ..inspect import logit_lens as lens_of
from ..viz import AblationEffect, HeatMaps, LogitLens, TokenScores, html
from .common import (
    attention_grid,
    embeddings,
    head_scores_on_repeats,
    head_view,
    histograms,
    layer_statistics,
    positions,
    rollout,
)
from .one_head import attention_steps, neurons
from .subject import NotShownError, Subject, log_softmax, section

NEW_TOKENS = 8
SAMPLING = {"temperature": 0.8, "top_p": 0.95, "seed": 0}


class NextTokenSubject(Subject):
    """What a GPT and a recurrent language model have in common: each token is predicted from those before it."""

    def logits(self) -> np.ndarray:
        """(T, V): position t says what comes after token t."""
        return self.acts["output"]

    def loss(self):
        """Mean loss of the prompt's tokens but the first, a Tensor."""
        self.needs_two()
        return self.model(self.ids[None, :-1], self.ids[None, 1:])[1]

    def needs_two(self) -> None:
        if len(self.ids) < 2:
            raise NotShownError("the prompt is a single token, so no token of it was predicted from others")

    def token_table(self) -> np.ndarray:
        return self.model.wte.weight.numpy()

    def all_ids(self):
        return [self.ids]


class GPTSubject(NextTokenSubject):
    kind = "GPT, reads from left to right"

    def __init__(self, model, *args, **kwargs):
        self.n_layer = model.config.n_layer
        super().__init__(model, *args, **kwargs)

    @functools.cached_property
    def self_attention(self) -> np.ndarray:
        return self.weights("h.{}.attn.weights", self.n_layer)  # (L, H, T, T)

    def position_table(self) -> np.ndarray:
        return self.model.wpe.weight.numpy()

    def stacks(self):
        return {"GPT": list(self.model.h)}

    def streams(self):
        yield "embedding", self.acts["wte"] + self.acts["wpe"]
        yield from ((f"layer {i}", self.acts[f"h.{i}"]) for i in range(self.n_layer))


@section(
    "surprise",
    "Which tokens surprise the model?",
    "The prompt, each token coloured by −ln p(token | those before it) in nats, and by the entropy of what the model "
    "expected there.",
    "Strong colour means unexpected; the mean is the loss of the model on this text, and a token far above the "
    "entropy of its place is a real surprise, not just an open place.",
    ("logit-lens", "next-token"),
)
def surprise(s):
    s.needs_two()
    log_p = log_softmax(s.logits())[:-1]  # (T - 1, V): before each token but the first
    surprises = -log_p[np.arange(len(log_p)), s.ids[1:]]
    entropy = -(np.exp(log_p) * log_p).sum(axis=-1)
    note = f"Mean {surprises.mean():.3f} nats per token; nothing stands before the first token, so it has no score."
    scores = {"surprise, nats": surprises, "entropy expected, nats": entropy}
    return TokenScores(s.tokens[1:], scores, title="Surprise", note=note)


@section(
    "next-token",
    "How would it go on?",
    f"Up to {NEW_TOKENS} tokens drawn after the prompt: the candidates of each, and what temperature "
    f"{SAMPLING['temperature']} and top-p {SAMPLING['top_p']} made of their probabilities.",
    "Point at a token to see its candidates; from left to right they are sharpened, then the unlikely ones removed, "
    "and the framed one was drawn.",
    ("surprise", "explanation"),
)
def next_token(s):
    room = NEW_TOKENS if s.most_tokens() is None else min(NEW_TOKENS, s.most_tokens() - len(s.ids) + 1)
    return microscope(s.model, s.tok, s.text(), room, **SAMPLING)


@section(
    "explanation",
    "Which tokens made it predict that one?",
    "The prompt three times, for the likeliest next token: how far its log-probability falls without a token "
    "(occlusion), what the slope promises (gradient × input), and what attention rollout gives to each token.",
    "Where the three disagree, believe occlusion about the prediction: it is the only one that was measured.",
    ("rollout", "attribution"),
    attention=True,
)
def explanation(s):
    return explain(s.model, s.tok, s.text()).view()


@section(
    "logit-lens",
    "What would it say if it stopped after each layer?",
    "The likeliest next token by layer and position, read with the model's own last norm and head, on the colour of "
    "its probability; framed where it is the token that really comes.",
    "Follow a column downwards to see where the answer appears and whether it stays; early layers were never trained "
    "to be read like this.",
    ("surprise", "attribution"),
)
def logit_lens(s):
    lens = lens_of(s.model, s.ids)
    ids, p = lens.top(5)
    names = [[s.texts(cell) for cell in row] for row in ids]
    rows = ["embedding", *(f"layer {i}" for i in range(s.n_layer))]
    return LogitLens(s.tokens, p, names, layers=rows, targets=[*s.tokens[1:], None])


@section(
    "attribution",
    "Who wrote the answer?",
    "The lead of the likeliest next token over the second, split into what each head and each MLP added to the stream "
    "at the last position.",
    "The shares of all parts add up to the lead; a large share is a direct contribution only, what a part does by way "
    "of later layers is not in it.",
    ("ablation", "logit-lens"),
)
def attribution(s):
    log_p = log_softmax(s.logits()[-1])
    first, second = (int(i) for i in np.argsort(-log_p, kind="stable")[:2])
    found = logit_attribution(s.model, s.ids, first, second)
    share = dict(zip(found.names, found.shares.tolist(), strict=True))
    L, H = s.n_layer, s.model.config.n_head
    heads = [[share[f"h.{i}.attn.head.{h}"] for h in range(H)] for i in range(L)]
    mlps = [[share[f"h.{i}.mlp"]] for i in range(L)]
    rest = {name: share[name] for name in ("embedding", "position")}
    rest["biases"] = sum(value for name, value in share.items() if name.endswith("bias"))
    others = html.minus(", ".join(f"{name} {round(value, 2) + 0.0:+.2f}" for name, value in rest.items()))
    a, b = s.texts([first, second])
    return HeatMaps(
        {"heads": heads, "MLPs": mlps}, columns={"MLPs": ["MLP"]}, row="layer", column="head",
        words="share of the lead, nats", diverging=True, title=f"Lead of {a!r} over {b!r}: {found.logit:.3f} nats",
        note=f"Blue speaks for the first, vermilion for the second. Beside them: {others}.",
    )  # fmt: skip


@section(
    "ablation",
    "Which parts does it need?",
    "How much the mean loss on this prompt rises when the output of one head or of one MLP is replaced by zeros.",
    "Blue parts are missed, vermilion ones were in the way; a part that looks idle may still matter elsewhere, or "
    "have a double that does the same.",
    ("attribution", "attention-grid"),
)
def ablation(s):
    s.needs_two()
    H = s.model.config.n_head

    def loss(**parts):
        with s.model.evaluating(), ablate(s.model, **parts):
            return s.loss().item()

    whole = loss()
    heads = [[loss(heads=[(i, h)]) - whole for h in range(H)] for i in range(s.n_layer)]
    mlps = [loss(mlps=[i]) - whole for i in range(s.n_layer)]
    return AblationEffect(heads, mlps, baseline=whole)


VIEWS = (
    surprise, next_token, explanation, attention_grid, head_view, attention_steps, neurons, rollout,
    head_scores_on_repeats, logit_lens, attribution, ablation, embeddings, positions, layer_statistics, histograms,
)  # fmt: skip
GPTSubject.views = VIEWS
