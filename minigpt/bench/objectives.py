"""Two objectives on the same text: what comes next (GPT), and what stood at a blank (MaskedLM).

Both models have the same numbers and so the same parameters, start from the same seed, and read the same windows in the
same number of steps. A window of T tokens teaches the GPT T predictions and the MaskedLM 0.15 T, which is the price of
reading both sides. Then each fills blanks in text held out:

    one blank     a window with a single blank, all else as it was
    15 % blanks   what a MaskedLM is trained on, but every token chosen is hidden, none swapped or kept
    MaskedLM      reads the window with its blanks
    GPT           reads what stands left of the blank, and of that all, other blanks included; it cannot look right
    two sides     counts what stands between the two neighbours, `training/baselines_blanks.py`
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import best_row, use
from ..data import MaskedData, Masking, TokenData, load_corpus, split_by_position
from ..data.rendered import NO_LOSS
from ..models import GPT, EncoderConfig, GPTConfig, MaskedLM
from ..tokenizers import CharTokenizer
from ..training import TrainConfig, Trainer
from ..training.baselines_blanks import BothSides

SHAPE = {"n_layer": 2, "n_head": 4, "n_embd": 64, "block_size": 32}
TRAINING: dict[str, Any] = {"batch_size": 32, "lr": 3e-3, "warmup": 100, "weight_decay": 0.1}
ONE_BLANK_ROUNDS = 4  # blanks tried, one at a time, in each window
ROWS = 64  # windows read at a time


@dataclass(frozen=True)
class Blanks:
    """seen (W, T): windows with mask_id at the blanks; whole (W, T): as they were; blank i is (rows[i], columns[i])."""

    seen: np.ndarray
    whole: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        return self.whole[self.rows, self.columns]  # (K,)


def one_blank(windows: np.ndarray, mask_id: int, rng) -> Blanks:
    """Each window ONE_BLANK_ROUNDS times, each time with one blank, which has a neighbour on either side."""
    whole = np.tile(windows, (ONE_BLANK_ROUNDS, 1))  # (W, T)
    rows, columns = np.arange(len(whole)), rng.integers(1, whole.shape[1] - 1, len(whole))
    seen = whole.copy()
    seen[rows, columns] = mask_id
    return Blanks(seen, whole, rows, columns)


def many_blanks(windows: np.ndarray, masking: Masking, rng) -> Blanks:
    """Every chosen token hidden; those at the edges of a window, which lack a neighbour, are not asked for."""
    seen, targets = replace(masking, hide=1.0, swap=0.0).apply(rng, windows)
    targets[:, [0, -1]] = NO_LOSS
    return Blanks(seen, windows, *np.nonzero(targets != NO_LOSS))


def by_masked_lm(model: MaskedLM, blanks: Blanks) -> np.ndarray:
    """log P (K, V) at the blanks"""
    return _log_softmax(_logits(model, blanks.seen)[blanks.rows, blanks.columns])


def by_gpt(model: GPT, blanks: Blanks) -> np.ndarray:
    """log P (K, V) of what follows the text left of each blank"""
    return _log_softmax(_logits(model, blanks.whole)[blanks.rows, blanks.columns - 1])


def by_neighbours(counts: BothSides, blanks: Blanks, mask_id: int) -> np.ndarray:
    """log P (K, V) from the tokens beside each blank; one that is a blank itself is not known"""
    beside = (blanks.seen[blanks.rows, blanks.columns + step] for step in (-1, 1))
    return np.log(counts.probabilities(*(np.where(ids == mask_id, -1, ids) for ids in beside)))


def score(log_p: np.ndarray, answers: np.ndarray) -> tuple[float, float]:
    """(share of blanks whose likeliest token is right, mean loss in nats)"""
    return float((log_p.argmax(axis=1) == answers).mean()), float(-log_p[np.arange(len(answers)), answers].mean())


def compare_objectives(
    source="python", steps: int = 2000, seed: int = 1, shape: dict | None = None, backend: str | None = None,
    progress: bool = True, val_tokens: int | None = None,
) -> dict:  # fmt: skip
    """Train both on the first 90 % of a corpus, character by character, and let them fill blanks in the rest.

    shape: n_layer, n_head, n_embd, block_size in place of SHAPE; val_tokens: blanks in no more text than that
    Returns {"parameters", "blanks": {set: K}, "scores": {set: {who: (accuracy, nats)}}, "validation": {who: nats}}.
    """
    text = load_corpus(source).text
    tokenizer = CharTokenizer.train(text)
    masking = Masking.of(tokenizer)  # adds <mask>, so the vocabulary of both has it
    shape = {**SHAPE, **(shape or {})}
    T, V = shape["block_size"], tokenizer.vocab_size
    train_ids, val_ids = split_by_position(np.array(tokenizer.encode(text)), min_tokens=T + 1)
    tokens = TokenData(train_ids, val_ids)
    config = TrainConfig(steps=steps, seed=seed, backend=backend, eval_interval=0, progress=progress,
                         **{**TRAINING, "warmup": min(TRAINING["warmup"], steps)})  # fmt: skip
    gpt = GPT(GPTConfig(V, **shape), seed=seed)
    masked_lm = MaskedLM(EncoderConfig(V, **shape, mask_id=masking.mask_id), seed=seed)
    validation = {}
    for who, model, data in (("GPT", gpt, tokens), ("MaskedLM", masked_lm, MaskedData(tokens, masking))):
        trainer = Trainer(model, data, config)
        trainer.fit()
        if trainer.interrupted:
            raise KeyboardInterrupt
        validation[who] = float(trainer.history["val_loss"][-1])

    read = val_ids[:val_tokens]
    windows = read[: len(read) // T * T].reshape(-1, T)
    rng = np.random.default_rng(seed)
    sets = {"one blank": one_blank(windows, masking.mask_id, rng), "15 % blanks": many_blanks(windows, masking, rng)}
    counts = BothSides.fit(train_ids, V)
    scores = {}
    with use(backend or best_row()):
        for name, blanks in sets.items():
            log_p = {
                "MaskedLM": by_masked_lm(masked_lm, blanks),
                "GPT": by_gpt(gpt, blanks),
                "two sides": by_neighbours(counts, blanks, masking.mask_id),
            }
            scores[name] = {who: score(p, blanks.answers) for who, p in log_p.items()}
    return {
        "parameters": {"GPT": gpt.num_parameters(), "MaskedLM": masked_lm.num_parameters()},
        "tokens": steps * config.batch_size * T, "blanks": {name: len(b.rows) for name, b in sets.items()},
        "scores": scores, "validation": validation,
    }  # fmt: skip


def report(result: dict) -> str:
    """The figures as lines of text."""
    parameters, sets = result["parameters"], list(result["scores"])
    lines = [
        f"{parameters['GPT']:,} parameters (GPT), {parameters['MaskedLM']:,} (MaskedLM); "
        f"{result['tokens']:,} characters read by each",
        "validation loss, each at its own task: "
        + ", ".join(f"{who} {loss:.3f}" for who, loss in result["validation"].items()),
        "",
        "blanks in held-out text" + "".join(f"{_heading(name, result):>26}" for name in sets),
        f"{'':<23}" + "".join(f"{'right':>18}{'nats':>8}" for _ in sets),
    ]
    for who in result["scores"][sets[0]]:
        cells = (result["scores"][name][who] for name in sets)
        lines.append(f"{who:<23}" + "".join(f"{right:>18.1%}{nats:>8.3f}" for right, nats in cells))
    return "\n".join(lines)


def _heading(name: str, result: dict) -> str:
    return f"{name} ({result['blanks'][name]:,})"


def _logits(model, ids: np.ndarray) -> np.ndarray:
    """(W, T) -> (W, T, V), ROWS windows at a time"""
    with model.evaluating():
        return np.concatenate([model(ids[i : i + ROWS])[0].numpy() for i in range(0, len(ids), ROWS)])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
