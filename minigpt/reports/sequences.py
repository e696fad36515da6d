"""Models that turn one sequence into another: which source token each target token reads."""

from __future__ import annotations

import functools

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..generation.translate import before_end
from ..inspect import recurrent_states
from ..models import EncoderDecoder
from ..viz import AttentionGrid, CrossAttention, HeatMaps, SamplingSteps, TokenScores
from .common import embeddings, histograms, layer_statistics
from .recurrent import gate_maps, state_maps
from .subject import NotShownError, Subject, best, log_softmax, section

CANDIDATES = 8
LONGEST_ANSWER = 64


class SequenceSubject(Subject):
    """An EncoderDecoder or a RecurrentSeq2Seq; the prompt is the source.

    target         text, or None: what the model answers
    src_tokenizer  of the source, where that is another
    Attributes: those of Subject, of the source; `target` ids (T,), the answer with its end; `target_in` (T,), what the
    decoder reads: start_id and the target without its last; `answers` T strings, `reads` T strings.
    """

    def __init__(self, model, tok, prompt, max_tokens=None, layers=None, target=None, src_tokenizer=None):
        self.is_transformer = isinstance(model, EncoderDecoder)
        self.n_layer = len(model.decoder) if self.is_transformer else 1
        self.kind = "encoder–decoder" if self.is_transformer else "recurrent encoder–decoder with attention"
        if getattr(model.config, "src_vocab_size", None) is not None and src_tokenizer is None:
            raise ArgumentError("source and target of this model have tables of their own: pass src_tokenizer= as well")
        self.src_tok = src_tokenizer
        super().__init__(model, tok, prompt, max_tokens, layers)
        end, start = model.config.end_id, model.config.start_id
        longest = min(self.most_tokens() or LONGEST_ANSWER, LONGEST_ANSWER)
        if target is None:
            written = before_end(model.generate(self.ids[None], longest)[0], end)
            ids = [*written, end] if len(written) < longest else list(written)
        else:
            ids = [*self.tok.encode(target), end]
            if len(ids) > (self.most_tokens() or len(ids)):
                raise ShapeError(
                    f"the target has {len(ids)} tokens with its end, more than block_size = {self.most_tokens()}"
                )
            ids = ids[: LONGEST_ANSWER if max_tokens is None else max_tokens]
        self.given = target is not None
        self.target = np.array(ids, np.int64)  # (T,)
        self.target_in = np.array([start, *ids[:-1]], np.int64)  # (T,)
        self.answers, self.reads = self.texts(self.target), self.texts(self.target_in)

    @staticmethod
    def views_of(model):
        return TRANSFORMER if isinstance(model, EncoderDecoder) else RECURRENT

    def prompt_tokenizer(self):
        return self.src_tok or self.tok

    def facts(self):
        c, found = self.model.config, super().facts()
        if getattr(c, "n_decoder_layer", None):
            layers = f"{c.n_layer} layers"
            found["shape"] = found["shape"].replace(
                layers, f"{layers} of the encoder and {self.n_layer} of the decoder"
            )
        return found

    def texts_of_prompt(self):
        answer = "Target, as given" if self.given else "Target, the model's answer"
        return [("Source", self.tokens), (answer, self.answers)]

    def run(self):
        return self.model(self.ids[None], self.target_in[None])

    def loss(self):
        return self.model(self.ids[None], self.target_in[None], self.target[None])[1]

    @functools.cached_property
    def log_p(self) -> np.ndarray:
        """(T, V): what the decoder expects at each place of the target."""
        return log_softmax(self.acts["output"])

    @functools.cached_property
    def cross(self) -> np.ndarray:
        """(L, H, T, S)"""
        if self.is_transformer:
            return self.weights("decoder.{}.cross.weights", self.n_layer)
        return self.acts["attention.weights"][None]

    @property
    def _table(self):
        return self.model.wte if self.is_transformer else self.model.tgt_emb

    def token_table(self):
        return self._table.weight.numpy()

    def all_ids(self):
        return [self.target_in, self.target] if self.src_tok else [self.ids, self.target_in, self.target]

    def stacks(self):
        return {"encoder": list(self.model.encoder), "decoder": list(self.model.decoder)}

    def streams(self):
        for side in ("encoder", "decoder"):
            if self.is_transformer:
                for i in range(len(getattr(self.model, side))):
                    yield f"{side} {i}", self.acts[f"{side}.{i}"]
            else:
                for i, found in enumerate(self.states(side)):
                    yield f"{side} {i}", found["state"]

    def states(self, side: str) -> list[dict[str, np.ndarray]]:
        """Of the LSTM on one side; the decoder begins where the encoder ended."""
        if side == "encoder":
            return recurrent_states(self.model.encoder, self.acts["src_emb"])
        with self.model.evaluating():
            _, state = self.model.encode(self.ids[None])
        return recurrent_states(self.model.decoder, self.acts["tgt_emb"], state)


@section(
    "answer",
    "What did it expect at each step?",
    "The target token by token, with the likeliest candidates that the decoder had at each place and their "
    "probabilities; the target's own token is framed.",
    "Where the framed token is not the first, the model would have written something else there; if the target is the "
    "model's own answer, every framed token is the likeliest one.",
    ("surprise", "cross-attention"),
)
def answer(s):
    shown = best(s.log_p, min(CANDIDATES, s.log_p.shape[1]))  # (T, K)
    for row, token in zip(shown, s.target, strict=True):
        if token not in row:
            row[-1] = token
    p = np.exp(np.take_along_axis(s.log_p, shown, axis=1))  # (T, K)
    drawn = (shown == s.target[:, None]).argmax(axis=1)
    names = [s.texts(row) for row in shown]
    return SamplingSteps(["model"], names, p[:, None], drawn, ids=shown, title="The target, place by place")


@section(
    "surprise",
    "Which target tokens surprise the model?",
    "The target, each token coloured by −ln p(token | source, target so far) in nats.",
    "The mean is the loss of the model on this pair; strong colour is where it was least sure.",
    ("answer",),
)
def surprise(s):
    cost = -s.log_p[np.arange(len(s.target)), s.target]
    note = f"Mean {cost.mean():.3f} nats per token, the end included."
    return TokenScores(s.answers, {"surprise, nats": cost}, title="Surprise", note=note)


def _cross(s) -> CrossAttention:
    layers = s.layers if s.is_transformer else [0]
    return CrossAttention(s.cross[layers], s.reads, s.tokens, layers=layers)


@section(
    "cross-attention",
    "Which source tokens does each step read?",
    "One map for each layer and head of the decoder: rows are the target tokens that the decoder has just read, "
    "columns the tokens of the source.",
    "A bright diagonal means that the answer follows the order of the source; a row is what was read to write the "
    "token after the one it names.",
    ("cross-lines", "answer"),
    attention=True,
)
def cross_attention(s):
    return _cross(s)


@section(
    "cross-lines",
    "Who reads what of the source?",
    "The same weights as lines, from the target on the left to the source on the right, one colour for each head.",
    "Point at a source token to see which steps used it: one that nobody reads was lost to the answer, or was taken "
    "up by its neighbours in the encoder.",
    ("cross-attention",),
    attention=True,
)
def cross_lines(s):
    from ..viz.heads import MOST_HEADS

    if s.cross.shape[1] > MOST_HEADS:
        raise NotShownError(f"more than {MOST_HEADS} heads cannot be told apart by colour")
    return _cross(s).lines()


@section(
    "encoder-attention",
    "How does the source read itself?",
    "The encoder's own attention: every token of the source may look at all others, before and after it.",
    "Rows are the tokens that read, columns those that are read; stripes off the diagonal are heads that look a fixed "
    "distance ahead or back.",
    ("cross-attention",),
    attention=True,
)
def encoder_attention(s):
    L = len(s.model.encoder)
    layers = [layer for layer in s.layers if layer < L]
    if not layers:
        raise NotShownError(f"the encoder has layers 0 to {L - 1} only")
    weights = s.weights("encoder.{}.attn.weights", L)[layers]
    return AttentionGrid(weights, s.tokens, "Attention within the source", causal=False, layers=layers)


@section(
    "decoder-attention",
    "How does the target read itself?",
    "The decoder's attention to what it has written so far; later tokens are masked, and grey.",
    "Compare with the cross-attention: a model that copies reads the source, one that continues by habit reads itself.",
    ("cross-attention",),
    attention=True,
)
def decoder_attention(s):
    weights = s.weights("decoder.{}.attn.weights", s.n_layer)[s.layers]
    return AttentionGrid(weights, s.reads, "Attention within the target", layers=s.layers)


@section(
    "encoder-states",
    "What does the encoder keep in mind?",
    "The states of the encoder's units after each token of the source; attention reads these columns.",
    "A row that keeps its colour over many tokens remembers something of the source.",
    ("decoder-states", "cross-attention"),
)
def encoder_states(s) -> HeatMaps:
    return state_maps(s.states("encoder"), s.tokens, "States of the encoder")


@section(
    "decoder-states",
    "What does the decoder keep in mind?",
    "The states of the decoder's units after each target token that it has read; the first comes from the encoder's "
    "end.",
    "Rows that change with every token follow the text, rows that change once mark a point reached.",
    ("encoder-states", "gates"),
)
def decoder_states(s) -> HeatMaps:
    return state_maps(s.states("decoder"), s.reads, "States of the decoder")


@section(
    "gates",
    "When does the decoder write, and when does it forget?",
    "The mean opening of the decoder's gates at each target token, from 0 (shut) to 1 (open).",
    "A forget gate near 1 keeps what was there; where it falls, old content is dropped.",
    ("decoder-states",),
)
def decoder_gates(s) -> HeatMaps:
    return gate_maps(s.states("decoder"), s.reads, "Gates of the decoder")


TRANSFORMER = (
    answer, surprise, cross_attention, cross_lines, encoder_attention, decoder_attention, embeddings, layer_statistics,
    histograms,
)  # fmt: skip
RECURRENT = (
    answer, surprise, cross_attention, cross_lines, encoder_states, decoder_states, decoder_gates, embeddings,
    histograms,
)  # fmt: skip
