"""Talk with a model that was tuned for dialogue. /help lists what else can be typed; exit or Ctrl-D leaves.

With input or output that is no terminal, nothing but answers is printed: line n of the output answers line n of the
input, with \\n for a line break inside it. Notes, and what commands say, go to stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import ArgumentError
from .common import add_backend, chosen_row

HELP = "talk with a model that was tuned for dialogue"
EXAMPLE = "minigpt chat --model runs/arithmetic --temperature 0"


def add_arguments(parser):
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="checkpoint of the model")
    parser.add_argument("--system", metavar="TEXT", help="what the system says before the conversation")
    parser.add_argument(
        "--max-new-tokens", type=int, default=200, metavar="N", help="longest answer, in tokens (default: 200)"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="0: always the likeliest; 1: as learned (default: 0.8)"
    )
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K likeliest tokens")
    parser.add_argument("--top-p", type=float, metavar="P", help="only the likeliest tokens that hold probability P")
    parser.add_argument("--seed", type=int, help="the same seed and messages give the same answers")
    parser.add_argument("--completion", action="store_true", help="no dialogue: the model continues each line")
    parser.add_argument("--int8", action="store_true", help="int8 weights: faster, a little less exact")
    add_backend(parser)


def run(args) -> int:
    from ..data.dialogue import has_dialogue_tokens
    from ..models import GPT
    from .chat_console import Pipe, Terminal
    from .chat_session import Session

    model = GPT.from_pretrained(args.model)
    console = Terminal() if sys.stdin.isatty() and sys.stdout.isatty() else Pipe()
    completion = args.completion
    if not completion and not has_dialogue_tokens(model.tokenizer):
        never = (
            f"the model in {args.model} was never tuned for dialogue, it can only continue a text. To tune it: "
            f"minigpt finetune --task arithmetic --from {args.model}"
        )
        if not console.agrees(f"{never}\nLet it continue what you type?"):
            raise ArgumentError(f"{never}; to let it continue what you type: add --completion")
        completion = True
    with chosen_row(args.backend):
        model = model.quantize() if args.int8 else model
        return Session(speaker(model, args, completion), console).run()


def speaker(model, args, completion: bool):
    """What answers: a Chat, or a Continuation of each line."""
    from ..generation import Chat
    from .chat_session import Continuation

    settings = {name: getattr(args, name) for name in ("temperature", "top_k", "top_p", "max_new_tokens", "seed")}
    if not completion:
        return Chat(model, system=args.system, keep_cache=True, **settings)
    if args.system is not None:
        raise ArgumentError("--system belongs to a dialogue: leave out --completion, or --system")
    return Continuation(model, **settings)
