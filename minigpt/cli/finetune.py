"""Teach a model a task from questions with their right answers, then measure it on questions that it never saw.

`minigpt train` makes a model that continues texts; this command takes such a model (--from) and makes one that answers,
which `minigpt chat` talks with. It can also begin with a small fresh model: --from scratch.

tasks made by the project (--task one, or --mix several):
  arithmetic    What is 17 + 25?                         -> 42
  copy          Repeat: mop trill                        -> mop trill
  count         How many a are in banana?                -> 3
  dates         Write 3 March 2021 as digits.            -> 2021-03-03
  reverse       Reverse the word planet.                 -> tenalp
  sentiment     Positive or negative? Ada says the soup is not good. -> negative
  sort-letters  Sort the letters of planet.              -> aelnpt
  sort-words    Sort: pond, clay, trout                  -> clay, pond, trout
  summary       Sum up: On Monday Ada went to Lyon. ...  -> Ada sold 14 chairs in Lyon on Monday.
  tagging       Tag: the old dog saw a light             -> DET ADJ NOUN VERB DET NOUN
or a file of your own (--data): .tsv with columns prompt and reply, or text and label; .jsonl with a line
  {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]} for each conversation

--method says which parameters learn:
  full    all of them. The usual choice, and where to begin.
  last-k  the last --last-k blocks; the ones below stay as they were. Cheaper: no gradient has to go further down.
  lora    none of the old ones. Beside each layer a small correction is learned, a few per cent as many numbers, and
          saved in a file of its own; so one model can have many. Wants a higher --lr, which is its default here.
  head    all of them, and a new layer on top that chooses a class, in place of writing an answer. For sentiment,
          tagging, and files with labels. Ask it with `minigpt eval --task`; there is nobody to chat with.

The run ends with a table, the share of answers exactly right before and after, and with examples right and wrong.
Settings may also come from --config run.toml with tables [finetune] and [train]; flags win over the file.
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
from .recording import add_record_flags, ignored_by_resume, new_recorder, resumed

HELP = "tune a trained model on a task, so that it answers"
EXAMPLE = (
    "minigpt finetune --task arithmetic --from runs/demo --out runs/sums   # then minigpt chat --model runs/sums\n"
    "  minigpt finetune --mix reverse,dates --from scratch --out runs/two    # no trained model needed\n"
    "  minigpt finetune --task reverse --from runs/sums --method lora --out runs/reverse\n"
    "  minigpt finetune --data reviews.tsv --from runs/demo --method head    # columns text and label\n"
    "  minigpt finetune --resume runs/sums    # after Ctrl-C"
)
FILE = "finetune.json"
RECIPE = {"steps": 1500, "batch_size": 64, "lr": 2e-3, "eval_interval": 250, "out": "runs/finetune"}
TURNS = 3  # a chat goes on after the first answer
LORA_LR = 5e-3  # corrections start at zero and have few directions to go: they want larger steps than all parameters
TEXTS = {  # where the words of `minigpt train` would mislead
    "batch_size": "examples per step and accumulation round",
    "seed": "of the examples, their order, the first weights of a fresh model, dropout",
    "lr": f"highest learning rate, after warm-up; with lora {LORA_LR} unless given",
}


def add_arguments(parser):
    what = parser.add_argument_group("what to learn (one of --task, --mix, --data)")
    add_dataclass_flags(what, FinetuneSettings, only=("task", "mix", "data", "examples", "val_examples"))
    what.add_argument(
        "--turns", type=int, metavar="N",
        help="questions in a row, at most, in the conversations it learns from; fewer where the context is short. With "
        f"1 it fails at the second question of a chat (default: {TURNS})",
    )  # fmt: skip
    what.add_argument(
        "--test-examples", type=positive, default=300, metavar="N",
        help="unseen questions of each task, asked before and after (default: 300)",
    )  # fmt: skip
    start = parser.add_argument_group("where to start")
    start.add_argument(
        "--from", dest="base", metavar="FOLDER",
        help="checkpoint of a trained model, which stays as it is; or 'scratch': a small fresh one (default: scratch)",
    )  # fmt: skip
    add_dataclass_flags(start, FinetuneSettings, only=("n_layer", "n_head", "n_embd", "block_size"))
    method = parser.add_argument_group("what learns")
    method.add_argument("--method", choices=METHODS, help="which parameters: see above (default: full)")
    add_dataclass_flags(method, FinetuneSettings, only=("last_k", "rank", "alpha", "targets"))
    method.add_argument("--class-weights", action="store_true", default=None, help="with head: rare classes count more")
    parser.add_argument("--config", type=Path, metavar="TOML", help="file with tables [finetune] and [train]")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with the run saved in this folder")
    training = parser.add_argument_group("training")
    training.add_argument("--out", metavar="FOLDER", help=f"checkpoint folder (default: {RECIPE['out']})")
    add_dataclass_flags(training, with_recipe(), skip=("out",))
    add_record_flags(parser)


def with_recipe():
    """TrainConfig with the defaults and words of this command, for the help."""
    changed = {
        f.name: dataclasses.field(
            default=RECIPE.get(f.name, f.default),
            metadata={**f.metadata, "help": TEXTS.get(f.name, f.metadata["help"])},
        )
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
        if args.config or ignored_by_resume(args, TrainConfig, FinetuneSettings):
            print("note: --resume goes on with the saved settings; other flags are ignored", file=sys.stderr)
        saved = read_json(args.resume / FILE)
        settings = FinetuneSettings.from_dict(saved["settings"])
        model, data = prepare(settings, saved["seed"])
        trainer = resumed(args, data, model)
        before = saved["before"]
        if args.step is not None:
            with FileGroup(trainer.config.out) as files:
                files.json(FILE, saved)
    else:
        recorder = new_recorder(args)
        settings, config = chosen(args)
        model, data = prepare(settings, config.seed)
        print(describe(settings, model, data), file=sys.stderr)
        trainer = Trainer(model, data, config, recorder)
        if recorder:
            recorder.due(trainer)  # what does not fit is said before the questions are asked
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
    asked = f"eval --task {shlex.quote(settings.data or settings.task_names[0])}"
    how = asked if settings.method == "head" else "chat --temperature 0"
    print(f"the checkpoint is in {out}; try\n  python -m minigpt {how} --model {shlex.quote(out)}")
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
    settings = FinetuneSettings.from_dict({"turns": TURNS, **table, **flags})
    own = {"lr": LORA_LR} if settings.method == "lora" else {}
    values = {**RECIPE, **own, **toml_table(file, "train", args.config), **given_flags(args, TrainConfig)}
    config = TrainConfig.from_dict(values)
    if settings.base != SCRATCH and Path(settings.base).resolve() == Path(str(config.out)).resolve():
        raise ConfigError(f"--out {config.out} is the model to start from: choose another folder for the result")
    return settings, config


def describe(settings: FinetuneSettings, model, data) -> str:
    """Who learns what, in a line."""
    from ..training.freezing import parameter_share

    learning, total = parameter_share(model)
    what = f"{learning:,} of {total:,} parameters learn ({learning / total:.1%}, {settings.method})"
    rows = f"{len(data.train):,} examples"
    if settings.turns > 1 and settings.method != "head":
        rows = f"{len(data.train):,} conversations of up to {settings.turns} questions"
    return f"{', '.join(settings.task_names)}: {rows}; from {settings.base}: {what}"
