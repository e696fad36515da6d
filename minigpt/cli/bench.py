"""Measure what the README states.

recipe: train nanoGPT's CPU recipe once per seed and print the mean validation loss.
train:  time whole training steps beside PyTorch (where it is installed), in turn, and beside the matrix products alone.
decode: tokens a second of a single text beside Transformers (where it is installed), in turn, and beside memory alone.
int8:   perplexity of a trained model with int8 weights beside that with its own.
import: time `import minigpt` beside `import numpy`, in turn.
start:  time a fresh process up to the end of its first training step, with compiled kernels in the cache or without.
time-to-loss: train in a fresh process until the whole validation part has a given loss; how long that took.
kernels: time every version of every kernel, CPU's or card's, with its share of this machine's roofline.
objectives: train a GPT and a MaskedLM on the same text and let both fill blanks, beside counts of both neighbours.
progressive: train a model that grows beside one that is deep from the start.
tokenizer: train byte-level BPE on Python's standard library and encode what was held out, beside Hugging Face's.
tasks: train small models on tasks from a fixed seed; accuracy on unseen questions, and what it took.
load: load a random GPT-2 from its files in fresh processes: peak memory beside the size of the files, and seconds.
"""

from __future__ import annotations

from ..errors import ArgumentError
from ..models.config import PUBLISHED
from .common import add_action, add_backend, chosen_row, positive

HELP = "measure the figures that the README states"
PEERS = ("torch", "torch-fused", "torch-compile", "ours-numpy")
EXAMPLE = "minigpt bench recipe --data tinyshakespeare --seeds 3"


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", required=True, metavar="WHAT")
    recipe = add_action(actions, "recipe", "validation loss of nanoGPT's CPU recipe, mean over seeds", EXAMPLE)
    recipe.add_argument(
        "--data", default="tinyshakespeare", metavar="NAME|PATH", help="corpus (default: tinyshakespeare)"
    )
    recipe.add_argument("--seeds", type=positive, default=3, help="runs, with seeds 1, 2, … (default: 3)")
    recipe.add_argument("--steps", type=positive, default=2000, help="training steps (default: 2000)")
    add_backend(recipe)
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
    text = "perplexity of a trained model on held-out text, with its own weights and with int8"
    int8 = add_action(actions, "int8", text, "minigpt bench int8 --model runs/demo --data tinyshakespeare")
    int8.add_argument("--model", default="runs/demo", metavar="FOLDER", help="checkpoint (default: runs/demo)")
    int8.add_argument("--data", default="tinyshakespeare", metavar="NAME|PATH", help="corpus, whose last tenth is read")
    int8.add_argument("--max-tokens", type=positive, metavar="N", help="read no more than so many (default: all)")
    add_backend(int8)
    text = "time of `import minigpt` beside `import numpy`, in fresh interpreters"
    start = add_action(actions, "import", text, "minigpt bench import --rounds 15")
    start.add_argument("--rounds", type=positive, default=15, help="pairs of fresh interpreters (default: 15)")
    text = "time from process start to the end of the first training step, in fresh processes"
    start = add_action(actions, "start", text, "minigpt bench start --cold --runs 1")
    start.add_argument("--cold", action="store_true", help="with an empty kernel cache, so that all is compiled")
    start.add_argument("--runs", type=positive, help="fresh processes to time (default: 5, or 2 cold ones)")
    start.add_argument("--threads", type=positive, default=2, help="threads that train (default: 2)")
    text = "time from process start until the loss on the whole validation part is at most a target"
    to_loss = add_action(actions, "time-to-loss", text, "minigpt bench time-to-loss --target 1.91")
    to_loss.add_argument(
        "--data", default="tinyshakespeare", metavar="NAME|PATH", help="corpus (default: tinyshakespeare)"
    )
    to_loss.add_argument("--target", type=float, default=1.91, help="nats per character (default: 1.91)")
    to_loss.add_argument("--seed", type=int, default=1, help="seed of weights and batches (default: 1)")
    to_loss.add_argument("--threads", type=positive, default=2, help="threads that train (default: 2)")
    text = "peak memory and seconds of GPT.from_pretrained, in fresh processes"
    loading = add_action(actions, "load", text, "minigpt bench load --runs 5")
    loading.add_argument("--shape", choices=PUBLISHED, default="gpt2", help="size of the model (default: gpt2)")
    loading.add_argument("--runs", type=positive, default=3, help="fresh processes (default: 3)")
    loading.add_argument("--shard-mb", type=positive, metavar="MB", help="weights in files of at most this size")
    text = "every rung of every kernel, with its share of this machine's roofline: on one thread, or on a CUDA card"
    example = (
        "minigpt bench kernels --kernel matmul gelu\n"
        "  minigpt bench kernels --backend cuda --peer torch --write kernels/README.md"
    )
    kernels = add_action(actions, "kernels", text, example)
    kernels.add_argument("--backend", choices=("cpu", "cuda"), default="cpu", help="whose kernels (default: cpu)")
    kernels.add_argument("--kernel", nargs="+", metavar="NAME", help="matmul, gelu, gelu_forward … (default: all)")
    kernels.add_argument("--quick", action="store_true", help="tiny problems, to see everything run; no figures")
    kernels.add_argument("--write", metavar="PATH", help="put the table between the markers of this file as well")
    text = "the kernels in use beside this peer's; cpu: instead of the table, cuda: below it"
    kernels.add_argument("--peer", choices=("torch",), help=text)
    add_training_actions(actions)
    text = "training and encoding of byte-level BPE, on one thread, beside Hugging Face's tokenizers where installed"
    tokenizer = add_action(actions, "tokenizer", text, "minigpt bench tokenizer --rounds 7")
    tokenizer.add_argument("--vocab-size", type=positive, default=20_000, help="ids to encode with (default: 20000)")
    tokenizer.add_argument("--rounds", type=positive, default=7, help="turns of each side (default: 7)")
    text = "accuracy on unseen questions of small models trained from a fixed seed"
    tasks = add_action(actions, "tasks", text, "minigpt bench tasks --task reverse dates\n  minigpt bench tasks --lora")
    tasks.add_argument("--task", nargs="+", metavar="NAME", help="arithmetic, reverse, sentiment, dates (default: all)")
    tasks.add_argument("--lora", action="store_true", help="LoRA beside full fine-tuning, from a model of other tasks")
    tasks.add_argument("--seed", type=int, default=0, help="of weights, examples and batches (default: 0)")
    tasks.add_argument("--test-examples", type=positive, default=1000, metavar="N", help="questions (default: 1000)")
    tasks.add_argument("--out", default="runs/tasks", metavar="FOLDER", help="for the models (default: runs/tasks)")
    tasks.add_argument("--backend", metavar="ROW", help="numpy, cpu or cuda (default: cpu if usable here, else numpy)")


def add_training_actions(actions):
    text = "what a MaskedLM and a GPT of the same size learn from the same text, measured at blanks"
    objectives = add_action(actions, "objectives", text, "minigpt bench objectives --steps 2000")
    text = "training in stages of growing depth, new blocks from zero or copied, beside training all at once"
    progressive = add_action(actions, "progressive", text, "minigpt bench progressive --steps 1000")
    for action, steps in ((objectives, 2000), (progressive, 1000)):
        action.add_argument("--data", default="python", metavar="NAME|PATH", help="corpus (default: python)")
        action.add_argument("--steps", type=positive, default=steps, help=f"steps of each run (default: {steps})")
        action.add_argument("--seed", type=int, default=1, help="seed of weights, batches and blanks (default: 1)")
        add_backend(action)


def run(args) -> int:
    if args.action == "tasks":
        return run_tasks_benchmark(args)
    if args.action == "objectives":
        from ..bench import objectives

        print(objectives.report(objectives.compare_objectives(args.data, args.steps, args.seed, backend=args.backend)))
        return 0
    if args.action == "progressive":
        from ..bench import progressive

        print(progressive.report(progressive.compare_growth(args.data, args.steps, args.seed, backend=args.backend)))
        return 0
    if args.action == "tokenizer":
        from ..bench.tokenizer import report as tokenizer_report
        from ..bench.tokenizer import run_benchmark

        print(tokenizer_report(*run_benchmark(args.vocab_size, args.rounds)))
        return 0
    if args.action == "kernels":
        return run_kernels(args)
    if args.action == "decode":
        from ..bench.decode import compare as compare_decoding
        from ..bench.decode import report as decode_report

        print(decode_report(compare_decoding(
            args.shape, args.peer, args.int8, args.prompt, args.new, args.rounds, args.threads
        )))  # fmt: skip
        return 0
    if args.action == "int8":
        from ..bench import int8

        with chosen_row(args.backend):
            print(int8.report(int8.run(args.model, args.data, args.max_tokens)))
        return 0
    if args.action == "import":
        from ..bench.startup import import_times, summary

        print(summary(import_times(args.rounds)))
        return 0
    if args.action == "start":
        from ..bench.start import report as start_report
        from ..bench.start import start_times

        print(start_report(args.cold, start_times(args.cold, args.runs or (2 if args.cold else 5), args.threads)))
        return 0
    if args.action == "load":
        from ..bench.load import load_runs
        from ..bench.load import report as load_report

        print(load_report(load_runs(args.shape, args.runs, args.shard_mb and args.shard_mb * 10**6)))
        return 0
    if args.action == "time-to-loss":
        return run_time_to_loss(args)
    if args.action == "train":
        from ..bench.train import compare, report

        print(report(compare(args.shape, args.peer, args.rounds, args.steps, args.threads, args.backend)))
        return 0
    from ..bench.recipe import run_recipe

    losses = []
    for seed in range(1, args.seeds + 1):
        losses.append(run_recipe(args.data, seed, args.backend, args.steps))
        print(f"seed {seed}: {losses[-1]:.4f} nats/char on the whole validation part", flush=True)
    print(f"mean of {len(losses)}: {sum(losses) / len(losses):.4f} nats/char")
    return 0


def run_tasks_benchmark(args) -> int:
    from ..bench import tasks

    if args.lora and args.task:
        raise ArgumentError(f"--lora has its own tasks, {' and '.join(tasks.LORA_TASKS)}: leave --task out")
    if args.lora:
        outcomes = tasks.run_lora(args.out, args.seed, args.test_examples, args.backend)
    else:
        outcomes = tasks.run_tasks(args.task, args.seed, args.test_examples, args.out, args.backend)
    print(tasks.report(outcomes, args.seed))
    return 0 if all(outcome.reached for outcome in outcomes) else 1


def run_time_to_loss(args) -> int:
    from ..bench.time_to_loss import report, time_to_loss

    result = time_to_loss(args.data, args.target, args.seed, args.threads)
    print(report(args.target, result))
    return 0 if result["loss"] <= args.target else 1


def run_kernels(args) -> int:
    if args.write is not None:
        if args.kernel or args.quick or (args.peer and args.backend == "cpu"):
            raise ArgumentError("--write is for the table of all kernels: leave --kernel, --quick and --peer out")
        from ..bench.kernels_report import marked_file, write_table

        markers = table_markers(args.backend)
        marked_file(args.write, markers)  # refused now rather than after a minute
    table = cuda_table(args) if args.backend == "cuda" else cpu_table(args)
    print(table)
    if args.quick and not (args.peer and args.backend == "cpu"):
        print("\nThese problems are tiny: the figures show the cost of a call, not the speed of a kernel.")
    if args.write is not None:
        write_table(args.write, table, markers)
    return 0


def table_markers(backend: str) -> tuple[str, str]:
    """Between which lines of kernels/README.md the table of this row stands."""
    if backend == "cuda":
        from ..bench.kernels_cuda_report import MARKERS
    else:
        from ..bench.kernels_report import MARKERS
    return MARKERS


def cpu_table(args) -> str:
    from ..bench.kernels import measure_ladders
    from ..bench.kernels_peer import compare, peer_report
    from ..bench.kernels_report import report

    if args.peer:
        return peer_report(compare(args.kernel, args.quick))
    return report(measure_ladders(args.kernel, args.quick))


def cuda_table(args) -> str:
    from ..bench.kernels_cuda import measure_cuda_ladders, torch_beside_card
    from ..bench.kernels_cuda_report import cuda_peer_report, cuda_report

    if args.peer:
        from ..bench.kernels_cuda_peer import compare_on_card

        torch_beside_card()  # refused now rather than after the table
    parts = [cuda_report(measure_cuda_ladders(args.kernel, args.quick))]
    if args.peer:
        parts.append(cuda_peer_report(compare_on_card(args.kernel, args.quick)))
    return "\n\n".join(parts)
