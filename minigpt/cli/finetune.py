"""Tune a trained model on a task, so that it answers; or a small fresh one, with --from scratch.

Tasks are made by the project (arithmetic, reverse, dates, sentiment …), or read from a file of your own: .tsv with
columns prompt and reply, or text and label; .jsonl with {"messages": [{"role": …, "content": …}, …]} on each line.
Inputs that the accuracy is measured on never occur in training.

Writes a checkpoint folder for `minigpt chat`. Settings come from --config run.toml with tables [finetune] and [train];
flags win over it.
"""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path

from ..errors import ConfigError
from ..training.config import TrainConfig
from ..training.finetune import METHODS, SCRATCH, FinetuneSettings
from ..training.memory import memory_line
from ..training.progress import how_to_go_on
from .common import add_dataclass_flags, check_tables, given_flags, positive

HELP = "tune a trained model on a task, so that it answers"
EXAMPLE = (
    "minigpt finetune --task arithmetic --from runs/demo --out runs/sums\n"
    "  minigpt finetune --mix reverse,dates --from scratch --out runs/two\n"
    "  minigpt finetune --data reviews.tsv --from runs/demo --method head"
)
FILE = "finetune.json"
RECIPE = {"steps": 1500, "batch_size": 64, "lr": 2e-3, "eval_interval": 250, "out": "runs/finetune"}
OWN_FLAGS = ("base", "method", "class_weights")


def add_arguments(parser):
    what = parser.add_argument_group("what is tuned")
    what.add_argument("--from", dest="base", metavar="FOLDER", help="a trained model, or 'scratch' (default: scratch)")
    what.add_argument("--method", choices=METHODS, help="what learns; see below (default: full)")
    what.add_argument("--class-weights", action="store_true", default=None, help="with head: rare classes count more")
    add_dataclass_flags(what, FinetuneSettings, skip=OWN_FLAGS)
    parser.add_argument("--config", type=Path, metavar="TOML", help="file with tables [finetune] and [train]")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with the run saved in this folder")
    parser.add_argument("--test-examples", type=positive, default=300, metavar="N", help="to measure (default: 300)")
    training = parser.add_argument_group("training")
    training.add_argument("--out", metavar="FOLDER", help=f"checkpoint folder (default: {RECIPE['out']})")
    add_dataclass_flags(training, with_recipe(), skip=("out",))


def with_recipe():
    """TrainConfig with the defaults of this command, for the help."""
    changed = {
        f.name: dataclasses.field(default=RECIPE.get(f.name, f.default), metadata=f.metadata)
        for f in dataclasses.fields(TrainConfig)
    }
    named = [(f.name, f.type, changed[f.name]) for f in dataclasses.fields(TrainConfig)]
    return dataclasses.make_dataclass("Recipe", named)


def run(args) -> int:
    from ..files import FileGroup, read_json
    from ..generation.before_after import accuracies, report
    from ..training import Trainer
    from ..training.finetune import prepare

    if args.resume:
        if given_flags(args, TrainConfig) or given_flags(args, FinetuneSettings) or args.config:
            print("note: --resume goes on with the saved settings; other flags are ignored", file=sys.stderr)
        saved = read_json(args.resume / FILE)
        settings = FinetuneSettings.from_dict(saved["settings"])
        model, data = prepare(settings, saved["seed"])
        trainer = Trainer.resume(args.resume, data, model)
        print(f"going on after step {trainer.step_number} of {trainer.config.steps}", file=sys.stderr)
        before = saved["before"]
    else:
        settings, config = chosen(args)
        model, data = prepare(settings, config.seed)
        print(describe(settings, model, data), file=sys.stderr)
        trainer = Trainer(model, data, config)
        before = accuracies(trainer, settings, args.test_examples)
        with FileGroup(config.out) as files:
            files.json(FILE, {"settings": settings.to_dict(), "seed": config.seed, "before": before})
    trainer.command = "finetune"
    trainer.fit()
    out = str(trainer.config.out)
    if trainer.interrupted:
        if not trainer.config.progress:
            print(how_to_go_on(trainer), file=sys.stderr)
        return 130
    after = accuracies(trainer, settings, args.test_examples)
    print(report(before, after))
    print(memory_line(trainer.memory()))
    more = "" if settings.method == "head" else f"; try\n  python -m minigpt chat --model {shlex.quote(out)}"
    print(f"the checkpoint is in {out}{more}")
    return 0


def chosen(args) -> tuple[FinetuneSettings, TrainConfig]:
    """Settings from the file and the flags."""
    from ..training.config import read_toml, toml_table

    file = read_toml(args.config) if args.config else {}
    check_tables(file, ("finetune", "train"), args.config)
    table = toml_table(file, "finetune", args.config)
    if "from" in table:
        table["base"] = table.pop("from")
    flags = given_flags(args, FinetuneSettings)
    if any(name in flags for name in ("task", "mix", "data")):  # one of them replaces whichever the file has
        table = {name: value for name, value in table.items() if name not in ("task", "mix", "data")}
    settings = FinetuneSettings.from_dict({**table, **flags})
    values = {**RECIPE, **toml_table(file, "train", args.config), **given_flags(args, TrainConfig)}
    config = TrainConfig.from_dict(values)
    if settings.base != SCRATCH and Path(settings.base).resolve() == Path(str(config.out)).resolve():
        raise ConfigError(f"--out {config.out} is the model to start from: choose another folder for the result")
    return settings, config


def describe(settings: FinetuneSettings, model, data) -> str:
    """Who learns what, in a line."""
    from ..training.freezing import parameter_share

    learning, total = parameter_share(model)
    what = f"{learning:,} of {total:,} parameters learn ({learning / total:.1%}, {settings.method})"
    return f"{', '.join(settings.task_names)}: {len(data.train):,} examples; from {settings.base}: {what}"
