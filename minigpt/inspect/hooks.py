"""Running a model with values replaced on the way: hooks, and what is made of them, ablation and patching.

hook       a function of yours at named points
ablation   take a head or an MLP out: does the model need it?
patching   put in what another prompt gave there: does that carry the difference between the two? (Vig et al. 2020;
           Meng et al. 2022, "Locating and editing factual associations in GPT", section 2)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from .. import functional as F
from ..backend import current_row
from ..errors import ArgumentError, ShapeError
from ..nn import MLP, MultiHeadAttention
from ..observe import observing
from ..tensor import Tensor
from .capture import capture
from .points import NamedPoints, matches, refuse_unmatched


class _Hooks(NamedPoints):
    """The observer behind `hooked`."""

    def __init__(self, model, hooks):
        super().__init__(model)
        self.hooks, self.met = hooks, {}  # names met, in order

    def at(self, name, value):
        self.met[name] = True
        for pattern, hook in self.hooks.items():
            if matches(name, pattern):
                new = hook(value, name)
                if new is not None:
                    value = self._checked(name, value, new)
        return value

    def at_step(self, name, t, T, value):
        self.met[name] = True
        at_t = f"{name}.{t}"
        for pattern, hook in self.hooks.items():
            if matches(at_t, pattern) or matches(name, pattern):
                self.met[at_t] = True
                new = hook(value, at_t)
                if new is not None:
                    value = self._checked(at_t, value, new)
        return value

    def _checked(self, name, value, new) -> Tensor:
        new = new if isinstance(new, Tensor) else Tensor(current_row().from_host(np.asarray(new, value.dtype)))
        if new.shape != value.shape:
            raise ShapeError(f"the hook at {name!r} gave shape {new.shape} in place of {value.shape}")
        return new


@contextmanager
def hooked(model, hooks: dict[str, Callable]):
    """Inside the block every named point that matches a key of `hooks` goes through hook(value, name).

    value:  a Tensor; the hook returns a Tensor or array of the same shape, or None to leave it. What it computes with
            Tensors has gradients.
    Names as in `capture`, with wildcards. What a recurrent layer has at every step, such as "rnn.l0.f", goes through
    the hook step by step, (B, hidden), as "rnn.l0.f.0", "rnn.l0.f.1" …; each of these may be a key of its own.
    Raises ArgumentError at the end of the block for a name that was never met.
    """
    observer = _Hooks(model, hooks)
    with observing(observer):
        yield
    refuse_unmatched(hooks, observer.met)


def run_with_hooks(model, *args, hooks: dict[str, Callable], **kwargs):
    """model(*args, **kwargs) inside `hooked(model, hooks)`."""
    with hooked(model, hooks):
        return model(*args, **kwargs)


# --- ablation -----------------------------------------------------------------------------------------------------


@contextmanager
def ablate(model, heads=(), mlps=(), how: str = "zero", reference=None):
    """Inside the block these heads and MLPs put out nothing of their own.

    heads:      (layer, head) pairs; layer is the number of an attention in the order of the model, or its name
    mlps:       layers likewise
    how:        "zero"; or "mean": their average over all tokens of `reference`, ids or a tuple of arguments:
                less far from what the rest of the model is used to
    With neither heads nor MLPs nothing changes. Raises ArgumentError for a layer or head that does not exist.
    """
    if how not in ("zero", "mean"):
        raise ArgumentError(f"ablate: how is 'zero' or 'mean', got {how!r}")
    if how == "mean" and reference is None:
        raise ArgumentError("ablate: a mean needs reference=ids to take it over")
    by_layer: dict[str, list[int]] = {}
    for layer, head in heads:
        name, module = _named(model, MultiHeadAttention, layer)
        if not isinstance(head, int | np.integer) or not 0 <= head < module.n_head:
            raise ArgumentError(f"ablate: {name} has heads 0 to {module.n_head - 1}, got {head!r}")
        by_layer.setdefault(f"{name}.heads", []).append(int(head))
    outputs = [_named(model, MLP, layer)[0] for layer in mlps]
    means = _means(model, [*by_layer, *outputs], reference) if how == "mean" else {}
    hooks: dict[str, Callable] = {name: _without_heads(which, means.get(name)) for name, which in by_layer.items()}
    hooks |= {name: _replaced_by(means.get(name)) for name in outputs}
    if not hooks:
        yield
        return
    with hooked(model, hooks):
        yield


def _named(model, kind, layer):
    """(name, module) of a layer of that kind, by number or by name."""
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, kind)]
    if isinstance(layer, str):
        for name, module in found:
            if layer in (name, name.rpartition(".")[0]):
                return name, module
    elif isinstance(layer, int | np.integer) and 0 <= layer < len(found):
        return found[layer]
    known = ", ".join(f"{k} ({name})" for k, (name, _) in enumerate(found)) or "none"
    raise ArgumentError(f"ablate: this model has no {kind.__name__} {layer!r}; there are {known}")


def _means(model, names, reference):
    """name -> the average over batch and tokens, with axes of length 1 in their place."""
    with model.evaluating(), capture(model, names, copy=True) as acts:
        model(*(reference if isinstance(reference, tuple) else (np.atleast_2d(np.asarray(reference)),)))
    return {name: acts[name].mean(axis=(0, -2), keepdims=True) for name in names}


def _without_heads(which, mean):
    def hook(value, name):  # (B, H, T, D)
        keep = np.ones((1, value.shape[1], 1, 1), bool)
        keep[0, which] = False
        return F.where(keep, value, np.zeros((), value.dtype) if mean is None else mean.astype(value.dtype))

    return hook


def _replaced_by(mean):
    def hook(value, name):  # (B, T, C)
        return np.broadcast_to(np.zeros((), value.dtype) if mean is None else mean, value.shape)

    return hook


# --- patching -----------------------------------------------------------------------------------------------------


class _Patches(_Hooks):
    """The observer behind `patch`."""

    def __init__(self, model, chosen, positions):
        super().__init__(model, {})
        self.chosen, self.positions = chosen, positions

    def at(self, name, value):
        self.met[name] = True
        if name not in self.chosen:
            return value
        other = self._other(name, value.shape)
        if self.positions is not None:
            other = F.where(self._here(value.shape[-2])[:, None], other, value)
        return self._checked(name, value, other)

    def at_step(self, name, t, T, value):
        self.met[name] = True
        if name not in self.chosen:
            return value
        other = self._other(name, (len(value), T, *value.shape[1:]))  # (B, T, C)
        return self._checked(name, value, other[:, t]) if self.positions is None or self._here(T)[t] else value

    def _other(self, name, shape):
        other = np.asarray(self.chosen[name])
        if other.shape != shape:
            raise ShapeError(f"patch: {name} is {other.shape} in the other run, {shape} here; use equal lengths")
        return other

    def _here(self, T):
        here = np.zeros(T, bool)
        here[self.positions] = True
        return here


@contextmanager
def patch(model, activations, names, positions=None):
    """Inside the block the named points have the values of another run.

    activations:  what `capture` recorded there, of the same shapes
    names:        a name or list of them, with wildcards: all of `activations` that match
    positions:    the tokens to patch, of the second to last axis (T); None: all
    Patching everything gives the other run's output. Raises ArgumentError, ShapeError.
    """
    patterns = [names] if isinstance(names, str) else list(names)
    refuse_unmatched(patterns, activations)
    chosen = {name: a for name, a in activations.items() if any(matches(name, p) for p in patterns)}

    observer = _Patches(model, chosen, positions)
    with observing(observer):
        yield
    refuse_unmatched(chosen, observer.met)


@dataclass(frozen=True)
class PatchingResult:
    """values (L, T) or (L, H): the metric with that one place patched; clean and corrupted: without patching."""

    values: np.ndarray
    clean: float
    corrupted: float

    @property
    def restored(self) -> np.ndarray:
        """Share of the difference that each place brings back: 0 nothing, 1 all."""
        return (self.values - self.corrupted) / (self.clean - self.corrupted)


def patching_grid(model, clean, corrupted, metric: Callable, what: str = "residual") -> PatchingResult:
    """Run a GPT on `corrupted` once for every place, with what `clean` gave there put in.

    clean, corrupted: ids (T,) of equal length. metric: logits (T, V) as an array -> a number.
    what: "residual", the stream after each block by position, (L, T); "heads", what each head put out, (L, H)
    """
    clean, corrupted = np.asarray(clean), np.asarray(corrupted)
    if clean.ndim != 1 or clean.shape != corrupted.shape:
        raise ShapeError(f"patching needs two prompts (T,) of equal length, got {clean.shape} and {corrupted.shape}")
    if what not in ("residual", "heads"):
        raise ArgumentError(f"patching_grid: what is 'residual' or 'heads', got {what!r}")

    def measured():
        return float(metric(model(corrupted[None])[0].numpy()[0]))

    L = len(model.h)
    with model.evaluating():
        part = ".attn.heads" if what == "heads" else ""
        with capture(model, ["output", *(f"h.{layer}{part}" for layer in range(L))], copy=True) as acts:
            model(clean[None])
        base = measured()
        if what == "residual":
            values = np.empty((L, len(clean)))
            for layer, t in np.ndindex(*values.shape):
                with patch(model, acts, f"h.{layer}", positions=[t]):
                    values[layer, t] = measured()
        else:
            values = np.empty((L, model.h[0].attn.n_head))
            for layer, head in np.ndindex(*values.shape):
                name = f"h.{layer}{part}"
                only = np.zeros((1, values.shape[1], 1, 1), bool)
                only[0, head] = True
                with hooked(model, {name: lambda value, name, only=only: F.where(only, acts[name], value)}):
                    values[layer, head] = measured()
    return PatchingResult(values, float(metric(acts["output"][0])), base)
