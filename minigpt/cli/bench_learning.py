"""The actions of `minigpt bench` that train or read, and measure how well a model does."""

from __future__ import annotations

from pathlib import Path

from ..data.pair_tasks import PAIR_TASKS
from ..errors import ArgumentError
from .common import add_action, add_backend, chosen_row, positive


def add_learning(actions, example: str) -> None:
    recipe = add_action(actions, "recipe", "validation loss of nanoGPT's CPU recipe, mean over seeds", example)
    recipe.add_argument(
        "--data", default="tinyshakespeare", metavar="NAME|PATH", help="corpus (default: tinyshakespeare)"
    )
    recipe.add_argument("--seeds", type=positive, default=3, help="runs, with seeds 1, 2, … (default: 3)")
    recipe.add_argument("--steps", type=positive, default=2000, help="training steps (default: 2000)")
    add_backend(recipe)
    recipe.set_defaults(measure=run_recipe)
    text = "perplexity of a trained model on held-out text, with its own weights and with int8"
    int8 = add_action(actions, "int8", text, "minigpt bench int8 --model runs/demo --data tinyshakespeare")
    int8.add_argument("--model", default="runs/demo", metavar="FOLDER", help="checkpoint (default: runs/demo)")
    int8.add_argument("--data", default="tinyshakespeare", metavar="NAME|PATH", help="corpus, whose last tenth is read")
    int8.add_argument("--max-tokens", type=positive, metavar="N", help="read no more than so many (default: all)")
    add_backend(int8)
    int8.set_defaults(measure=run_int8)
    text = "time from process start until the loss on the whole validation part is at most a target"
    to_loss = add_action(actions, "time-to-loss", text, "minigpt bench time-to-loss --target 1.91")
    to_loss.add_argument(
        "--data", default="tinyshakespeare", metavar="NAME|PATH", help="corpus (default: tinyshakespeare)"
    )
    to_loss.add_argument("--target", type=float, default=1.91, help="nats per character (default: 1.91)")
    to_loss.add_argument("--seed", type=int, default=1, help="seed of weights and batches (default: 1)")
    to_loss.add_argument("--threads", type=positive, default=2, help="threads that train (default: 2)")
    to_loss.set_defaults(measure=run_time_to_loss)
    text = "what a MaskedLM and a GPT of the same size learn from the same text, measured at blanks"
    objectives = add_action(actions, "objectives", text, "minigpt bench objectives --steps 2000")
    text = "training in stages of growing depth, new blocks from zero or copied, beside training all at once"
    progressive = add_action(actions, "progressive", text, "minigpt bench progressive --steps 1000")
    for action, steps in ((objectives, 2000), (progressive, 1000)):
        action.add_argument("--data", default="python", metavar="NAME|PATH", help="corpus (default: python)")
        action.add_argument("--steps", type=positive, default=steps, help=f"steps of each run (default: {steps})")
        action.add_argument("--seed", type=int, default=1, help="seed of weights, batches and blanks (default: 1)")
        add_backend(action)
    objectives.set_defaults(measure=run_objectives)
    progressive.set_defaults(measure=run_progressive)
    text = "accuracy on unseen questions of small models trained from a fixed seed"
    tasks = add_action(actions, "tasks", text, "minigpt bench tasks --task reverse dates\n  minigpt bench tasks --lora")
    tasks.add_argument("--task", nargs="+", metavar="NAME", help="arithmetic, reverse, sentiment, dates (default: all)")
    tasks.add_argument("--lora", action="store_true", help="LoRA beside full fine-tuning, from a model of other tasks")
    tasks.add_argument("--seed", type=int, default=0, help="of weights, examples and batches (default: 0)")
    tasks.add_argument("--test-examples", type=positive, default=1000, metavar="N", help="questions (default: 1000)")
    tasks.add_argument("--out", default="runs/tasks", metavar="FOLDER", help="for the models (default: runs/tasks)")
    tasks.add_argument("--backend", metavar="ROW", help="numpy, cpu or cuda (default: cpu if usable here, else numpy)")
    tasks.set_defaults(measure=run_tasks_benchmark)
    text = "small encoder-decoders trained on tasks made here: share of unseen inputs answered exactly, and seconds"
    seq2seq = add_action(actions, "seq2seq", text, "minigpt bench seq2seq --task translation --picture attention.png")
    seq2seq.add_argument("--task", choices=PAIR_TASKS, nargs="+", help="which (default: all)")
    seq2seq.add_argument("--seed", type=int, default=0, help="of data, weights and batches (default: 0)")
    seq2seq.add_argument("--steps", type=positive, help="training steps (default: those of the recipe)")
    seq2seq.add_argument("--out", metavar="FOLDER", help="save each model in a folder of its task's name")
    seq2seq.add_argument(
        "--picture", metavar="PATH", help="draw the cross-attention for one unseen input of the last task"
    )
    add_backend(seq2seq)
    seq2seq.set_defaults(measure=run_seq2seq)
    text = "a small GPT trained until an induction head can be seen in it: head scores, and copying without each head"
    induction = add_action(actions, "induction", text, "minigpt bench induction --out runs/induction")
    induction.add_argument("--seed", type=int, default=0, help="of weights and texts (default: 0)")
    induction.add_argument("--steps", type=positive, help="training steps (default: those of the recipe)")
    induction.add_argument("--out", metavar="FOLDER", help="save the model there")
    add_backend(induction)
    induction.set_defaults(measure=run_induction)


def run_recipe(args) -> int:
    from ..bench import recipe

    losses = []
    for seed in range(1, args.seeds + 1):
        losses.append(recipe.run_recipe(args.data, seed, args.backend, args.steps))
        print(f"seed {seed}: {losses[-1]:.4f} nats/char on the whole validation part", flush=True)
    print(f"mean of {len(losses)}: {sum(losses) / len(losses):.4f} nats/char")
    return 0


def run_int8(args) -> int:
    from ..bench import int8

    with chosen_row(args.backend):
        print(int8.report(int8.run(args.model, args.data, args.max_tokens)))
    return 0


def run_time_to_loss(args) -> int:
    from ..bench.time_to_loss import report, time_to_loss

    result = time_to_loss(args.data, args.target, args.seed, args.threads)
    print(report(args.target, result))
    return 0 if result["loss"] <= args.target else 1


def run_objectives(args) -> int:
    from ..bench.objectives import compare_objectives, report

    print(report(compare_objectives(args.data, args.steps, args.seed, backend=args.backend)))
    return 0


def run_progressive(args) -> int:
    from ..bench.progressive import compare_growth, report

    print(report(compare_growth(args.data, args.steps, args.seed, backend=args.backend)))
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


def run_seq2seq(args) -> int:
    """Exit code 1 if a task with its own number of steps misses what its recipe wants."""
    from ..bench import seq2seq

    enough = True
    for task in args.task or PAIR_TASKS:
        result = seq2seq.run(task, args.seed, args.backend, args.steps)
        print(seq2seq.report(task, result), flush=True)
        enough = enough and (args.steps is not None or result.exact >= seq2seq.RECIPES[task].wanted)
        if args.out:
            result.model.save_pretrained(Path(args.out) / task)
    if args.picture:
        seq2seq.cross_attention(result.model, result.examples[0][0].source).save(args.picture)
    return 0 if enough else 1


def run_induction(args) -> int:
    """Exit code 1 if a model with the recipe's number of steps lacks what the recipe wants."""
    from ..bench import induction

    with chosen_row(args.backend) as row:
        steps = args.steps or induction.STEPS
        trainer = induction.new_trainer(args.seed, steps, row.name)
        measured, seconds = induction.train(trainer, args.out)
        print(f"{trainer.model.num_parameters():,} parameters, {steps} steps in {seconds:.0f} s")
        print(induction.report(measured))
    return 0 if args.steps is not None or measured.reached else 1
