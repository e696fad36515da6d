"""Corpora to train on and published models: list them, fetch one, look at a corpus."""

from __future__ import annotations

from pathlib import Path

from .common import add_action

HELP = "list, fetch and look at corpora; fetch published models"
EXAMPLE = "minigpt data fetch tinyshakespeare"


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add_action(actions, "list", "corpora and models that have a name", "minigpt data list")
    text = "download a corpus or a published model; resumes where it stopped, checks the SHA-256"
    fetch = add_action(actions, "fetch", text, f"{EXAMPLE}\n  minigpt data fetch gpt2")
    fetch.add_argument("name", help="for example tinyshakespeare, or gpt2 (548 MB)")
    fetch.add_argument("--folder", type=Path, help="where to put it (default: the user's cache folder)")
    fetch.add_argument("--url", help="another place for the same bytes (a mirror); for a model, of its folder")
    text = "size, characters and first lines of a corpus, file or folder"
    show = add_action(actions, "show", text, "minigpt data show python")
    show.add_argument("source", metavar="NAME|PATH", help="python, chinese, a fetched corpus, a text file or folder")


def run(args) -> int:
    from ..data.corpora import PROSE, SCENES, load_corpus
    from ..data.fetch import DOWNLOADS
    from ..data.published import LICENCE, MODELS, fetch_named

    if args.action == "fetch":
        print(fetch_named(args.name, args.folder, args.url))
    elif args.action == "list":
        print(f"{PROSE:<18} in every CPython: the prose of Python's language reference")
        print(f"{SCENES:<18} comes with minigpt: small scenes in Chinese, written by a grammar")
        for name, entry in DOWNLOADS.items():
            print(f"{name:<18} {entry.size_bytes:,} bytes, {entry.licence}; minigpt data fetch {name}")
        for name in MODELS:
            print(f"{name:<18} weights and tokenizer, {LICENCE}; minigpt data fetch {name}")
    else:
        corpus = load_corpus(args.source)
        n_bytes = len(corpus.text.encode("utf-8"))
        print(f"{corpus.name}: {len(corpus.text):,} characters, {len(set(corpus.text))} distinct, {n_bytes:,} bytes")
        print(corpus.source)
        print("---", corpus.text[:500], sep="\n")
    return 0
