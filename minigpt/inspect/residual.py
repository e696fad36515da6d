"""The residual stream of a GPT as a sum: who wrote what into it, and what it would predict halfway.

    x = wte[ids] + wpe[positions] + Σ_l (Σ_h head_lh + bias_l + mlp_l)

Every part is a vector (C,) at every position, so that the stream is their sum (Elhage et al. 2021). Reading the stream
after each block with the model's own last norm and head is the logit lens (nostalgebraist 2020). With the deviation of
the last norm held fixed the logit is linear in the stream, and each part has its share: direct logit attribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..models import GPT
from ..tensor import Tensor
from .capture import capture


@dataclass(frozen=True)
class Decomposition:
    """names: N parts, such as "embedding", "h.0.attn.head.1", "h.1.mlp"; parts (N, T, C); residual (T, C): the sum."""

    names: list[str]
    parts: np.ndarray
    residual: np.ndarray


@dataclass(frozen=True)
class Lens:
    """names: the embeddings and each block; logits (L + 1, T, V) that the stream would give there."""

    names: list[str]
    logits: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        e = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)  # (L + 1, T, V)

    def top(self, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """(ids, probabilities), (L + 1, T, k) each, the likeliest first."""
        p = self.probabilities
        ids = np.argsort(-p, axis=-1, kind="stable")[..., :k]  # (L + 1, T, k)
        return ids, np.take_along_axis(p, ids, axis=-1)


@dataclass(frozen=True)
class Attribution:
    """names: N parts and "ln_f.bias"; shares (N + 1,) of the logit, or of the difference of two logits, in nats."""

    names: list[str]
    shares: np.ndarray
    logit: float

    def table(self) -> str:
        """The largest first."""
        order = np.argsort(-np.abs(self.shares))
        return "\n".join(f"{self.shares[i]:>+9.3f}  {self.names[i]}" for i in order) + f"\n{self.logit:>+9.3f}  sum"


def decompose(model, ids) -> Decomposition:
    """The residual stream before the last norm, by who wrote it. ids (T,); raises ArgumentError for another family."""
    L = range(len(_gpt(model).h))
    wanted = ["wte", "wpe", *(f"h.{i}.attn.heads" for i in L), *(f"h.{i}.mlp" for i in L), f"h.{L[-1]}"]
    acts = _stream(model, ids, wanted)
    names, parts = ["embedding", "position"], [acts["wte"][0], acts["wpe"].reshape(acts["wte"][0].shape)]
    for i, block in enumerate(model.h):
        heads = acts[f"h.{i}.attn.heads"][0]  # (H, T, D)
        weight, bias = block.attn.c_proj.weight.numpy(), block.attn.c_proj.bias  # (C, C), (C,)
        D = heads.shape[-1]
        for h in range(len(heads)):
            names.append(f"h.{i}.attn.head.{h}")
            parts.append(heads[h] @ weight[h * D : (h + 1) * D])  # (T, C)
        if bias is not None:
            names.append(f"h.{i}.attn.bias")
            parts.append(np.broadcast_to(bias.numpy(), parts[0].shape))
        names.append(f"h.{i}.mlp")
        parts.append(acts[f"h.{i}.mlp"][0])
    return Decomposition(names, np.stack(parts), acts[f"h.{L[-1]}"][0])


def logit_lens(model, ids) -> Lens:
    """What the model would predict if it ended after each block. ids (T,); the last layer's are the model's logits."""
    L = len(_gpt(model).h)
    acts = _stream(model, ids, ["wte", "wpe", *(f"h.{i}" for i in range(L))])
    streams = [acts["wte"] + acts["wpe"], *(acts[f"h.{i}"] for i in range(L))]  # (1, T, C) each
    with model.evaluating():
        logits = [model.wte.scores(model.ln_f(Tensor(x))).numpy()[0] for x in streams]  # (T, V) each
    return Lens(["embedding", *(f"h.{i}" for i in range(L))], np.stack(logits))


def logit_attribution(model, ids, target: int, versus: int | None = None, position: int = -1) -> Attribution:
    """What each part of the stream adds to the logit of `target` at a position, or to its lead over `versus`.

    Each part goes through the last norm with the deviation of the whole stream, which makes the shares add up to the
    logit; a part that makes the stream longer, and so all others smaller, is not blamed for it.
    """
    found = decompose(model, ids)
    V = model.config.vocab_size
    for name, token in (("target", target), ("versus", versus)):
        if token is not None and not 0 <= token < V:
            raise ArgumentError(f"logit_attribution: {name} is a token id from 0 to {V - 1}, got {token}")
    table = model.wte.weight.numpy().astype(np.float64)
    direction = table[target] - (0 if versus is None else table[versus])  # (C,)
    x = found.residual[position].astype(np.float64)  # (C,)
    deviation = np.sqrt(x.var() + model.config.layer_norm_eps)
    parts = found.parts[:, position].astype(np.float64)  # (N, C)
    centred = (parts - parts.mean(axis=-1, keepdims=True)) / deviation
    shares = centred * model.ln_f.weight.numpy() @ direction  # (N,)
    bias = 0.0 if model.ln_f.bias is None else model.ln_f.bias.numpy() @ direction
    return Attribution([*found.names, "ln_f.bias"], np.append(shares, bias), float(shares.sum() + bias))


@dataclass(frozen=True)
class ScoreBreakdown:
    """One score of one head, channel by channel: q, k, products (D,), q_d k_d / sqrt(D); running: their sum so far."""

    q: np.ndarray
    k: np.ndarray
    products: np.ndarray

    @property
    def running(self) -> np.ndarray:
        return np.cumsum(self.products)


def neuron_breakdown(model, ids, layer: int, head: int, i: int, j: int) -> ScoreBreakdown:
    """Why token i looks at token j: the score before the softmax as a sum over the head's channels."""
    acts = _stream(model, ids, [f"h.{layer}.attn.q", f"h.{layer}.attn.k"])
    q, k = acts[f"h.{layer}.attn.q"][0, head, i], acts[f"h.{layer}.attn.k"][0, head, j]  # (D,)
    return ScoreBreakdown(q, k, q * k / np.sqrt(q.size))


def _gpt(model) -> GPT:
    if not isinstance(model, GPT):
        raise ArgumentError(
            f"this reads the residual stream of a GPT, got {type(model).__name__}; capture works for all"
        )
    return model


def _stream(model, ids, names):
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ShapeError(f"one prompt at a time: ids (T,), got {ids.shape}")
    with _gpt(model).evaluating(), capture(model, names, copy=True) as acts:
        model(ids[None])
    return acts
