"""How good a trained model is: on text that it has not seen, at tasks, beside another model, or at repeating what it
has read.

Without --data the model is asked about the validation part saved with its checkpoint. Measures: nats per token,
perplexity, bits per byte (comparable across tokenizers), how often the token that came was the likeliest or among the
five likeliest, and calibration: whether it is right as often as it is sure. Each comes with a 95 % interval.

--task asks a model that was tuned (`minigpt finetune`) the questions of one or several tasks instead: the share of
answers that are exactly right, with Wilson's 95 % interval, on inputs that never occur in training. A model with a
head for classes (--method head) is asked for the classes of the texts.

--compare gives the same text or the same questions to a second model and prints the differences; --memorisation asks
how much of its training text the model can repeat word for word.
"""

from __future__ import annotations

from pathlib import Path

from ..data.tasks import TASKS
from ..errors import ArgumentError, DataError
from .common import add_backend, chosen_row, positive
from .eval_tasks import run_tasks

HELP = "measure a trained model; compare two; find what it has memorised"
EXAMPLE = (
    "minigpt eval --model runs/demo --json eval.json --calibration calibration.html\n"
    "  minigpt eval --model runs/sums --task arithmetic copy --compare runs/other\n"
    "  minigpt eval --model runs/demo --memorisation python"
)
TEXT_PARTS, TASK_PARTS = ("val", "train", "all"), ("test", "val", "train")
BINNINGS = ("equal-mass", "equal-width")


def add_arguments(parser):
    parser.add_argument(
        "--model", type=Path, default=Path("runs/demo"), metavar="FOLDER", help="checkpoint (default: runs/demo)"
    )
    parser.add_argument(
        "--data",
        metavar="NAME|PATH",
        help="a corpus, text file or folder (default: the text saved with the checkpoint)",
    )
    parser.add_argument(
        "--part", choices=("val", "train", "all", "test"),
        help="of that text: val, train, all (default: val; for --memorisation: train); of a task: test, val, train "
        "(default: test)",
    )  # fmt: skip
    parser.add_argument("--val-fraction", type=float, default=0.1, help="the split of --data (default: 0.1)")
    parser.add_argument("--tokens", type=positive, metavar="N", help="stop after N tokens (default: the whole part)")
    parser.add_argument(
        "--compare", type=Path, metavar="FOLDER", help="a second checkpoint, for the same text or questions"
    )
    parser.add_argument("--bins", type=positive, default=15, help="bins of the calibration (default: 15)")
    parser.add_argument("--binning", choices=BINNINGS, default=BINNINGS[0], help="(default: %(default)s)")
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="reliability diagram: .html, .png, .svg, .pdf")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to this file as well")
    parser.add_argument("--seed", type=int, default=0, help="seed of intervals, samples and questions (default: 0)")
    tasks = parser.add_argument_group("tasks")
    tasks.add_argument(
        "--task", nargs="+", metavar="NAME|FILE",
        help=f"which: {', '.join(TASKS)}; or a .tsv or .jsonl file that `minigpt finetune --data` takes",
    )  # fmt: skip
    tasks.add_argument(
        "--test-examples", type=positive, default=300, metavar="N", help="questions of each task (default: 300)"
    )
    memory = parser.add_argument_group("memorisation")
    memory.add_argument("--memorisation", metavar="NAME|PATH", help="the text that the model was trained on")
    memory.add_argument(
        "--prompt-tokens", type=positive, default=50, metavar="K", help="length of each prompt (default: 50)"
    )
    memory.add_argument("--windows", type=positive, default=1000, help="prompts, drawn from the text (default: 1000)")
    memory.add_argument("--samples", type=positive, default=200, help="texts written freely (default: 200)")
    add_backend(parser)


def run(args) -> int:
    check_flags(args)
    check_outputs(args)
    if args.task:
        with chosen_row(args.backend):
            result = run_tasks(args)
    else:
        model = language_model(args.model)
        other = language_model(args.compare) if args.compare else None
        with chosen_row(args.backend):
            result = run_memorisation(args, model) if args.memorisation else run_text(args, model, other)
    if args.json:
        from ..files import FileGroup

        with FileGroup(args.json.parent) as files:
            files.json(args.json.name, result)
    return 0


def check_flags(args) -> None:
    """Refuse what does not go together."""
    if args.memorisation and (args.compare or args.calibration or args.data or args.task):
        raise ArgumentError(
            "--memorisation is a measurement of its own: leave --data, --compare, --calibration, --task out"
        )
    if args.task and (args.data or args.tokens or args.calibration):
        raise ArgumentError("--task asks questions, it reads no text: leave --data, --tokens, --calibration out")
    parts = TASK_PARTS if args.task else TEXT_PARTS
    if args.part not in (None, *parts):
        raise ArgumentError(f"--part of a {'task' if args.task else 'text'} is one of {', '.join(parts)}")


def language_model(folder: Path):
    """The GPT in a folder. Raises ArgumentError for one with a head, which is no judge of texts any more."""
    from ..models import GPT
    from ..models.classifier import SETTINGS

    if (folder / SETTINGS).exists():
        raise ArgumentError(
            f"the model in {folder} has a head for classes and predicts no text; ask it for those of a task: "
            f"minigpt eval --model {folder} --task NAME"
        )
    return GPT.from_pretrained(folder)


def check_outputs(args) -> None:
    """Refuse now, not after minutes, what could not be written."""
    from ..viz.base import checked_path

    if args.calibration:
        checked_path(args.calibration)
    if args.json and (args.json.is_dir() or not args.json.name):
        raise ArgumentError(f"--json needs the name of a file, but {str(args.json)!r} is a folder")


def run_text(args, model, other) -> dict:
    from ..training.evaluation import compare, evaluate_text
    from ..training.evaluation.sources import note_if_seen, same_text_ids, text_part

    settings = {"bins": args.bins, "binning": args.binning, "seed": args.seed, "progress": True}
    part = args.part or "val"
    ids, where = text_part(args.model, model.tokenizer, args.data, part, args.val_fraction)
    ids = ids[: args.tokens + 1] if args.tokens else ids
    first, second = str(args.model), str(args.compare)
    if other:
        if args.data is None:
            check_other_data(args, other, model.tokenizer.decode(ids), part)
        other_ids = same_text_ids(model.tokenizer, other.tokenizer, ids)
    found = {first: evaluate_text(model, model.tokenizer, ids, **settings)}
    report: dict = {"text": where, "models": {}}
    if other:
        second = second if second != first else f"{second} (again)"
        found[second] = evaluate_text(other, other.tokenizer, other_ids, **settings)
    text = model.tokenizer.decode(ids)
    for name, folder, m in ((first, args.model, model), (second, args.compare, other))[: len(found)]:
        e = found[name]
        print(f"{name} on {where}: {e.tokens:,} tokens, {e.bytes:,} bytes")
        print(e.table())
        if part == "val" and (note := note_if_seen(folder, m.tokenizer, text)):
            print(f"  note: {note}")
        report["models"][name] = e.to_dict()
    if other:
        difference = compare(found[first], found[second], seed=args.seed)
        print(f"first: {first}; second: {second}")
        print(difference.table())
        report["comparison"] = difference.to_dict()
    if args.calibration:
        save_calibration(found, args.calibration)
    return report


def check_other_data(args, other, text: str, part: str) -> None:
    """Without --data both checkpoints must have kept the same text apart."""
    from ..training.evaluation.sources import text_part

    ids, _ = text_part(args.compare, other.tokenizer, None, part)
    own = other.tokenizer.decode(ids)
    if not (own.startswith(text) if args.tokens else own == text):
        raise DataError(
            f"{args.model} and {args.compare} have kept different texts for validation, so neither can be asked about "
            "the other's fairly: name one text that neither was trained on, --data PATH --part all"
        )


def save_calibration(found, path) -> None:
    from ..viz import ReliabilityDiagram

    bins = next(iter(found.values())).calibration.binning
    note = f"bins of {bins.replace('-', ' ')}; bars: Wilson's 95 % interval of each bin, tokens taken as independent"
    view = ReliabilityDiagram({name: e.calibration.to_dict() for name, e in found.items()}, note=note)
    print(f"reliability diagram: {view.save(path)}")


def run_memorisation(args, model) -> dict:
    from ..generation.memorisation import memorisation
    from ..training.evaluation.sources import note_if_unseen, text_part

    tok, part = model.tokenizer, args.part or "train"
    ids, where = text_part(args.model, tok, args.memorisation, part, args.val_fraction)
    ids, unseen = ids[: args.tokens], None
    if part == "train":
        unseen, _ = text_part(args.model, tok, args.memorisation, "val", args.val_fraction)
    found = memorisation(
        model, tok, ids, unseen, args.prompt_tokens, args.windows, args.samples, args.seed, progress=True
    )
    print(f"{args.model}: what it repeats of {where} ({len(ids):,} tokens)")
    print(found.table())
    if note := note_if_unseen(args.model, tok, tok.decode(ids)):
        print(f"  note: {note}")
    return {"model": str(args.model), "text": where, **found.to_dict()}
