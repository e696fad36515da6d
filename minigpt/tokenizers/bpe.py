"""Byte-level BPE, the tokenizer of GPT-2: any text is bytes, and frequent runs of bytes get an id of their own.

Training begins with the 256 bytes and joins the most frequent pair of neighbours again and again (`bpe_train`).
Encoding cuts a text into pieces (`bpe_split`) and does the same merges in each of them (`bpe_merge`). Nothing is ever
unknown: at worst a character takes as many ids as it has bytes in UTF-8.
Source: Sennrich et al. 2016 (BPE); Radford et al. 2019, section 2.2 (bytes, and the way the text is cut).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from ..errors import TokenizerError
from ..files import FileGroup
from . import bpe_files
from .base import Tokenizer, checked_special_tokens
from .bpe_explain import Explanation, explain
from .bpe_merge import Ranks, merge
from .bpe_split import alphabet_bytes, chunks, from_letters, split, to_letters
from .bpe_train import check_size, count_pieces, learn_merges

# Pieces whose ids are remembered, about 150 bytes each; a megabyte of Python source has 10,000 different ones.
REMEMBERED = 1 << 17


class _Remembered(dict):
    """piece -> its ids, worked out when a piece is met for the first time."""

    def __init__(self, encode_piece):
        super().__init__()
        self.encode_piece = encode_piece

    def __missing__(self, piece: str) -> tuple[int, ...]:
        if len(self) >= REMEMBERED:
            self.clear()
        ids = self[piece] = self.encode_piece(piece)
        return ids


class BPETokenizer(Tokenizer):
    """Tokens of one or more bytes. Made by `train`, `from_files` or `load`; the constructor takes what files hold:

    vocab:          token -> id, in the letters of vocabulary files ("Ġ" is a space); ids 0 … V−1
    merges:         pairs of tokens, best first
    special_tokens: names with an id of their own, found in the text before it is cut; those without an entry in
                    vocab are appended
    added_tokens:   the same, but they count as text: decode(skip_special_tokens=True) keeps them
    Raises: TokenizerError for ids that repeat or leave gaps, missing bytes, merges of tokens that do not exist.
    """

    FILE = bpe_files.WHOLE
    TOKENS_ARE_BYTES = True

    def __init__(
        self,
        vocab: dict[str, int],
        merges: Iterable[tuple[str, str]],
        special_tokens: Iterable[str] = (),
        added_tokens: Iterable[str] = (),
    ):
        super().__init__()
        merges = [(left, right) for left, right in merges]
        bpe_files.check_vocab(vocab, "vocab")
        bpe_files.check_merges(merges, vocab, lambda i: f"merges[{i}]")
        self._build(vocab, merges, special_tokens, added_tokens)

    def _build(self, vocab, merges, special_tokens, added_tokens) -> None:
        self._vocab: dict[str, int] = dict(vocab)  # in file letters; special and added tokens by their names
        self._ranks: Ranks = {(vocab[left], vocab[right]): rank for rank, (left, right) in enumerate(merges)}
        self._products = [vocab[left + right] for left, right in merges]  # rank -> id
        self._byte_ids = [vocab[to_letters(bytes([byte]))] for byte in range(256)]
        by_id = sorted(vocab, key=vocab.__getitem__)
        self._tokens = [_as_bytes(token) for token in by_id]  # id -> bytes
        self._remembered = _Remembered(self._encode_piece)
        self.added_tokens: dict[str, int] = {}
        ordinary = {*self._products, *self._byte_ids}
        self._place(checked_special_tokens(special_tokens), self.special_tokens, ordinary)
        self._place(checked_special_tokens(added_tokens), self.added_tokens, ordinary)

    def _place(self, names: list[str], table: dict[str, int], ordinary: set[int]) -> None:
        """Give added tokens the ids of their entries in the vocabulary, or new ones at its end."""
        for name in names:
            token_id = self._vocab.get(name)
            if token_id is None:
                token_id = self._append_piece(name)
            elif token_id in ordinary and self._tokens[token_id] != name.encode("utf-8"):
                raise TokenizerError(
                    f"the added token {name!r} has the id {token_id} of other bytes, {self._tokens[token_id]!r}, which "
                    "vocabulary files write with the same letters: choose another name"
                )
            self._tokens[token_id] = name.encode("utf-8")
            table[name] = token_id

    # ---- making one

    @classmethod
    def train(
        cls,
        text: str | Iterable[str],
        vocab_size: int = 512,
        special_tokens: Iterable[str] = (),
        progress: bool | None = None,
    ) -> BPETokenizer:
        """Learn vocab_size − 256 − len(special_tokens) merges from a text, or from the strings of an iterable.

        Ids: the bytes first, in the order of GPT-2 ("!" is 0), then the merges, then the special tokens. Ties of
        counts go to the smaller ids, so the result is the same in every run, and that of Hugging Face's `tokenizers`.
        Where no pair is left, training stops early: look at `tok.vocab_size`. progress: False is silent, None shows
        a bar on a terminal. Raises: TokenizerError (vocab_size below 256 + special tokens; no str; lone surrogates).
        """
        special_tokens = checked_special_tokens(special_tokens)
        n_merges = check_size(vocab_size, len(special_tokens))
        pairs = learn_merges(count_pieces(text, special_tokens, progress), n_merges, progress)
        tokens = [to_letters(bytes([byte])) for byte in alphabet_bytes()]
        merges = []
        for left, right in pairs:
            merges.append((tokens[left], tokens[right]))
            tokens.append(tokens[left] + tokens[right])
        tok = cls({token: i for i, token in enumerate(tokens)}, merges)
        tok.add_special_tokens(special_tokens)
        return tok

    @classmethod
    def from_files(
        cls,
        vocab: str | os.PathLike,
        merges: str | os.PathLike,
        special_tokens: Iterable[str] | None = None,
    ) -> BPETokenizer:
        """From GPT-2's `vocab.json` and `merges.txt`.

        Special tokens have no merge. Those named "<…>", such as <|endoftext|>, are recognised; others must be given.
        Raises: TokenizerError naming file and line if something is missing, damaged or does not belong together.
        """
        given = None if special_tokens is None else checked_special_tokens(special_tokens)
        return cls._from_content(bpe_files.read_vocab_and_merges(Path(vocab), Path(merges), given))

    @classmethod
    def load(cls, folder: str | os.PathLike) -> BPETokenizer:
        """Read `tokenizer.json` from a folder, or else `vocab.json` and `merges.txt`.

        Raises: TokenizerError if they are missing or damaged, or if tokenizer.json asks for what is not done here.
        """
        folder = Path(folder)
        if (folder / bpe_files.WHOLE).is_file() or not (folder / bpe_files.VOCAB).is_file():
            return cls._from_content(bpe_files.read_tokenizer_json(folder / bpe_files.WHOLE))
        return cls.from_files(folder / bpe_files.VOCAB, folder / bpe_files.MERGES)

    @classmethod
    def file_names(cls) -> tuple[str, ...]:
        return (bpe_files.WHOLE, bpe_files.VOCAB, bpe_files.MERGES, bpe_files.SETTINGS)

    @classmethod
    def found_in(cls, folder: str | os.PathLike) -> bool:
        return any((Path(folder) / name).is_file() for name in (bpe_files.WHOLE, bpe_files.VOCAB, bpe_files.MERGES))

    @classmethod
    def _from_content(cls, content: bpe_files.Content) -> BPETokenizer:
        """From what the readers have checked already."""
        tok = cls.__new__(cls)
        Tokenizer.__init__(tok)
        tok._build(*content)
        return tok

    def add_files(self, files: FileGroup) -> None:
        """tokenizer.json, the same as vocab.json and merges.txt, and tokenizer_config.json for Transformers."""
        letters = sorted(self._vocab, key=self._vocab.__getitem__)  # id -> token
        merges = [(letters[left], letters[right]) for left, right in self._ranks]
        vocab = {token: i for i, token in enumerate(letters)}
        bpe_files.add_files(files, bpe_files.Content(vocab, merges, list(self.special_tokens), list(self.added_tokens)))

    # ---- the vocabulary

    @property
    def vocab_size(self) -> int:
        """Number of ids V: bytes, merges, special and added tokens."""
        return len(self._tokens)

    @property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """The merges, best first: the index is the rank."""
        return [(self._tokens[left], self._tokens[right]) for left, right in self._ranks]

    @property
    def _whole_tokens(self) -> dict[str, int]:
        return {**self.special_tokens, **self.added_tokens}

    def _has_piece(self, token: str) -> bool:
        return token in self._vocab or to_letters(token.encode("utf-8")) in self._vocab

    def _append_piece(self, token: str) -> int:
        token_id = len(self._tokens)
        self._tokens.append(token.encode("utf-8"))
        self._vocab[token] = token_id
        return token_id

    # ---- text to ids and back

    def _encode_ordinary(self, text: str, start: int, stop: int) -> list[int]:
        ids: list[int] = []
        ids_of = self._remembered.__getitem__
        for chunk in chunks(text, start, stop):
            ids.extend(chain.from_iterable(map(ids_of, split(chunk))))
        return ids

    def _encode_piece(self, piece: str) -> tuple[int, ...]:
        byte_ids = self._byte_ids
        return tuple(merge([byte_ids[byte] for byte in piece.encode("utf-8")], self._ranks, self._products))

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Text of a sequence of ids (list or 1-D integer array).

        Ids may cut a character, since tokens are bytes: what is not UTF-8 becomes U+FFFD, as in GPT-2. For a stream
        take `decode_bytes` and an incremental decoder. Raises: TokenizerError for an id outside 0 … vocab_size−1.
        """
        return self.decode_bytes(ids, skip_special_tokens).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int], skip_special_tokens: bool = False) -> bytes:
        """The bytes of a sequence of ids, whole characters or not. Raises: TokenizerError as `decode`."""
        checked = self._checked_ids(ids)
        if skip_special_tokens:
            special = set(self.special_tokens.values())
            checked = [token_id for token_id in checked if token_id not in special]
        return b"".join([self._tokens[token_id] for token_id in checked])

    def explain(self, text: str) -> Explanation:
        """Every merge that encoding the text does, in order: `print(tok.explain("lower"))`, or its `.pieces`.

        Raises: TokenizerError as `encode`.
        """
        return explain(self, text)


def _as_bytes(token: str) -> bytes:
    """The bytes of a vocabulary entry; names of added tokens may hold characters that stand for no byte."""
    data = from_letters(token)
    return token.encode("utf-8") if data is None else data
