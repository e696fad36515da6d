"""Which tokens of the prompt made the model predict that token? Three answers, side by side.

occlusion         how far the log-probability of the target falls when a token is replaced by a neutral one. What is
                  asked is what is measured, at the price of one more run for each token; but the replaced text may be
                  like no text that the model has read. (Zeiler & Fergus 2014, section 4.2; Li, Monroe & Jurafsky 2016)
gradient × input  Σ_c e_c · ∂ log p(target) / ∂ e_c for the token's embedding e: the drop that the slope promises if
                  e is taken away (replaced by 0). Exact for a linear model, one backward pass for all tokens, wrong
                  where the model is curved or saturated. (Denil et al. 2014; Shrikumar et al. 2016)
rollout           how attention, mixed over all layers, reads the tokens (inspect/rollout.py). It knows neither the
                  target nor the values that are read, and no sign.

Attention is not explanation: other attention weights often give the same prediction (Jain & Wallace 2019, "Attention
is not explanation"); whether that matters depends on what an explanation is for (Wiegreffe & Pinter 2019, "Attention
is not not explanation"). Where the three disagree, believe occlusion about the prediction, and ask why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import functional as F
from ..backend import current_row
from ..errors import ArgumentError, ShapeError
from ..observe import observing
from ..tensor import Tensor, accumulate, backward_steps
from .capture import attention_weights
from .rollout import attention_rollout

CAUTION = (
    "Attention is not explanation: rollout shows what was read, occlusion what mattered to this prediction "
    "(Jain & Wallace 2019; Wiegreffe & Pinter 2019)."
)
OF = ("log-probability", "logit")
ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class Explanation:
    """Scores of the T tokens of a prompt for one predicted token.

    tokens, ids         of the prompt: T strings, (T,) int64
    target, target_id   the predicted token
    log_prob            ln p(target | prompt), nats
    occlusion           (T,) fall of `of` when the token is made neutral; negative: the token speaks against the target
    gradient_input      (T,) in the same unit
    rollout             (T,) share of the last position; they sum to 1
    of, neutral         what was explained, and what tokens were replaced by
    """

    tokens: list[str]
    ids: np.ndarray
    target: str
    target_id: int
    log_prob: float
    occlusion: np.ndarray
    gradient_input: np.ndarray
    rollout: np.ndarray
    of: str
    neutral: str
    caution: str = CAUTION

    def view(self):
        """A picture (minigpt.viz.TokenScores): the prompt three times, its tokens coloured by each score."""
        from ..viz import TokenScores

        scores = {
            "occlusion, nats": self.occlusion,
            "gradient × input, nats": self.gradient_input,
            "attention rollout, share": self.rollout,
        }
        title = f"Why {self.target!r}? p = {np.exp(self.log_prob):.3f}"
        note = f"Occlusion: fall of its {self.of} with {self.neutral} in a token's place. {self.caution}"
        return TokenScores(self.tokens, scores, title=title, note=note)

    def _repr_html_(self):
        """What a notebook shows."""
        return self.view().to_html()

    def table(self) -> str:
        """One line for each token: the three scores."""
        lines = [
            f"target {self.target!r}, log p = {self.log_prob:.3f}",
            f"{'occlusion':>10}{'grad×inp':>10}{'rollout':>9}",
        ]
        for token, *scores in zip(self.tokens, self.occlusion, self.gradient_input, self.rollout, strict=True):
            lines.append(f"{scores[0]:>+10.3f}{scores[1]:>+10.3f}{scores[2]:>9.3f}  {token!r}")
        return "\n".join([*lines, self.caution])

    def __repr__(self):
        return f"Explanation({''.join(self.tokens)!r} -> {self.target!r}, log p = {self.log_prob:.3f})"


def explain(model, tok, prompt, target=None, of="log-probability", neutral="mean") -> Explanation:
    """Explain why `model` predicts `target` after `prompt`.

    prompt:   text, at most block_size tokens of it
    target:   text of exactly one token, or its id; None: the likeliest token
    of:       "log-probability", or "logit": the score before the softmax, which other tokens' logits do not move
    neutral:  what a token is replaced by in occlusion: "mean", the mean of all embeddings; "zero"; or the text of
              one token
    tok=None takes model.tokenizer. The position embedding stays. Parameters and their gradients are left as they are.
    Raises ArgumentError, ShapeError (empty or too long a prompt), TokenizerError.
    """
    tok = model.tokenizer if tok is None else tok
    if of not in OF:
        raise ArgumentError(f"of is one of {', '.join(OF)}; got {of!r}")
    ids = np.array(tok.encode(prompt), np.int64)  # (T,)
    block = model.config.block_size
    if not 1 <= len(ids) <= block:
        raise ShapeError(f"explain needs a prompt of 1 to {block} tokens (block_size), got {len(ids)}")
    with model.evaluating():
        logits = model(ids[None])[0].numpy()[0, -1].astype(np.float64)  # (V,)
    target_id = int(logits.argmax()) if target is None else _one_token(tok, target, "target")
    log_prob = float(logits[target_id] - logits.max() - np.log(np.exp(logits - logits.max()).sum()))
    return Explanation(
        tokens=[tok.decode([i]) for i in ids],
        ids=ids,
        target=tok.decode([target_id]),
        target_id=target_id,
        log_prob=log_prob,
        occlusion=occlusion(model, ids, target_id, of, _neutral_embedding(model, tok, neutral)),
        gradient_input=gradient_times_input(model, ids, target_id, of),
        rollout=attention_rollout(attention_weights(model, ids))[-1],
        of=of,
        neutral={"mean": "the mean embedding", "zero": "nothing (zeros)"}.get(neutral, repr(neutral)),
    )


def occlusion(model, ids, target_id: int, of: str, neutral: np.ndarray) -> np.ndarray:
    """score(ids) − score(ids with the embedding of token i replaced by `neutral` (C,)), for every i. (T,) -> (T,)"""
    T = len(ids)
    with model.evaluating():
        e = model.wte(ids).numpy()  # (T, C)
        whole = _score(_from_embeddings(model, ids[None], _tensor(e[None])), target_id, of).item()
        drops = []
        for first in range(0, T, ROWS_AT_ONCE):
            occluded = np.arange(first, min(first + ROWS_AT_ONCE, T))  # (n,)
            rows = np.repeat(e[None], len(occluded), axis=0)  # (n, T, C)
            rows[np.arange(len(occluded)), occluded] = neutral
            logits = _from_embeddings(model, np.repeat(ids[None], len(occluded), axis=0), _tensor(rows))  # (n, T, V)
            drops.append(whole - _score(logits, target_id, of).numpy())
    return np.concatenate(drops).astype(np.float64)


def gradient_times_input(model, ids, target_id: int, of: str) -> np.ndarray:
    """Σ_c e_ic · ∂ score / ∂ e_ic for the embedding e of every token i. ids (T,) -> (T,)

    Gradients of the parameters, which the backward pass meets too, are thrown away.
    """
    modes = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    try:
        e = _tensor(model.wte(ids[None]).numpy(), requires_grad=True)  # (1, T, C), a leaf: the graph begins here
        score = _score(_from_embeddings(model, ids[None], e), target_id, of).sum()

        def keep(tensor, grad, row, fresh):
            if tensor is e:
                accumulate(tensor, grad, row, fresh)

        for _ in backward_steps(score, into=keep):
            pass
    finally:
        for module, mode in modes:
            module.training = mode
    gradient = Tensor(e.grad).numpy()  # (1, T, C)
    return (gradient * e.numpy()).sum(axis=-1)[0].astype(np.float64)


def _tensor(array: np.ndarray, requires_grad: bool = False) -> Tensor:
    """A Tensor where the current row keeps its arrays."""
    return Tensor(current_row().from_host(array), requires_grad=requires_grad)


def _score(logits: Tensor, target_id: int, of: str) -> Tensor:
    """Of the target at the last position. logits (n, T, V) -> (n,)"""
    last = logits[:, -1]  # (n, V)
    return (F.log_softmax(last) if of == "log-probability" else last)[:, target_id]


class _Embeddings:
    """An observer that gives values of its own in place of the token embedding's output."""

    def __init__(self, embedding, values: Tensor):
        self.embedding, self.values = embedding, values

    def around_module(self, module, args, kwargs, proceed):
        return self.values if module is self.embedding else proceed()


def _from_embeddings(model, ids, values: Tensor) -> Tensor:
    """The logits (n, T, V) if the tokens had these embeddings (n, T, C)."""
    with observing(_Embeddings(model.wte, values)):
        logits, _ = model(ids)
    return logits


def _neutral_embedding(model, tok, neutral) -> np.ndarray:
    """(C,)"""
    table = model.wte.weight.numpy()  # (V, C)
    if neutral == "mean":
        return table.mean(axis=0)
    if neutral == "zero":
        return np.zeros_like(table[0])
    return table[_one_token(tok, neutral, "neutral")]


def _one_token(tok, wanted, name: str) -> int:
    """The id of a text that is one token."""
    if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        tok.decode([wanted])  # refuses an id outside the vocabulary
        return int(wanted)
    if not isinstance(wanted, str):
        raise ArgumentError(f"{name} is the text of one token or its id, got {wanted!r}")
    ids = tok.encode(wanted)
    if len(ids) != 1:
        pieces = [tok.decode([i]) for i in ids]
        raise ArgumentError(f"{name} needs to be one token, but {wanted!r} is {len(ids)}: {pieces}; pass one of them")
    return ids[0]
