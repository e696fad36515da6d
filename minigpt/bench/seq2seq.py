"""Small encoder–decoders on the tasks of `data/pair_tasks.py`: how many unseen inputs are answered exactly, and when.

What is counted is everything: making the data, training, and answering; not the import of the library.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from ..data import Pair, PairData
from ..data.pair_tasks import pair_task
from ..errors import BackendError
from ..generation.translate import before_end, bleu, exact_match, translate
from ..inspect import capture
from ..models import EncoderDecoder, EncoderDecoderConfig
from ..tokenizers import CharTokenizer, Tokenizer, WordTokenizer
from ..training import TrainConfig, Trainer
from ..viz import AttentionGrid


class Recipe(NamedTuple):
    """What a task is trained with."""

    pairs: int  # training pairs
    steps: int
    batch_size: int
    lr: float
    warmup: int
    shape: dict[str, Any]  # of the model
    wanted: float  # exact match to reach
    minutes: float  # in which to reach it, on two cores


_SMALL = {"n_layer": 2, "n_head": 4, "n_embd": 64}
RECIPES: dict[str, Recipe] = {
    "copy": Recipe(60_000, 1500, 128, 3e-3, 200, _SMALL, 0.99, 3),
    "reverse": Recipe(60_000, 1500, 128, 3e-3, 200, _SMALL, 0.99, 3),
    "dates": Recipe(40_000, 1000, 64, 3e-3, 200, _SMALL, 0.98, 5),
    "translation": Recipe(50_000, 1000, 64, 2e-3, 200, {**_SMALL, "n_embd": 128}, 0.95, 8),
}
UNSEEN = 1000  # pairs of the test part


class Result(NamedTuple):
    exact: float
    bleu: float | None  # None where sacrebleu is not installed
    seconds: float  # data, training, and answering
    cpu_seconds: float  # of all threads together
    model: EncoderDecoder
    examples: list[tuple[Pair, str]]  # and the answers


def run(task: str, seed: int = 0, backend: str | None = None, steps: int | None = None, progress=True) -> Result:
    """Train on a task once, answer UNSEEN inputs greedily. steps: other than the recipe's."""
    make, recipe = pair_task(task), RECIPES[task]
    recipe = recipe._replace(steps=steps or recipe.steps)
    start, cpu_start = time.perf_counter(), time.process_time()
    train, test = list(make("train", recipe.pairs, seed)), list(make("test", UNSEEN, seed + 1))
    tokenizer = tokenizer_for(task, train)
    data = PairData.of_texts(tokenizer, train)
    model = EncoderDecoder(
        EncoderDecoderConfig(
            vocab_size=tokenizer.vocab_size, block_size=24, start_id=data.start_id, end_id=data.end_id, **recipe.shape
        ),
        seed=seed,
    )
    config = TrainConfig(
        steps=recipe.steps, batch_size=recipe.batch_size, lr=recipe.lr, warmup=min(recipe.warmup, recipe.steps),
        weight_decay=0.01, betas=(0.9, 0.98), backend=backend, seed=seed, eval_interval=0, progress=progress,
    )  # fmt: skip
    trainer = Trainer(model, data, config)
    trainer.fit()
    if trainer.interrupted:
        raise KeyboardInterrupt
    model.tokenizer = tokenizer
    answers = translate(model, tokenizer, [pair.source for pair in test])
    exact = exact_match(answers, [pair.target for pair in test])
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    examples = list(zip(test, answers, strict=True))[:3]
    return Result(exact, _bleu(answers, [pair.target for pair in test]), seconds, cpu_seconds, model, examples)


def report(task: str, result: Result) -> str:
    """One line of figures, and three unseen inputs with what the model made of them."""
    recipe = RECIPES[task]
    bleu_text = "" if result.bleu is None else f", BLEU {result.bleu:.1f}"
    lines = [
        f"{task}: {result.exact:.1%} of {UNSEEN} unseen inputs exact{bleu_text}, in {result.seconds:.0f} s "
        f"({result.cpu_seconds:.0f} s of CPU time); wanted {recipe.wanted:.0%} in {recipe.minutes} minutes on two cores"
    ]
    for pair, answer in result.examples:
        mark = "right" if answer == pair.target else f"wrong, wanted {pair.target}"
        lines.append(f"  {pair.source} -> {answer}  ({mark})")
    return "\n".join(lines)


def cross_attention(model: EncoderDecoder, text: str, title: str | None = None) -> AttentionGrid:
    """The picture of what the decoder looks at while it writes its answer to `text`: rows are what it writes."""
    tok, c = model.tokenizer, model.config
    src = np.array([tok.encode(text)])  # (1, S)
    written = before_end(model.generate(src)[0], c.end_id)  # (T,)
    tgt = np.concatenate([[c.start_id], written])[None, : c.block_size]  # (1, T + 1)
    with model.evaluating(), capture(model, "decoder.*.cross.weights") as acts:
        model(src, tgt)
    weights = [acts[f"decoder.{i}.cross.weights"][0] for i in range(len(model.decoder))]  # (H, T + 1, S) each
    queries = [*(tok.decode([i]) for i in written), "<end>"][: tgt.shape[1]]  # row t is written after tgt[: t + 1]
    return AttentionGrid(weights, queries, title or f"Cross-attention: {text}", keys=[tok.decode([i]) for i in src[0]])


def tokenizer_for(task: str, pairs) -> Tokenizer:
    """Words for translation, characters otherwise; one vocabulary for both sides."""
    text = "\n".join(f"{pair.source}\n{pair.target}" for pair in pairs)
    if task == "translation":
        return WordTokenizer.train(text)
    return CharTokenizer.train(text.replace("\n", ""), special_tokens=("<pad>", "<start>", "<end>"))


def _bleu(answers, references) -> float | None:
    try:
        return bleu(answers, references)
    except BackendError:
        return None
