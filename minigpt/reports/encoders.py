"""Models that read both ways, or give a class: what fills a blank, which class, and because of which tokens."""

from __future__ import annotations

import functools

import numpy as np

from ..models import EncoderClassifier, GPTClassifier
from ..models.fill import BLANK
from ..tensor import Tensor
from ..tokenizers import BPETokenizer
from ..tokenizers.special import MASK, mask_token
from ..viz import HeatMaps, LogitLens, TokenScores
from .common import (
    attention_grid,
    embeddings,
    head_scores_on_repeats,
    head_view,
    histograms,
    layer_statistics,
    occlusion_and_slope,
    positions,
    rollout,
)
from .subject import NotShownError, Subject, best, log_softmax, section

SHOWN = 5  # candidates of a blank


class _Stack(Subject):
    """A model that holds a stack of blocks under a name: `encoder` or `gpt`."""

    stack = "encoder"

    def __init__(self, model, *args, **kwargs):
        self.n_layer = model.config.n_layer
        super().__init__(model, *args, **kwargs)

    @property
    def inner(self):
        return getattr(self.model, self.stack)

    @functools.cached_property
    def self_attention(self) -> np.ndarray:
        return self.weights(self.stack + ".h.{}.attn.weights", self.n_layer)  # (L, H, T, T)

    def token_table(self) -> np.ndarray:
        return self.inner.wte.weight.numpy()

    def position_table(self) -> np.ndarray:
        return self.inner.wpe.weight.numpy()

    def all_ids(self):
        return [self.ids]

    def stacks(self):
        return {self.stack: list(self.inner.h)}

    def streams(self):
        name = self.stack
        yield "embedding", self.acts[f"{name}.wte"] + self.acts[f"{name}.wpe"]
        yield from ((f"layer {i}", self.acts[f"{name}.h.{i}"]) for i in range(self.n_layer))


class MaskedSubject(_Stack):
    """A MaskedLM. With blanks in the prompt these are filled; without, each token is made a blank in turn."""

    kind = "masked language model, fills blanks from both sides"

    def __init__(self, model, *args, **kwargs):
        super().__init__(model, *args, **kwargs)
        self.mask_id = mask_token(self.tok)
        self.blanks = np.flatnonzero(self.ids == self.mask_id)  # (N,)

    def encode(self, text):
        text = text.replace(BLANK, MASK)
        return self.tok.encode(text.replace(" " + MASK, MASK) if isinstance(self.tok, BPETokenizer) else text)

    def masked(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows (N, T), places (N,)): row n has a blank at place n that is to be filled."""
        if self.mask_id is None:
            raise NotShownError(f"the tokenizer has no {MASK} token")
        if len(self.blanks):
            return np.repeat(self.ids[None], len(self.blanks), axis=0), self.blanks
        if len(self.ids) < 2:
            raise NotShownError("a blank alone has nothing around it to be filled from")
        rows = np.repeat(self.ids[None], len(self.ids), axis=0)  # (T, T)
        np.fill_diagonal(rows, self.mask_id)
        return rows, np.arange(len(self.ids))

    def loss(self):
        """Mean loss at the places that are masked one by one, a Tensor."""
        if len(self.blanks):
            raise NotShownError("the prompt has blanks, and what belongs there is not known: there is no loss")
        rows, places = self.masked()
        targets = np.full(rows.shape, -100)
        targets[np.arange(len(rows)), places] = self.ids[places]
        return self.model(rows, targets)[1]

    @functools.cached_property
    def lens(self) -> np.ndarray:
        """ln p (L + 1, N, V) at each blank if the model ended after each layer; special tokens have none."""
        from ..inspect import capture

        rows, places = self.masked()
        with self.model.evaluating(), capture(self.model, copy=True) as acts:
            self.model(rows)
            streams = [
                acts["encoder.wte"] + acts["encoder.wpe"],
                *(acts[f"encoder.h.{i}"] for i in range(self.n_layer)),
            ]
            encoder, n = self.model.encoder, np.arange(len(rows))
            logits = np.stack([encoder.wte.scores(encoder.ln_f(Tensor(x[n, places]))).numpy() for x in streams]).astype(
                np.float64
            )  # (L + 1, N, V)
        logits[..., list(self.tok.special_tokens.values())] = -np.inf
        return log_softmax(logits)


@section(
    "blanks",
    "What fills the blanks?",
    "The likeliest token for each blank, by layer; where the prompt has no blank, each of its tokens was made one in "
    "turn, and the right answers are framed.",
    "The last row is what the model answers, the rows above what it would say if it stopped earlier; point at a cell "
    "for the other candidates.",
    ("surprise", "attention-grid"),
)
def blanks(s):
    _, places = s.masked()
    ids = best(s.lens, min(SHOWN, s.tok.vocab_size - len(s.tok.special_tokens)))  # (L + 1, N, k)
    p = np.exp(np.take_along_axis(s.lens, ids, axis=-1))
    names = [[s.texts(cell) for cell in row] for row in ids]
    rows = ["embedding", *(f"layer {i}" for i in range(s.n_layer))]
    targets = None if len(s.blanks) else s.texts(s.ids)
    note = "The likeliest token at each blank after each layer; the colour is its probability."
    labels = [s.tokens[k] for k in places]
    return LogitLens(labels, p, names, rows, targets, "Candidates for each blank", note)


@section(
    "surprise",
    "Which tokens surprise the model?",
    "The prompt, each token coloured by −ln p(token | all others) in nats: what it costs the model when that token "
    "alone is a blank.",
    "Strongly coloured tokens do not follow from what stands around them; the sum over the text is its "
    "pseudo-log-likelihood (Salazar et al. 2020).",
    ("blanks",),
)
def surprise_of_both_sides(s):
    if len(s.blanks):
        raise NotShownError("the prompt has blanks of its own")
    s.masked()
    cost = -s.lens[-1, np.arange(len(s.ids)), s.ids]
    if not np.isfinite(cost).all():
        raise NotShownError("the prompt has special tokens, which never fill a blank")
    note = f"Mean {cost.mean():.3f} nats per token, each from all others."
    return TokenScores(s.tokens, {"surprise, nats": cost}, title="Surprise", note=note)


MaskedSubject.views = (
    blanks, surprise_of_both_sides, attention_grid, head_view, rollout, head_scores_on_repeats, embeddings, positions,
    layer_statistics, histograms,
)  # fmt: skip


class ClassifierSubject(_Stack):
    """An EncoderClassifier or a GPTClassifier."""

    def __init__(self, model, *args, **kwargs):
        self.stack = "gpt" if isinstance(model, GPTClassifier) else "encoder"
        self.kind = "classifier on a GPT" if self.stack == "gpt" else "classifier on an encoder that reads both ways"
        super().__init__(model, *args, **kwargs)

    @property
    def classes(self) -> list[str]:
        return list(self.model.config.classes if isinstance(self.model, EncoderClassifier) else self.model.class_names)

    @property
    def by_token(self) -> bool:
        return getattr(self.model, "level", "sequence") == "token"

    def facts(self):
        return {**super().facts(), "classes": ", ".join(self.classes)}

    def logits(self, ids):
        """Tensor (n, K) of texts, or (n, T, K) of their tokens."""
        out = self.model(ids)
        return out[0] if isinstance(out, tuple) else out

    def by_layer(self) -> np.ndarray:
        """Logits after each layer, as the head would read its stream: (L + 1, K), or (L + 1, T, K) by token."""
        m, out = self.model, []
        with m.evaluating():
            for _, x in self.streams():
                hidden = self.inner.ln_f(Tensor(x[None])).numpy()[0]  # (T, C)
                if not self.by_token:
                    pooling = m.pooling if self.stack == "gpt" else m.config.pooling
                    hidden = {"mean": hidden.mean(axis=0), "last": hidden[-1], "first": hidden[0]}[pooling]  # (C,)
                out.append(m.head(Tensor(hidden)).numpy())
        return np.stack(out)


@section(
    "classes",
    "Which class, and since which layer?",
    "The probability of each class, as the head would read it off the stream after each layer; the last column is the "
    "model's answer. A model that judges every token has the tokens as columns instead.",
    "See in which layer the answer appears; early layers were never trained to be read like this, so what they say is "
    "a tendency at best.",
    ("influence",),
)
def classes(s):
    p = np.exp(log_softmax(s.by_layer()))
    words = {"rows": s.classes, "row": "class", "words": "probability, 0 to 1", "high": 1.0}
    if s.by_token:
        return HeatMaps(
            {"probability": p[-1].T},
            columns=s.tokens,
            column="token",
            tokens=True,
            title="Class of each token",
            **words,
        )
    answer = s.classes[int(p[-1].argmax())]
    columns = ["embedding", *(f"layer {i}" for i in range(s.n_layer))]
    title = f"Answer: {answer}, probability {p[-1].max():.3f}"
    return HeatMaps({"probability": p.T}, columns=columns, column="", title=title, **words)


@section(
    "influence",
    "Which tokens made it that class?",
    "The prompt twice: how far the log-probability of the answer falls with the mean embedding in a token's place, "
    "and how steeply it depends on the token's embedding.",
    "Blue tokens speak for the answer, vermilion ones against it; the slope has no sign and says where a small change "
    "would matter, not which way.",
    ("classes", "rollout"),
)
def influence(s):
    if s.by_token:
        raise NotShownError("the model judges every token, there is no one answer for the text")
    answer, drop, slope = occlusion_and_slope(s, f"{s.stack}.wte", s.logits)
    scores = {"occlusion, nats": drop, "slope, nats per unit": slope}
    return TokenScores(s.tokens, scores, title=f"Why {s.classes[answer]}?")


ClassifierSubject.views = (classes, influence, attention_grid, head_view, rollout, embeddings, positions, histograms)
