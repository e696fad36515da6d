"""Let a trained model continue a text. Prints prompt and continuation."""

from __future__ import annotations

from pathlib import Path

from .common import add_backend, chosen_row

HELP = "continue a text with a trained model"
EXAMPLE = 'minigpt generate --model runs/demo --prompt "The " --max-new-tokens 300 --temperature 0.8'


def add_arguments(parser):
    parser.add_argument(
        "--model", type=Path, default=Path("runs/demo"), metavar="FOLDER", help="checkpoint (default: runs/demo)"
    )
    parser.add_argument("--prompt", default="The ", help='text to continue (default: "The ")')
    parser.add_argument(
        "--max-new-tokens", type=int, default=300, metavar="N", help="length of the continuation (default: 300)"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="0: always the likeliest; 1: as learned (default: 0.8)"
    )
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K likeliest tokens")
    parser.add_argument("--top-p", type=float, metavar="P", help="only the likeliest tokens that hold probability P")
    parser.add_argument("--n", type=int, default=1, help="number of continuations (default: 1)")
    parser.add_argument(
        "--stop", action="append", metavar="TEXT", help="end before this text; may be given several times"
    )
    parser.add_argument("--seed", type=int, help="the same seed gives the same text")
    parser.add_argument("--int8", action="store_true", help="int8 weights: faster, a little less exact")
    add_backend(parser)


def run(args) -> int:
    from ..generation import generate
    from ..models import GPT

    model = GPT.from_pretrained(args.model)
    with chosen_row(args.backend):
        model = model.quantize() if args.int8 else model
        texts = generate(
            model, None, args.prompt, args.max_new_tokens, args.temperature, args.top_k, args.top_p, args.n, args.stop,
            args.seed,
        )  # fmt: skip
    for i, text in enumerate(texts):
        if args.n > 1:
            print(f"--- {i + 1} of {args.n}")
        print(args.prompt + text)
    return 0
