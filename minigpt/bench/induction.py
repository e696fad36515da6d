"""A GPT so small that it ships with the library, trained until an induction head can be seen in it.

    text       random letters and digits, no two alike, and pieces of them again and again: k7Qfb7Qfbk7Qbk…
    task       what comes next, where an earlier piece tells; after "k7", a "Q"
    solution   two heads, one above the other (Elhage et al. 2021, "A mathematical framework for transformer circuits"):
               layer 0   at each token, what was the token before?
               layer 1   where is a token whose predecessor is the one I am? look there, say what stands there

One head a layer, so that the work of one is not shared by several: two heads in layer 1 both become induction heads,
and then either may go. There is a third layer, whose head finds nothing left to do: what taking it out changes is what
taking out any head changes.

What helps it to learn this within a minute: only predictable places count in the loss, since the noise of all others
outweighs them (with it, nothing was copied after 1500 steps); matrices and tables begin with larger numbers; positions
begin as waves, in which "one place before" is a turn (Vaswani et al. 2017, section 3.5). That pieces begin anywhere
keeps it from counting places instead: rows with one period were copied without any of these heads.
"""

from __future__ import annotations

import string
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import use
from ..errors import ArgumentError
from ..files import FileGroup
from ..inspect import HeadScores, ablate, head_scores, repeated_tokens
from ..models import GPT, GPTConfig
from ..nn.positional import sinusoids
from ..randomness import as_generator
from ..tokenizers import CharTokenizer
from ..training import TrainConfig, Trainer

CHARACTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits  # 62
SHAPE: dict[str, Any] = {"block_size": 64, "n_layer": 3, "n_head": 1, "n_embd": 32}
TEXTS, PIECES = (12, 24), (2, 12)  # characters of a row's text, and of the pieces that are read from it: from … to
STEPS, BATCH, LR, WORKERS = 900, 24, 3e-3, 2
SPREAD = 0.1  # standard deviation of initial matrices; GPT-2's 0.02 fits hundreds of channels, not 32
WAVES, LONGEST = 0.3, 100  # height of the waves, and of the longest the length over 2 pi
NO_LOSS = -100
TEST_ROWS, TEST_SEED = 64, 1000  # of repeated random tokens, never seen in training
WANTED = {"copied": 0.95, "without the induction head": 0.2, "without the control head": 0.9}


class Pieces:
    """Rows of T + 1 tokens, as a trainer reads them: a random text of distinct tokens for each, read piece by piece.

    texts, pieces: smallest and largest length. A text is read as a ring. Raises ArgumentError if it needs more tokens
    than there are.
    """

    has_val = False

    def __init__(self, vocab_size: int, block_size: int, texts=TEXTS, pieces=PIECES):
        if not 2 <= texts[0] <= texts[1] <= vocab_size or not 2 <= pieces[0] <= pieces[1]:
            raise ArgumentError(
                f"Pieces: texts have from 2 to vocab_size = {vocab_size} distinct tokens, pieces at least 2; got "
                f"{texts=}, {pieces=}"
            )
        self.vocab_size, self.block_size, self.texts, self.pieces = vocab_size, block_size, texts, pieces

    def batch(self, rng, n: int) -> dict[str, np.ndarray]:
        """{"ids", "targets"}, (n, T) each; a target that nothing before it tells is NO_LOSS."""
        rng = as_generator(rng)
        rows = [self._row(rng) for _ in range(n)]
        return {"ids": np.stack([ids for ids, _ in rows]), "targets": np.stack([targets for _, targets in rows])}

    def _row(self, rng):
        text = rng.permutation(self.vocab_size)[: rng.integers(self.texts[0], self.texts[1] + 1)]  # (N,)
        places: list[int] = []  # in the text
        while len(places) <= self.block_size:
            start, length = rng.integers(len(text)), rng.integers(self.pieces[0], self.pieces[1] + 1)
            places.extend((start + np.arange(length)) % len(text))
        place = np.array(places[: self.block_size + 1])  # (T + 1,)
        goes_on = place[1:] == (place[:-1] + 1) % len(text)  # (T,), else a new piece begins
        known = np.zeros(self.block_size, bool)
        seen: set[int] = set()  # places after which the row went on before
        for t in np.flatnonzero(goes_on):
            known[t] = place[t] in seen
            seen.add(place[t])
        return text[place[:-1]], np.where(known, text[place[1:]], NO_LOSS)


def new_model(seed: int = 0, characters: str = CHARACTERS, **shape) -> GPT:
    """The untrained model. characters: all that it knows; shape: what is to differ from SHAPE, such as n_layer=2"""
    tokenizer = CharTokenizer(characters)
    model = GPT(GPTConfig(tokenizer.vocab_size, **{**SHAPE, **shape}), seed=seed)
    rng = as_generator(seed)
    for p in model.parameters():
        if p.ndim == 2:
            p.data[...] = rng.normal(0, SPREAD, p.shape)
    model.wpe.weight.data[...] = WAVES * sinusoids(model.config.block_size, model.config.n_embd, longest=LONGEST)
    model.tokenizer = tokenizer
    return model


@dataclass(frozen=True)
class Measured:
    """What a model does with repeated random tokens it has never seen: two equal halves.

    first, second: mean loss in nats in either half; chance would be ln V
    copied:        share of the second half, but for its first token, that it gets right
    without:       (L, H): the same with that one head taken out
    """

    first: float
    second: float
    copied: float
    scores: HeadScores
    without: np.ndarray

    @property
    def induction(self) -> tuple[int, int]:
        return self.scores.best("induction")

    @property
    def control(self) -> tuple[int, int]:
        """The head that has the least of either habit."""
        habits = np.maximum(self.scores.previous_token, self.scores.induction)  # (L, H)
        layer, head = np.unravel_index(habits.argmin(), habits.shape)
        return int(layer), int(head)

    @property
    def reached(self) -> bool:
        return (
            self.copied >= WANTED["copied"]
            and self.without[self.induction] <= WANTED["without the induction head"]
            and self.without[self.control] >= WANTED["without the control head"]
        )


def measure(model: GPT, rows: int = TEST_ROWS, seed: int = TEST_SEED) -> Measured:
    """Losses, copying, head scores, and copying without each head, on `rows` sequences of block_size tokens."""
    length = model.config.block_size // 2
    ids = repeated_tokens(model.config.vocab_size, length, rows, seed)  # (rows, 2 length)

    def reads():
        with model.evaluating():
            logits = model(ids[:, :-1])[0].numpy().astype(np.float64)  # (rows, 2 length - 1, V)
        right = logits[:, length:].argmax(axis=-1) == ids[:, length + 1 :]
        logits -= logits.max(axis=-1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return -np.take_along_axis(log_p, ids[:, 1:, None], axis=-1)[..., 0], float(right.mean())

    loss, copied = reads()  # (rows, 2 length - 1)
    without = np.empty((model.config.n_layer, model.config.n_head))
    for layer, head in np.ndindex(without.shape):
        with ablate(model, heads=[(layer, head)], how="mean", reference=ids):
            without[layer, head] = reads()[1]
    first, second = float(loss[:, : length - 1].mean()), float(loss[:, length:].mean())
    return Measured(first, second, copied, head_scores(model, ids), without)


def new_trainer(
    seed: int = 0, steps: int = STEPS, backend: str | None = None, progress: bool = True, workers: int = WORKERS
) -> Trainer:
    """The trainer of an untrained model."""
    model = new_model(seed)
    config = TrainConfig(
        steps=steps, batch_size=BATCH, lr=LR, warmup=min(100, steps), weight_decay=0.1, backend=backend, seed=seed,
        workers=workers, eval_interval=0, progress=progress,
    )  # fmt: skip
    return Trainer(model, Pieces(model.config.vocab_size, model.config.block_size), config)


def train(trainer: Trainer, out=None) -> tuple[Measured, float]:
    """(what the model can do afterwards, seconds of training). out: a folder for it, with how it was made"""
    start = time.perf_counter()
    trainer.fit()
    seconds = time.perf_counter() - start
    if trainer.interrupted:
        raise KeyboardInterrupt
    with use(trainer.row):
        measured = measure(trainer.model)
    if out is not None:
        trainer.model.save_pretrained(out)
        config, losses = trainer.config, trainer.history["loss"]
        made = {
            "command": "minigpt bench induction", "seed": config.seed, "steps": config.steps, "row": trainer.row,
            "workers": config.workers,
            "losses": {step: round(float(losses[step - 1]), 4) for step in noted_steps(config.steps)},
        }  # fmt: skip
        with FileGroup(out) as files:
            files.json("made.json", made)
    return measured, seconds


def noted_steps(steps: int) -> list[int]:
    """The steps whose loss made.json tells: the first, and every fiftieth."""
    return [1, *range(50, steps + 1, 50)]


def report(measured: Measured) -> str:
    """The figures as lines of text."""
    lines = [
        f"random tokens, then the same again: {measured.first:.3f} nats in the first half, {measured.second:.3f} "
        f"in the second; {measured.copied:.1%} of the second copied",
        "",
        "head         previous   induction   copied without it",
    ]
    for layer, head in np.ndindex(measured.without.shape):
        mark = {measured.induction: "  <- the induction head", measured.control: "  <- control"}.get((layer, head), "")
        lines.append(
            f"layer {layer}, {head}{measured.scores.previous_token[layer, head]:>12.3f}"
            f"{measured.scores.induction[layer, head]:>12.3f}{measured.without[layer, head]:>20.1%}{mark}"
        )
    return "\n".join(lines)
