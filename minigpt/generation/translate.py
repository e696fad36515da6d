"""Texts in, texts out, with an encoder–decoder model; and how right they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ArgumentError, BackendError
from ..models import EncoderDecoder


def translate(
    model: EncoderDecoder, tokenizer, texts: Sequence[str], max_new_tokens=None, batch_size=64, src_tokenizer=None,
    **settings,
) -> list[str]:  # fmt: skip
    """What the model makes of each text, in order.

    tokenizer: None for the model's; src_tokenizer: of the texts, if that is another
    settings: those of model.generate (temperature, top_k, top_p, seed, beams …); greedy unless set. Texts of similar
    length are read together, batch_size at a time. Raises ArgumentError, ShapeError, TokenizerError.
    """
    if isinstance(texts, str):
        raise ArgumentError("translate takes a list of texts; for one: translate(model, tokenizer, [text])[0]")
    tokenizer = tokenizer or model.tokenizer
    if src_tokenizer is None and model.config.src_vocab_size is not None:
        raise ArgumentError("source and target of this model have tables of their own: pass src_tokenizer= as well")
    sources = [(src_tokenizer or tokenizer).encode(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(sources[i]))
    out = [""] * len(texts)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        for i, ids in zip(
            chosen, model.generate([sources[i] for i in chosen], max_new_tokens, **settings), strict=True
        ):
            out[i] = tokenizer.decode(before_end(ids, model.config.end_id))
    return out


def before_end(ids: np.ndarray, end_id: int) -> np.ndarray:
    """What stands before the first end_id; all if there is none."""
    ends = np.flatnonzero(ids == end_id)
    return ids[: ends[0]] if ends.size else ids


def exact_match(outputs: Sequence[str], references: Sequence[str]) -> float:
    """The share of outputs that are their reference, but for white space around it."""
    _check(outputs, references)
    return float(np.mean([a.strip() == b.strip() for a, b in zip(outputs, references, strict=True)]))


def bleu(outputs: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU by sacrebleu, 0 to 100: how many runs of one to four words the outputs share with the references.

    Needs the extra: pip install "minigpt[bleu]"; else a BackendError. Source: Papineni et al. 2002; Post 2018
    """
    _check(outputs, references)
    try:
        import sacrebleu
    except ModuleNotFoundError:
        raise BackendError('BLEU needs sacrebleu: pip install "minigpt[bleu]"; exact_match needs nothing') from None
    return float(sacrebleu.corpus_bleu(list(outputs), [list(references)]).score)


def _check(outputs, references):
    if isinstance(outputs, str) or len(outputs) != len(references) or not len(references):
        raise ArgumentError(
            f"needs lists of as many outputs as references, at least one; got {len(outputs)} and {len(references)}"
        )
