"""Compare architectures: GPT, LSTM, GRU and plain RNN on the same text with as many parameters, tokens and seeds.

For each: validation loss and tokens a second of a character-level language model; how the gradient of the last token's
loss fades with the distance k; and how well a second model of the same size, trained to repeat what it was given,
recalls a token from k steps back. Prints one table and writes compare.json, compare.txt and compare.png. The defaults
take about 8 minutes on two cores for each seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import ArgumentError
from .common import add_backend, chosen_row, positive

HELP = "GPT, LSTM, GRU and RNN side by side: loss, speed, gradients through time, recall"
EXAMPLE = "minigpt compare --models gpt,lstm --seeds 1 --out runs/compare"
QUICK = 50


def add_arguments(parser):
    parser.add_argument("--models", default="gpt,lstm,gru,rnn", help="which, with commas (default: %(default)s)")
    parser.add_argument("--seeds", type=positive, default=1, help="runs of each, with seeds 1, 2, … (default: 1)")
    parser.add_argument(
        "--data", default="python", metavar="NAME|PATH", help="corpus, text file or folder (default: python)"
    )
    parser.add_argument(
        "--parameters", type=positive, default=400_000, metavar="N",
        help="of every model, within 5 %%: the width is chosen to fit (default: 400000)",
    )  # fmt: skip
    parser.add_argument(
        "--tokens", type=positive, default=1_000_000, metavar="N", help="characters to train on (default: 1000000)"
    )
    parser.add_argument(
        "--recall-tokens", type=positive, default=1_500_000, metavar="N",
        help="tokens of the recall task to train on (default: 1500000)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help=f"1/{QUICK} of the tokens: to see everything run")
    parser.add_argument("--block-size", type=positive, default=128, help="context on the text (default: 128)")
    parser.add_argument("--batch-size", type=positive, default=8, help="rows of text in a step (default: 8)")
    parser.add_argument("--longest", type=positive, default=128, metavar="K", help="longest recall (default: 128)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/compare"), metavar="FOLDER",
        help="what to write into (default: runs/compare)",
    )  # fmt: skip
    add_backend(parser)


def run(args) -> int:
    from ..bench.compare import Settings, compare, report, save

    if args.out.exists() and not args.out.is_dir():
        raise ArgumentError(f"--out {args.out} is a file; a folder is needed")
    share = QUICK if args.quick else 1
    with chosen_row(args.backend) as row:
        settings = Settings(
            models=tuple(name.strip() for name in args.models.split(",")), seeds=args.seeds, data=args.data,
            parameters=args.parameters, tokens=args.tokens // share, recall_tokens=args.recall_tokens // share,
            block_size=args.block_size, batch_size=args.batch_size, longest=args.longest, backend=row.name,
        )  # fmt: skip
        found = compare(settings, progress=True)
    print(report(found))
    for path in save(found, args.out):
        print(f"wrote {path}", file=sys.stderr)
    return 0
