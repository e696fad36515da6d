"""Let a trained model continue a text. Prints prompt and continuation."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..errors import ArgumentError
from .common import add_backend, chosen_row, notes_afterwards

HELP = "continue a text with a trained model"
EXAMPLE = 'minigpt generate --model runs/demo --prompt "The " --n 3 --stop "\\n" --temperature 0.5 --stream'
ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\\\": "\\"}


def add_arguments(parser):
    parser.add_argument(
        "--model", type=Path, default=Path("runs/demo"), metavar="FOLDER", help="checkpoint (default: runs/demo)"
    )
    parser.add_argument("--prompt", default="The ", help='text to continue, or - for stdin (default: "The ")')
    parser.add_argument(
        "--max-new-tokens", type=int, default=300, metavar="N", help="length of the continuation (default: 300)"
    )
    parser.add_argument("--min-new-tokens", type=int, default=0, metavar="N", help="no end of text before so many")
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="0: always the likeliest; 1: as learned (default: 0.8)"
    )
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K likeliest tokens")
    parser.add_argument("--top-p", type=float, metavar="P", help="only the likeliest tokens that hold probability P")
    parser.add_argument(
        "--repetition-penalty", type=float, default=1.0, metavar="R", help="above 1: what was said becomes less likely"
    )
    parser.add_argument("--n", type=int, default=1, help="number of continuations (default: 1)")
    parser.add_argument(
        "--stop", action="append", type=unescaped, metavar="TEXT",
        help="end before this text (\\n is a new line); may be given several times",
    )  # fmt: skip
    parser.add_argument("--beams", type=int, default=1, metavar="N", help="search for the likeliest text with N beams")
    parser.add_argument("--stream", action="store_true", help="print the text while it is written")
    parser.add_argument(
        "--logprobs", type=int, metavar="K", help="then a table: each token's log-probability, and the K likeliest"
    )
    parser.add_argument(
        "--microscope", type=Path, metavar="FILE", help="write a page that shows how each token was drawn (.html)"
    )
    parser.add_argument("--seed", type=int, help="the same seed gives the same text")
    parser.add_argument("--int8", action="store_true", help="int8 weights: faster, a little less exact")
    add_backend(parser)


def unescaped(text: str) -> str:
    r"""\n, \t, \r and \\ as a shell passes them on -> the characters they stand for."""
    return re.sub(r"\\[ntr\\]", lambda match: ESCAPES[match.group()], text)


def run(args) -> int:
    from ..models import GPT

    if args.logprobs is not None and (args.beams > 1 or args.stream):
        raise ArgumentError("--logprobs belongs to drawn tokens and a finished text: leave out --beams and --stream")
    if args.microscope is not None and (args.beams > 1 or args.n > 1 or args.stream or args.logprobs is not None):
        raise ArgumentError("--microscope looks at one drawn text: leave out --beams, --n, --stream and --logprobs")
    if args.prompt == "-":
        args.prompt = sys.stdin.read().removesuffix("\n")  # which echo adds
    model = GPT.from_pretrained(args.model)
    with chosen_row(args.backend):
        model = model.quantize() if args.int8 else model
        if args.microscope is not None:
            look(model, args)
        elif args.stream:
            print_stream(model, args)
        elif args.logprobs is not None:
            print_logprobs(model, args)
        else:
            print_texts(model, args)
    return 0


def settings(args) -> dict:
    """What all ways of generating share."""
    names = ("temperature", "top_k", "top_p", "stop", "seed", "repetition_penalty")
    return {name: getattr(args, name) for name in names}


def heading(args, i: int) -> None:
    if args.n > 1:
        print(f"--- {i + 1} of {args.n}")


def print_texts(model, args) -> None:
    from ..generation import generate

    texts = generate(
        model, None, args.prompt, args.max_new_tokens, n=args.n, beams=args.beams,
        min_new_tokens=args.min_new_tokens, **settings(args),
    )  # fmt: skip
    for i, text in enumerate(texts):
        heading(args, i)
        print(args.prompt + text)


def print_stream(model, args) -> None:
    """One continuation after the other, each as it is written; together the texts that print_texts would print."""
    from ..decoding import Sampling
    from ..generation.job import Job
    from ..generation.text import pieces

    sampling = Sampling(args.temperature, args.top_k, args.top_p, args.repetition_penalty, args.min_new_tokens)
    job = Job(
        model, None, [args.prompt], args.max_new_tokens, sampling, args.n, args.stop, args.seed, args.beams, live=True
    )
    row = -1
    with notes_afterwards():
        try:
            for new_row, piece in pieces(job):
                if new_row != row:
                    if row >= 0:
                        print()
                    row = new_row
                    heading(args, row)
                    print(args.prompt, end="")
                print(piece, end="", flush=True)
        finally:  # also after Ctrl-C: what was written so far ends with its line
            if row >= 0:
                print(flush=True)


def print_logprobs(model, args) -> None:
    from ..generation import Completion
    from ..viz import visible

    completion = Completion.create(
        model, args.prompt, args.max_new_tokens, args.n, logprobs=args.logprobs, min_tokens=args.min_new_tokens,
        **settings(args),
    )  # fmt: skip
    for choice in completion.choices:
        heading(args, choice.index)
        print(args.prompt + choice.text)
        found = choice.logprobs
        for token, logprob, top in zip(found.tokens, found.token_logprobs, found.top_logprobs, strict=True):
            others = "  ".join(f"{visible(other)} {value:.2f}" for other, value in top.items())
            print(f"{visible(token):>16} {logprob:8.3f}   {others}".rstrip())
    usage = completion.usage
    print(f"{usage.prompt_tokens} tokens read, {usage.completion_tokens} written", file=sys.stderr)


def look(model, args) -> None:
    from ..generation import microscope

    view = microscope(
        model, None, args.prompt, args.max_new_tokens, min_new_tokens=args.min_new_tokens, **settings(args)
    )
    path = view.save(args.microscope)
    print(args.prompt + view.text)
    print(f"how each token was drawn: {path}", file=sys.stderr)
