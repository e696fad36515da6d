"""Look inside a model while it reads a prompt: one page, offline, with the views that suit the model.

For a GPT: which tokens surprise it and how it would go on, attention of every head, rollout, what kind of head each is,
what it would say after each layer, which parts it needs, embeddings, and how large its numbers are. For an
encoder–decoder, --prompt is the source, and the page shows which source token each step reads; a masked language model
fills blanks (___) in the prompt; a classifier says which class and because of which tokens; a recurrent model shows
its states and gates.

Open the page in a browser; it needs no network, and everything that the mouse does the keyboard does too.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ..errors import ArgumentError, TokenizerError
from .common import add_backend, chosen_row, positive

HELP = "look inside a model while it reads a prompt: one page with views"
EXAMPLE = (
    'minigpt inspect --model runs/demo --prompt "The class statement " --out report.html\n'
    '  minigpt inspect --model runs/demo --prompt "def f(" --views attention-grid logit-lens --layers 0-2'
)
LARGE_PAGE = 5_000_000  # bytes


def add_arguments(parser):
    parser.add_argument(
        "--model", type=Path, default=Path("runs/demo"), metavar="FOLDER", help="checkpoint (default: runs/demo)"
    )
    parser.add_argument(
        "--prompt", required=True, metavar="TEXT", help="what the model reads, or - for stdin; blanks are ___"
    )
    parser.add_argument(
        "--target", metavar="TEXT", help="of an encoder–decoder: the answer to look at (default: the model's own)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE", help="the page (default: report.html)"
    )
    parser.add_argument(
        "--views", nargs="+", metavar="NAME", help="only these, such as attention-grid surprise (default: all)"
    )
    parser.add_argument(
        "--layers", type=layer_numbers, metavar="N,N-N",
        help="layers whose attention maps are drawn, such as 0,3-5 (default: all, of more than 12 some)",
    )  # fmt: skip
    parser.add_argument(
        "--max-tokens", type=positive, metavar="N", help="read the first N tokens of the prompt (default: 64)"
    )
    add_backend(parser)


def layer_numbers(text: str) -> list[int]:
    """ "0,3-5" -> [0, 3, 4, 5]"""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (last and int(last) < int(first)):
            raise argparse.ArgumentTypeError(f"layers are numbers and ranges such as 0,3-5; got {text!r}")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def run(args) -> int:
    from ..models import load_model
    from ..reports import report
    from ..reports.assembly import checked_out

    out = checked_out(args.out)
    if not os.access(out.parent, os.W_OK):
        raise ArgumentError(f"cannot write {out.name!r}: no permission to write into {str(out.parent)!r}")
    prompt = sys.stdin.read().removesuffix("\n") if args.prompt == "-" else args.prompt
    model = load_model(args.model)
    try:
        tokenizer = model.tokenizer
    except TokenizerError:
        raise TokenizerError(
            f"{args.model} has no tokenizer, so the prompt cannot be read: put its files there with tok.save(folder)"
        ) from None
    with chosen_row(args.backend):
        page = report(
            model, tokenizer, prompt, target=args.target, views=args.views, layers=args.layers,
            max_tokens=args.max_tokens, title=f"Inside {args.model}",
            progress=lambda name: print(f"  {name}", file=sys.stderr, flush=True),
        )  # fmt: skip
    print("  drawing", file=sys.stderr, flush=True)
    path = page.save(out)
    for name, reason in page.left_out.items():
        print(f"note: no {name}: {reason}", file=sys.stderr)
    if "first of" in page.facts["prompt"]:
        print(f"note: the prompt is read in part: {page.facts['prompt']}; more with --max-tokens", file=sys.stderr)
    size = path.stat().st_size
    if size > LARGE_PAGE:
        print("note: a large page; fewer --views, --layers or --max-tokens make it smaller", file=sys.stderr)
    print(f"{path}: {len(page.sections)} views, {size / 1e6:.1f} MB; open it in a browser")
    return 0
