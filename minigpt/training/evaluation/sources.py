"""Which text to evaluate on: the part that a checkpoint has kept apart, or one that is given."""

from __future__ import annotations

import numpy as np

from ...data import load_corpus, tokenize_and_split
from ...errors import ArgumentError, DataError
from ..checkpoint import saved_data

PARTS = ("val", "train", "all")
PASSAGES, PASSAGE_CHARACTERS = 20, 100


def text_part(folder, tok, source=None, part: str = "val", val_fraction: float = 0.1) -> tuple[np.ndarray, str]:
    """Ids of one part of a text, and a few words on what they are.

    source:  None: the ids saved with the checkpoint in `folder`, already in two parts; else the name of a corpus or
             the path of a text, split by position as the trainer does
    part:    "val", "train", or "all" of it
    Raises ArgumentError, DataError (nothing saved, no validation part), TokenizerError (unknown characters).
    """
    if part not in PARTS:
        raise ArgumentError(f"part is one of {', '.join(PARTS)}; got {part!r}")
    if source is not None:
        corpus = load_corpus(source)
        if part == "all":
            return np.array(tok.encode(corpus.text), np.int64), f"all of {corpus.name!r}"
        data = tokenize_and_split(corpus.text, tok, 1, val_fraction)
        share = f"last {val_fraction:.0%}" if part == "val" else f"first {1 - val_fraction:.0%}"
        return _part(data, part), f"the {share} of {corpus.name!r}"
    saved = saved_data(folder)
    if saved is None:
        raise DataError(
            f"{folder} holds no text that was kept from training; say which one to read: --data NAME|PATH; a model "
            "that was tuned on a task is asked with --task NAME"
        )
    if part != "train" and not saved.has_val:
        raise DataError(f"{folder} was trained without a validation part; give a text that it has not seen: --data")
    name = {"val": "the validation part", "train": "the training part", "all": "all of the text"}[part]
    return _part(saved, part), f"{name} saved in {folder}"


def _part(data, part: str) -> np.ndarray:
    parts = {"train": [data.train_ids], "val": [data.val_ids], "all": [data.train_ids, data.val_ids]}[part]
    return np.concatenate(parts).astype(np.int64)


def same_text_ids(tok, other, ids: np.ndarray) -> np.ndarray:
    """The text of `ids`, which are tok's, as ids of another tokenizer; `ids` themselves where both cut it alike."""
    text = tok.decode(ids)
    theirs = other.encode(text)
    return np.asarray(ids) if theirs == tok.encode(text) else np.array(theirs, np.int64)


def note_if_seen(folder, tok, text: str) -> str | None:
    """A warning where much of a text to evaluate on stands in what the checkpoint was trained on."""
    seen, of = _passages_seen(folder, tok, text)
    if seen <= of // 10:
        return None
    return f"{folder} was trained on this text: {seen} of {of} passages stand in its training part word for word"


def note_if_unseen(folder, tok, text: str) -> str | None:
    """A warning where a text that should be the checkpoint's training text is not."""
    seen, of = _passages_seen(folder, tok, text)
    if of == 0 or seen > of // 2:
        return None
    return f"{folder} was not trained on this text: only {seen} of {of} passages stand in the training part saved there"


def _passages_seen(folder, tok, text: str) -> tuple[int, int]:
    """(how many, of how many) passages of `text` stand word for word in what the checkpoint was trained on.

    Passages of 100 characters, evenly spread; (0, 0) where no data was saved with the checkpoint, or the text is short.
    """
    saved = saved_data(folder)
    if saved is None or len(text) < PASSAGE_CHARACTERS:
        return 0, 0
    trained_on = tok.decode(saved.train_ids)
    starts = np.unique(np.linspace(0, len(text) - PASSAGE_CHARACTERS, PASSAGES).astype(int))
    return sum(text[s : s + PASSAGE_CHARACTERS] in trained_on for s in starts), len(starts)
