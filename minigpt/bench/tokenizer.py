"""How fast byte-level BPE learns and encodes, on one thread; beside Hugging Face's `tokenizers` where installed.

The text is Python's standard library, whole files drawn at random: 1 MB is held out, the rest is learned from. Cold is
a tokenizer that has encoded nothing yet, warm the same one with the same text again; before anything is timed, both
sides' ids are compared. Theirs gives offsets along with the ids, so its faster call without them is timed.
"""

from __future__ import annotations

import importlib.util
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import BackendError, DataError
from ..tokenizers import BPETokenizer

MEGABYTE = 1_000_000
SMALL_MERGES = 5000  # of the training that is timed on 1 MB
FIRST_CALL = """
import sys, time
from minigpt.tokenizers import BPETokenizer
text = open(sys.argv[2], encoding="utf-8", newline="").read()
tok = BPETokenizer.load(sys.argv[1])
start = time.perf_counter()
tok.encode(text)
print(time.perf_counter() - start)
"""


@dataclass
class Timed:
    """Seconds round by round; theirs is empty without the peer."""

    name: str
    bytes: int
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return sorted(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=False))


def standard_library(held_bytes: int = MEGABYTE) -> tuple[str, str]:
    """(text to learn from, text held out): whole files, about held_bytes of them held out."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = []
    for path in sorted(folder.rglob("*.py")):
        if "site-packages" not in path.relative_to(folder).parts:
            try:
                texts.append(path.read_bytes().decode("utf-8"))
            except UnicodeDecodeError:
                continue  # a few files of the test suite are not UTF-8 on purpose
    random.Random(0).shuffle(texts)
    held, size = 0, 0
    while held < len(texts) and size < held_bytes:
        size += len(texts[held].encode("utf-8"))
        held += 1
    if held == len(texts):
        raise DataError(f"{folder} holds less than {held_bytes:,} bytes of Python sources: no standard library here?")
    return "".join(texts[held:]), "".join(texts[:held])


def run_benchmark(vocab_size: int = 20_000, rounds: int = 7, megabytes: float = 1.0) -> tuple[list[Timed], int]:
    """Everything that `report` shows, and the size of the vocabulary that encodes. megabytes: of the held-out text.

    Raises: BackendError if the two sides disagree on merges or ids.
    """
    size = int(megabytes * MEGABYTE)
    learn, held = standard_library(size)
    small = learn.encode("utf-8")[:size].decode("utf-8", errors="ignore")
    peer = _Peer() if importlib.util.find_spec("tokenizers") else None
    training = Timed(f"train, {SMALL_MERGES:,} merges", len(small.encode("utf-8")))
    whole = Timed(f"train, {vocab_size:,} ids", len(learn.encode("utf-8")))
    with one_thread():
        for _ in range(min(rounds, 3)):
            _train_both(training, small, 256 + SMALL_MERGES, peer)
        tok = _train_both(whole, learn, vocab_size, peer)
        with tempfile.TemporaryDirectory() as folder:
            tok.save(folder)
            return [training, whole, *_encoding(folder, held, rounds, peer)], tok.vocab_size


def _encoding(folder: str, held: str, rounds: int, peer: _Peer | None) -> list[Timed]:
    size = len(held.encode("utf-8"))
    process = Timed("encode, first call in a process", size)
    cold, warm = Timed("encode, cold", size), Timed("encode, warm", size)
    path = Path(folder) / "held_out.txt"
    path.write_bytes(held.encode("utf-8"))
    if peer and peer.encoder(folder)(held) != BPETokenizer.load(folder).encode(held):
        raise BackendError("the ids of the two sides differ: nothing was timed")
    for _ in range(rounds):
        command = [sys.executable, "-c", FIRST_CALL, folder, str(path)]
        taken = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        process.ours.append(float(taken))
        ours = BPETokenizer.load(folder).encode
        theirs = peer.encoder(folder) if peer else None
        for timed in (cold, warm):
            _call(ours, held, timed.ours)
            if theirs:
                _call(theirs, held, timed.theirs)
    return [process, cold, warm]


def _train_both(timed: Timed, text: str, vocab_size: int, peer: _Peer | None) -> BPETokenizer:
    """One turn of each side; returns ours."""
    tok = _call(lambda text: BPETokenizer.train(text, vocab_size), text, timed.ours)
    if peer:
        theirs = _call(peer.trainer(vocab_size), text, timed.theirs)
        if theirs != len(tok.merges):
            raise BackendError(f"{timed.name}: we learned {len(tok.merges)} merges, they {theirs}")
    return tok


def _call(function: Callable[[str], Any], text: str, seconds: list[float]) -> Any:
    start = perf_counter()
    result = function(text)
    seconds.append(perf_counter() - start)
    return result


class _Peer:
    """Hugging Face's `tokenizers`, told to do the same."""

    def __init__(self):
        import tokenizers

        self.library = tokenizers

    def trainer(self, vocab_size: int) -> Callable[[str], int]:
        """A function that learns from a text and returns how many merges came out."""
        level = self.library.pre_tokenizers.ByteLevel

        def train(text: str) -> int:
            tok = self.library.Tokenizer(self.library.models.BPE())
            tok.pre_tokenizer = level(add_prefix_space=False)
            trainer = self.library.trainers.BpeTrainer(
                vocab_size=vocab_size, initial_alphabet=level.alphabet(), show_progress=False
            )
            tok.train_from_iterator([text], trainer)
            return tok.get_vocab_size() - 256

        return train

    def encoder(self, folder: str) -> Callable[[str], list[int]]:
        tok = self.library.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        return lambda text: tok.encode_batch_fast([text])[0].ids


@contextmanager
def one_thread():
    """Theirs trains on all cores unless told otherwise."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def report(results: list[Timed], vocab_size: int) -> str:
    """A line per measurement: medians, MB/s, and the median ratio of neighbours (above 1: ours is faster)."""
    width = max(len(timed.name) for timed in results)
    lines = [f"One thread; {len(results[-1].ours)} rounds in turn, medians; encoding with {vocab_size:,} ids."]
    lines.append(f"{'':{width}}        MB         s      MB/s   tokenizers s   tokenizers/ours")
    for timed in results:
        seconds = statistics.median(timed.ours)
        size = timed.bytes / MEGABYTE
        line = f"{timed.name:{width}}{size:10.2f}{seconds:10.3f}{size / seconds:10.2f}"
        if timed.theirs:
            ratios = timed.ratios
            spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            line += f"{statistics.median(timed.theirs):15.3f}   {spread}"
        lines.append(line)
    if not results[0].theirs:
        lines.append("Hugging Face's tokenizers is not installed here: pip install tokenizers")
    return "\n".join(lines)
