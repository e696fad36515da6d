"""The files of byte-level BPE: GPT-2's vocab.json and merges.txt, and Hugging Face's tokenizer.json.

All three write tokens in the letters of `bpe_split.byte_alphabet`. Reading says what is wrong, in which file and where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import TokenizerError
from ..files import FileGroup
from .base import read_json
from .bpe_split import byte_alphabet

VOCAB, MERGES, WHOLE = "vocab.json", "merges.txt", "tokenizer.json"
SETTINGS = "tokenizer_config.json"  # read by Transformers only
END_OF_TEXT = "<|endoftext|>"
HEADER = "#version"


class Content(NamedTuple):
    """What the files hold. Added tokens are found in the text whole, as special ones are, but count as text."""

    vocab: dict[str, int]
    merges: list[tuple[str, str]]
    special_tokens: list[str]
    added_tokens: list[str]


# ---- checks, with the names of places for messages


def check_vocab(vocab: dict[str, int], name: str) -> None:
    """Every entry a distinct id, 0 … V−1 without gaps, all 256 bytes among them."""
    owner: dict[int, str] = {}
    for token, token_id in vocab.items():
        if not isinstance(token_id, int) or isinstance(token_id, bool) or token_id < 0:
            raise TokenizerError(f"{name}: the id of {token!r} must be an integer of at least 0, got {token_id!r}")
        if token_id in owner:
            raise TokenizerError(f"{name}: {owner[token_id]!r} and {token!r} have the same id, {token_id}")
        owner[token_id] = token
    gap = next((i for i in range(len(vocab)) if i not in owner), None)
    if gap is not None:
        raise TokenizerError(
            f"{name}: no token has the id {gap}, but ids go up to {max(owner)}: {len(vocab)} tokens need the ids "
            f"0 to {len(vocab) - 1}"
        )
    lacking = [letter for letter in byte_alphabet() if letter not in vocab]
    if lacking:
        raise TokenizerError(
            f"{name}: {len(lacking)} of the 256 single bytes have no token, such as {lacking[0]!r}: not a byte-level "
            "vocabulary, or one trained without all bytes, which could not encode every text"
        )


def check_merges(merges: Sequence[tuple[str, str]], vocab: dict[str, int], place: Callable[[int], str]) -> None:
    """Both sides of each merge and their join have an id; no merge comes twice. place(i) names the i-th merge."""
    first: dict[tuple[str, str], int] = {}
    for i, (left, right) in enumerate(merges):
        for token in (left, right, left + right):
            if token not in vocab:
                raise TokenizerError(
                    f"{place(i)}: the merge {left!r} + {right!r} needs {token!r}, which is not in the vocabulary: the "
                    "vocabulary and the merges are not of the same tokenizer, or one is damaged"
                )
        if (left, right) in first:
            raise TokenizerError(f"{place(i)} repeats the merge {left!r} + {right!r} of {place(first[left, right])}")
        first[left, right] = i


def leftover_tokens(vocab: dict[str, int], merges: Iterable[tuple[str, str]]) -> list[str]:
    """Entries that are neither a byte nor made by a merge: special tokens, if nothing is missing."""
    made = {left + right for left, right in merges}
    return [token for token in vocab if token not in made and not (len(token) == 1 and token in byte_alphabet())]


# ---- vocab.json and merges.txt


def read_vocab_and_merges(vocab_path: Path, merges_path: Path, special_tokens: Iterable[str] | None) -> Content:
    """special_tokens None: the entries "<…>" that no merge makes, such as <|endoftext|>.

    Raises: TokenizerError that names file and entry, or file and line.
    """
    vocab = read_json(vocab_path)
    check_vocab(vocab, str(vocab_path))
    merges = _read_merges(merges_path)
    check_merges(merges, vocab, lambda i: f"{merges_path}, line {i + 2}")
    left_over = leftover_tokens(vocab, merges)
    if special_tokens is None:
        special = [token for token in left_over if token.startswith("<") and token.endswith(">")]
    else:
        special = list(special_tokens)
    unknown = [token for token in left_over if token not in special]
    if unknown:
        shown = ", ".join(map(repr, unknown[:3])) + (", …" if len(unknown) > 3 else "")
        raise TokenizerError(
            f"{merges_path} has no merge that makes {len(unknown)} of the tokens in {vocab_path}: {shown}. Either the "
            f"file of merges is cut short, or these are special tokens: then pass special_tokens=[{unknown[0]!r}, …]"
        )
    return Content(vocab, merges, special, [])


def _read_merges(path: Path) -> list[tuple[str, str]]:
    """One merge a line, best first, below a line "#version: 0.2"."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines(): it knows ends that are no line ends
    except FileNotFoundError:
        raise TokenizerError(f"no file of merges {path}: GPT-2's is called {MERGES} and lies beside {VOCAB}") from None
    except OSError as error:
        raise TokenizerError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path} is damaged: not UTF-8 ({error})") from None
    lines = [line.removesuffix("\r") for line in lines]
    if not lines[0].startswith(HEADER):
        raise TokenizerError(f'{path}, line 1: wanted the header "{HEADER}: 0.2", got {lines[0][:60]!r}')
    if lines[-1] == "":
        lines.pop()
    return [_pair(line, f"{path}, line {number}") for number, line in enumerate(lines[1:], start=2)]


def _pair(merge: Any, place: str) -> tuple[str, str]:
    """ "Ġ t" or ["Ġ", "t"] -> ("Ġ", "t")"""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    well_formed = isinstance(parts, list) and len(parts) == 2 and all(isinstance(p, str) and p for p in parts)
    if not well_formed:
        raise TokenizerError(f"{place}: a merge is two tokens with one space between them, got {merge!r}")
    return parts[0], parts[1]


# ---- tokenizer.json


# What a tokenizer.json may ask for and this tokenizer does: entry -> the values that mean it.
NOTHING = (None, "", False)
SUPPORTED: dict[str, tuple] = {
    "model.type": ("BPE",),
    "model.dropout": (None, 0.0),
    "model.continuing_subword_prefix": NOTHING,
    "model.end_of_word_suffix": NOTHING,
    "model.byte_fallback": NOTHING,
    "model.ignore_merges": NOTHING,
    "normalizer": NOTHING,
    "pre_tokenizer.type": ("ByteLevel",),
    "pre_tokenizer.add_prefix_space": (False,),
    "pre_tokenizer.use_regex": (True, None),
    "post_processor.type": ("ByteLevel", None),
    "decoder.type": ("ByteLevel",),
    "truncation": NOTHING,
    "padding": NOTHING,
}
ADDED_FLAGS = ("single_word", "lstrip", "rstrip")


def read_tokenizer_json(path: Path) -> Content:
    """Raises TokenizerError that names the file and what in it is damaged, or not what this tokenizer does."""
    content = read_json(path)
    for entry, values in SUPPORTED.items():
        section, _, key = entry.partition(".")
        value = content.get(section)
        if key:
            value = value.get(key) if isinstance(value, dict) else value
        if value not in values:
            what = "its type is " + repr(value["type"]) if isinstance(value, dict) and "type" in value else repr(value)
            raise TokenizerError(
                f"{path}: {entry}: {what[:80]}; this tokenizer does byte-level BPE as GPT-2 does it and needs "
                f"{' or '.join(map(repr, values))} there"
            )
    model = content["model"]
    vocab, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocab, dict) or not isinstance(merges, list):
        raise TokenizerError(f"{path} is damaged: model.vocab must be an object and model.merges a list")
    pairs = [_pair(merge, f"{path}, model.merges[{i}]") for i, merge in enumerate(merges)]
    special, added, vocab = _added_tokens(content.get("added_tokens") or [], vocab, path)
    check_vocab(vocab, f"{path}, model.vocab with added_tokens")
    check_merges(pairs, vocab, lambda i: f"{path}, model.merges[{i}]")
    return Content(vocab, pairs, special, added)


def _added_tokens(entries: Any, vocab: dict[str, Any], path: Path) -> tuple[list[str], list[str], dict[str, int]]:
    """Names of the special and of the other added tokens, and the vocabulary with all of them in it."""
    vocab = dict(vocab)
    special: list[str] = []
    added: list[str] = []
    late: dict[str, bool] = {}
    if not isinstance(entries, list):
        raise TokenizerError(f"{path} is damaged: added_tokens must be a list, got a {type(entries).__name__}")
    for i, entry in enumerate(entries):
        place = f"{path}, added_tokens[{i}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("content"), str) or not entry["content"]:
            raise TokenizerError(f'{place}: wanted an object with "id" and a "content" of at least one character')
        name = entry["content"]
        for flag in ADDED_FLAGS:
            if entry.get(flag):
                raise TokenizerError(f"{place}: {name!r} asks for {flag}, which this tokenizer does not do")
        if vocab.setdefault(name, entry.get("id")) != entry.get("id"):
            raise TokenizerError(
                f"{place}: {name!r} has the id {entry.get('id')!r}, in model.vocab it has {vocab[name]}"
            )
        late[name] = bool(entry.get("normalized"))
        (special if entry.get("special") else added).append(name)
    _refuse_overlaps(late, path)
    return special, added, vocab


def _refuse_overlaps(late: dict[str, bool], path: Path) -> None:
    """Tokens marked "normalized" are looked for after all others; here all at once, the same if none can overlap."""
    for a in [name for name, is_late in late.items() if is_late]:
        for b in [name for name, is_late in late.items() if not is_late]:
            ends = range(1, min(len(a), len(b)))
            if a in b or b in a or any(a[-n:] == b[:n] or b[-n:] == a[:n] for n in ends):
                raise TokenizerError(
                    f'{path}: the added tokens {a!r} and {b!r} can overlap, and only the first is marked "normalized": '
                    "this tokenizer looks for all added tokens at once"
                )


# ---- writing


def add_files(files: FileGroup, content: Content) -> None:
    """All files, such that Hugging Face's libraries load them and encode the same."""
    merges = [f"{left} {right}" for left, right in content.merges]
    files.json(VOCAB, content.vocab)
    files.text(MERGES, "\n".join([f"{HEADER}: 0.2", *merges]) + "\n")
    files.json(WHOLE, _tokenizer_json(content, merges))
    # Without these entries Transformers would add <|endoftext|> to a vocabulary that lacks it.
    end = END_OF_TEXT if END_OF_TEXT in content.special_tokens else None
    files.json(SETTINGS, {"tokenizer_class": "GPT2Tokenizer", "bos_token": end, "eos_token": end, "unk_token": end})


def _tokenizer_json(content: Content, merges: list[str]) -> dict:
    names = [*content.special_tokens, *content.added_tokens]
    special = set(content.special_tokens)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": content.vocab[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": name in special,
            }
            for name in sorted(names, key=content.vocab.__getitem__)
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": content.vocab, "merges": merges,
        },
    }  # fmt: skip
