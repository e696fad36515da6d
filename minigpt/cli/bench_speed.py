"""The actions of `minigpt bench` that measure seconds and bytes, most of them beside a peer's, in turn."""

from __future__ import annotations

from ..models.config import PUBLISHED
from .common import add_action, positive

PEERS = ("torch", "torch-fused", "torch-compile", "ours-numpy")


def add_speed(actions) -> None:
    text = "whole training steps beside a peer, in turn, with peak memory and the share of the matrix-product roofline"
    example = "minigpt bench train --shape baby\n  minigpt bench train --backend cuda --shape gpt2 --peer torch-fused"
    train = add_action(actions, "train", text, example)
    train.add_argument("--backend", choices=("cpu", "cuda"), default="cpu", help="our side's row (default: cpu)")
    train.add_argument("--peer", choices=PEERS, default="torch", help="what to compare with (default: torch)")
    train.add_argument(
        "--shape", choices=("baby", "char", "gpt2", "tiny"), default="baby",
        help="model, context and batch (default: baby); gpt2: 4 x 64 tokens on a CPU, 8 x 1024 on a card; tiny: to see "
        "a simulated card do it",
    )  # fmt: skip
    train.add_argument("--rounds", type=positive, default=12, help="turns of each side (default: 12)")
    train.add_argument("--steps", type=positive, default=5, help="steps a turn (default: 5)")
    train.add_argument("--threads", type=positive, default=2, help="threads of each side on a CPU (default: 2)")
    train.set_defaults(measure=run_train)
    text = "tokens a second of one sequence beside a peer, in turn, with the share of what memory allows"
    decode = add_action(actions, "decode", text, "minigpt bench decode --peer transformers --int8")
    decode.add_argument("--peer", choices=("transformers",), help="what to compare with (default: nothing)")
    decode.add_argument(
        "--shape", choices=("baby", "char", "gpt2"), default="gpt2", help="model, with random weights (default: gpt2)"
    )
    decode.add_argument("--int8", action="store_true", help="with int8 weights as well")
    decode.add_argument("--prompt", type=positive, default=16, help="tokens of the prompt (default: 16)")
    decode.add_argument("--new", type=positive, default=64, help="tokens to generate (default: 64)")
    decode.add_argument("--rounds", type=positive, default=9, help="turns of each side (default: 9)")
    decode.add_argument("--threads", type=positive, default=2, help="threads of each side (default: 2)")
    decode.set_defaults(measure=run_decode)
    text = "what it costs a training step that observers could watch, while none does"
    observers = add_action(actions, "observers", text, "minigpt bench observers --rounds 60")
    observers.add_argument("--backend", choices=("numpy", "cpu"), default="cpu", help="row (default: cpu)")
    observers.add_argument("--shape", choices=("baby", "char"), default="baby", help="model and batch (default: baby)")
    observers.add_argument("--rounds", type=positive, default=60, help="pairs of turns (default: 60)")
    observers.add_argument("--steps", type=positive, default=6, help="steps a turn (default: 6)")
    observers.add_argument("--threads", type=positive, default=2, help="threads that train (default: 2)")
    observers.set_defaults(measure=run_observers)
    text = "time of `import minigpt` beside `import numpy`, in fresh interpreters"
    imports = add_action(actions, "import", text, "minigpt bench import --rounds 15")
    imports.add_argument("--rounds", type=positive, default=15, help="pairs of fresh interpreters (default: 15)")
    imports.set_defaults(measure=run_import)
    text = "time from process start to the end of the first training step, in fresh processes"
    process = add_action(actions, "start", text, "minigpt bench start --cold --runs 1")
    process.add_argument("--cold", action="store_true", help="with an empty kernel cache, so that all is compiled")
    process.add_argument("--runs", type=positive, help="fresh processes to time (default: 5, or 2 cold ones)")
    process.add_argument("--threads", type=positive, default=2, help="threads that train (default: 2)")
    process.set_defaults(measure=run_start)
    text = "peak memory and seconds of GPT.from_pretrained, in fresh processes"
    loading = add_action(actions, "load", text, "minigpt bench load --runs 5")
    loading.add_argument("--shape", choices=PUBLISHED, default="gpt2", help="size of the model (default: gpt2)")
    loading.add_argument("--runs", type=positive, default=3, help="fresh processes (default: 3)")
    loading.add_argument("--shard-mb", type=positive, metavar="MB", help="weights in files of at most this size")
    loading.set_defaults(measure=run_load)
    text = "forward + backward of nn.LSTM, GRU and RNN beside a peer's, both on one thread, in turn"
    recurrent = add_action(actions, "recurrent", text, "minigpt bench recurrent --peer torch --cell lstm")
    recurrent.add_argument("--peer", choices=("torch",), default="torch", help="what to compare with (default: torch)")
    recurrent.add_argument(
        "--cell", nargs="+", choices=("lstm", "gru", "rnn"), default=["lstm", "gru", "rnn"], help="which (default: all)"
    )
    recurrent.add_argument("--rounds", type=positive, default=11, help="turns of each side (default: 11)")
    recurrent.set_defaults(measure=run_recurrent)
    text = "training and encoding of byte-level BPE, on one thread, beside Hugging Face's tokenizers where installed"
    tokenizer = add_action(actions, "tokenizer", text, "minigpt bench tokenizer --rounds 7")
    tokenizer.add_argument("--vocab-size", type=positive, default=20_000, help="ids to encode with (default: 20000)")
    tokenizer.add_argument("--rounds", type=positive, default=7, help="turns of each side (default: 7)")
    tokenizer.set_defaults(measure=run_tokenizer)


def run_train(args) -> int:
    from ..bench.train import compare, report

    print(report(compare(args.shape, args.peer, args.rounds, args.steps, args.threads, args.backend)))
    return 0


def run_decode(args) -> int:
    from ..bench.decode import compare, report

    print(report(compare(args.shape, args.peer, args.int8, args.prompt, args.new, args.rounds, args.threads)))
    return 0


def run_observers(args) -> int:
    from ..bench.observers import compare, report

    print(report(compare(args.shape, args.backend, args.rounds, args.steps, args.threads)))
    return 0


def run_import(args) -> int:
    from ..bench.startup import import_times, summary

    print(summary(import_times(args.rounds)))
    return 0


def run_start(args) -> int:
    from ..bench.start import report, start_times

    print(report(args.cold, start_times(args.cold, args.runs or (2 if args.cold else 5), args.threads)))
    return 0


def run_load(args) -> int:
    from ..bench.load import load_runs, report

    print(report(load_runs(args.shape, args.runs, args.shard_mb and args.shard_mb * 10**6)))
    return 0


def run_recurrent(args) -> int:
    from ..bench.recurrent import compare, report

    print(report(compare([cell.upper() for cell in args.cell], rounds=args.rounds)))
    return 0


def run_tokenizer(args) -> int:
    from ..bench.tokenizer import report, run_benchmark

    print(report(*run_benchmark(args.vocab_size, args.rounds)))
    return 0
