"""Tokenizers of three kinds, and a model that writes what it is told to."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.decoding import Reader
from minigpt.tokenizers import Tokenizer


class Pieces(Tokenizer):
    """A vocabulary of byte strings; ids are numbered from 0, special tokens follow. The longest piece is cut first."""

    FILE = "none"

    def __init__(self, pieces, special=()):
        super().__init__()
        self.pieces = list(pieces)
        self.add_special_tokens(special)

    @property
    def vocab_size(self):
        return len(self.pieces)

    def _encode_ordinary(self, text, start, stop):
        rest, ids = text[start:stop].encode(), []
        while rest:
            ids.append(
                max((i for i, p in enumerate(self.pieces) if rest.startswith(p)), key=lambda i: len(self.pieces[i]))
            )
            rest = rest[len(self.pieces[ids[-1]]) :]
        return ids

    def decode(self, ids, skip_special_tokens=False):
        return b"".join(self.pieces[i] for i in ids).decode("utf-8", "replace")

    def _has_piece(self, token):
        return token.encode() in self.pieces

    def _append_piece(self, token):
        self.pieces.append(token.encode())
        return len(self.pieces) - 1

    def add_files(self, files):
        raise NotImplementedError

    @classmethod
    def load(cls, folder):
        raise NotImplementedError


class BytePieces(Pieces):
    """The same, and it tells its bytes."""

    TOKENS_ARE_BYTES = True

    def decode_bytes(self, ids, skip_special_tokens=False):
        return b"".join(self.pieces[i] for i in ids)


class Words(Pieces):
    """Words, with a space between any two."""

    def _encode_ordinary(self, text, start, stop):
        return [self.pieces.index(word.encode()) for word in text[start:stop].split()]

    def decode(self, ids, skip_special_tokens=False):
        return " ".join(self.pieces[i].decode() for i in ids)


class Scripted:
    """A model whose j-th sample of every prompt writes scripts[j], whatever it is told, and repeats its last id then.

    The samples of a prompt share its reading, so that all scripts begin with the same id.
    """

    def __init__(self, tokenizer, *scripts):
        self.tokenizer, self.scripts = tokenizer, scripts
        self.config = SimpleNamespace(vocab_size=tokenizer.vocab_size, block_size=10_000)
        self.steps = 0
        self.quiet = False

    @contextmanager
    def evaluating(self):
        self.quiet = True
        yield self
        self.quiet = False

    def reader(self, prompts, use_cache=True, vocab_size=None):
        V, length, scripts = vocab_size or self.config.vocab_size, max(map(len, prompts)), self.scripts
        model = self

        class Rows:  # the cache: which script each row follows
            def __init__(self, batch):
                self.rows, self.written, self.fresh = np.zeros(batch, int), -1, True

            def pad(self, padding):
                pass

            def select(self, rows):
                if self.fresh:  # the prompts are being repeated
                    self.rows, self.fresh = np.arange(len(rows)) % len(scripts), False
                else:
                    self.rows = self.rows[rows]

        def next_logits(ids, cache):
            assert model.quiet
            model.steps += 1
            cache.written += 1
            logits = np.zeros((len(ids), model.config.vocab_size), np.float32)
            for row, script in enumerate(cache.rows):
                logits[row, scripts[script][min(cache.written, len(scripts[script]) - 1)]] = 50.0
            return logits

        assert length
        return Reader(next_logits, Rows, prompts, block_size=self.config.block_size, vocab_size=V)


@pytest.fixture(scope="session")
def kinds():
    return SimpleNamespace(Pieces=Pieces, BytePieces=BytePieces, Words=Words, Scripted=Scripted)
