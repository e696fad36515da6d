"""What BPE does to a text, merge by merge, as data and as a table to print."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import check_text, special_pattern
from .bpe_merge import steps
from .bpe_split import split

if TYPE_CHECKING:
    from .bpe import BPETokenizer


@dataclass(frozen=True)
class Step:
    """One merge: its rank (0 is the first that was learned), the two tokens, and the piece after it."""

    rank: int
    left: bytes
    right: bytes
    tokens: tuple[bytes, ...]


@dataclass(frozen=True)
class ExplainedPiece:
    """A piece of the text, its bytes, the merges in their order, and the ids at the end. A special token has none."""

    text: str
    start: tuple[bytes, ...]
    steps: tuple[Step, ...]
    ids: tuple[int, ...]
    whole: bool = False  # a special or added token, never cut

    @property
    def tokens(self) -> tuple[bytes, ...]:
        return self.steps[-1].tokens if self.steps else self.start


@dataclass(frozen=True, repr=False)
class Explanation:
    """`pieces` in the order of the text; printed it is a table; `ids` is what encode gives."""

    pieces: tuple[ExplainedPiece, ...]

    @property
    def ids(self) -> list[int]:
        return [token_id for piece in self.pieces for token_id in piece.ids]

    def __repr__(self) -> str:
        n_bytes = sum(len(b"".join(piece.start)) for piece in self.pieces)
        head = f"bytes: {n_bytes}, pieces: {len(self.pieces)}, tokens: {len(self.ids)}"
        return "\n\n".join([head, *(_table(piece) for piece in self.pieces)])


def explain(tok: BPETokenizer, text: str) -> Explanation:
    """The same path as tok.encode, with every step kept."""
    check_text(text, "explain")
    pieces: list[ExplainedPiece] = []
    start = 0
    whole = tok._whole_tokens
    for match in special_pattern(whole).finditer(text) if whole else ():
        pieces += [_explain_piece(tok, piece) for piece in split(text[start : match.start()])]
        name = match.group()
        pieces.append(ExplainedPiece(name, (name.encode("utf-8"),), (), (whole[name],), whole=True))
        start = match.end()
    pieces += [_explain_piece(tok, piece) for piece in split(text[start:])]
    return Explanation(tuple(pieces))


def _explain_piece(tok: BPETokenizer, piece: str) -> ExplainedPiece:
    ids = [tok._byte_ids[byte] for byte in piece.encode("utf-8")]
    tokens = [tok._tokens[token_id] for token_id in ids]
    start, done = tuple(tokens), []
    for rank, i in steps(ids, tok._ranks, tok._products):
        left, right = tokens[i : i + 2]
        tokens[i : i + 2] = [left + right]
        done.append(Step(rank, left, right, tuple(tokens)))
    return ExplainedPiece(piece, start, tuple(done), tuple(ids))


# ---- the table


def _table(piece: ExplainedPiece) -> str:
    """A line per merge; each token stands below its first byte, so that the rows become shorter like stairs."""
    if piece.whole:
        return f"{piece.text!r}, a token of its own\n  id: {piece.ids[0]}"
    cells = [_width(visible(byte)) + 1 for byte in piece.start]  # columns of each byte
    rows = [(piece.start, "")]
    for step in piece.steps:
        rows.append((step.tokens, f"{visible(step.left)} + {visible(step.right)}   rank {step.rank}"))
    drawn = [(_row(tokens, cells), note) for tokens, note in rows]
    width = max(_width(row) for row, _ in drawn)
    lines = [f"  {row}{' ' * (width - _width(row) + 2)}{note}".rstrip() for row, note in drawn]
    return "\n".join([repr(piece.text), *lines, f"  ids: {' '.join(map(str, piece.ids))}"])


def _row(tokens: tuple[bytes, ...], cells: list[int]) -> str:
    line, first = "", 0
    for token in tokens:
        shown = visible(token)
        room = sum(cells[first : first + len(token)])
        line += shown + " " * max(1, room - _width(shown))
        first += len(token)
    return line.rstrip()


def visible(token: bytes) -> str:
    """A token for people: "␣" for a space, "\\n" and the like for control characters, <E4> for a byte that is no text.

    Half a character is no text: the bytes of "é" alone are <C3> and <A9>, both together é.
    """
    shown = ""
    for character in token.decode("utf-8", errors="surrogateescape"):
        if "\udc80" <= character <= "\udcff":
            shown += f"<{ord(character) - 0xDC00:02X}>"
        elif character == " ":
            shown += "␣"
        else:
            shown += character if character.isprintable() else repr(character)[1:-1]
    return shown


def _width(shown: str) -> int:
    """Columns in a terminal: Chinese characters and emoji take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in shown)
    return len(shown) + wide - sum(unicodedata.combining(c) > 0 for c in shown)
