"""Fine-tuning: from a trained model, or a small fresh one, and a task to what a Trainer needs.

    model, data = prepare(FinetuneSettings(task="arithmetic", base="runs/demo"), seed=0)
    Trainer(model, data, TrainConfig(steps=1000, batch_size=64)).fit()

What learns:

    full     every parameter
    last-k   the last k layers (`freezing.py`)
    lora     small corrections of the blocks' matrices (`lora.py`)
    head     every parameter, and in place of written answers a head that tells classes apart (`models/classifier.py`)

The same settings and seed give the same model and data, which is what resuming rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..data import BucketedData, Conversation, add_dialogue_tokens, render
from ..data.classes import class_data
from ..data.file_task import FileTask
from ..data.splits import SPLITS
from ..data.tasks import TASKS
from ..data.turns import join_turns
from ..errors import ConfigError
from ..models import GPT, GPTClassifier, GPTConfig
from ..models.classifier import balanced_weights
from ..nn import Module
from ..tokenizers import CharTokenizer
from .config import setting
from .freezing import train_last
from .lora import TARGETS, add_lora

METHODS = ("full", "last-k", "lora", "head")
SCRATCH = "scratch"
ASCII = "\n" + "".join(map(chr, range(32, 127)))  # what people may type, also where no example has it


@dataclass(frozen=True)
class FinetuneSettings:
    """What is tuned, on what, and which parameters learn. Raises ConfigError, naming the setting."""

    task: str | None = setting(None, "a task of the project", "NAME")
    mix: str | None = setting(None, "several tasks at once, with commas between them", "NAME,NAME")
    data: str | None = setting(None, "a .tsv or .jsonl file of your own, in place of a task", "FILE")
    base: str = setting(SCRATCH, "folder of a trained model, or 'scratch' for a small fresh one", "FOLDER")
    examples: int = setting(20_000, "training examples of each task, made before training")
    val_examples: int = setting(400, "validation examples of each task")
    turns: int = setting(1, "questions in a row that a conversation has, at most, and as the context permits")
    method: str = setting("full", f"which parameters learn: {', '.join(METHODS)}")
    last_k: int = setting(2, "with last-k: how many of the last blocks learn", "K")
    rank: int = setting(8, "with lora: rank of the corrections, which is how much they can change", "R")
    alpha: float | None = setting(None, "with lora: corrections count alpha / rank; None: twice the rank")
    targets: str = setting(
        ",".join(TARGETS), "with lora: names of the layers that are corrected, with commas between them", "NAMES"
    )
    class_weights: bool = setting(False, "with head: rare classes count more, each class as much as the others")
    n_layer: int = setting(3, "blocks of a fresh model")
    n_head: int = setting(4, "attention heads of a fresh model")
    n_embd: int = setting(96, "width of a fresh model")
    block_size: int | None = setting(None, "longest context of a fresh model; None: as long as the examples need")

    def __post_init__(self):
        if sum(given is not None for given in (self.task, self.mix, self.data)) != 1:
            raise ConfigError(
                "one of task, mix and data says what to tune on: task is one name, mix several, data a file; tasks are "
                f"{', '.join(TASKS)}"
            )
        if self.method not in METHODS:
            raise ConfigError(f"method is one of {', '.join(METHODS)}, got {self.method!r}")
        for name in ("examples", "val_examples", "turns", "last_k", "rank"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} must be an integer of at least 1, got {value!r}")
        if self.data is None:
            unknown = [name for name in self.task_names if name not in TASKS]
            if unknown:
                raise ConfigError(f"there is no task {unknown[0]!r}; there are {', '.join(TASKS)}")
        if self.method == "head" and len(self.task_names) > 1:
            raise ConfigError("a head tells the classes of one task apart: give task, not mix")

    @property
    def task_names(self) -> list[str]:
        if self.data is not None:
            return [Path(self.data).name]
        return [name.strip() for name in (self.task or self.mix or "").split(",")]

    @property
    def target_names(self) -> list[str]:
        return [name.strip() for name in self.targets.split(",")]

    @classmethod
    def from_dict(cls, values: dict) -> FinetuneSettings:
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ConfigError(f"unknown settings {unknown}; known are {', '.join(f.name for f in fields(cls))}")
        return cls(**values)

    def to_dict(self) -> dict:
        return asdict(self)

    def tasks(self) -> dict[str, Any]:
        """Name -> task. Raises DataError if a file cannot be read."""
        if self.data is not None:
            return {self.task_names[0]: FileTask(self.data)}
        return {name: TASKS[name] for name in self.task_names}


def prepare(settings: FinetuneSettings, seed: int = 0) -> tuple[Module, BucketedData]:
    """The model, of which only what shall learn does, and its training and validation examples.

    Raises: ConfigError, DataError (among them: an example is longer than the context), CheckpointError, TokenizerError
    """
    if settings.method == "head":
        return _prepare_head(settings, seed)
    sizes = {"train": settings.examples, "val": settings.val_examples}
    examples = {
        split: [e for task in settings.tasks().values() for e in task.examples(split, n, part_rng(seed, split))]
        for split, n in sizes.items()
    }
    texts = [message.content for part in examples.values() for e in part for message in e.messages] + unseen(settings)
    gpt, n_new = base_model(settings, texts, seed)
    train, val = ([render(e, gpt.tokenizer) for e in part] for part in examples.values())
    if settings.base == SCRATCH:
        gpt = fresh_model(settings, gpt.tokenizer, max(len(ids) for ids, _ in (*train, *val)) - 1, seed)
    if settings.turns > 1:  # the first token of a row is read, the last one only predicted: one more than the context
        room, rngs = gpt.config.block_size + 1, ([seed, k] for k in (len(SPLITS), len(SPLITS) + 1))
        train, val = (
            join_turns(part, gpt.tokenizer, settings.turns, room, np.random.default_rng(key))
            for part, key in zip((train, val), rngs, strict=True)
        )
    data = BucketedData(train, val or None, gpt.config.block_size)
    also = ["wte.weight"] if n_new else []  # new tokens have rows that nobody has trained yet
    if settings.method == "lora":
        add_lora(gpt, settings.rank, settings.alpha, settings.target_names, also, rng=seed)
    elif settings.method == "last-k":
        train_last(gpt, settings.last_k, also)
    return gpt, data


def base_model(settings: FinetuneSettings, texts: Sequence[str], seed: int) -> tuple[GPT, int]:
    """(the base with a tokenizer ready for dialogue and for the characters of the texts, how many tokens are new)

    A model with a head answers nobody, it needs no dialogue tokens: with them it would pass for one that can.
    For "scratch" the smallest model with such a tokenizer: `fresh_model` makes the real one, once lengths are known.
    """
    dialogue = settings.method != "head"
    if settings.base == SCRATCH:
        tok = CharTokenizer.train(ASCII + "".join(set("".join(texts))))
        if dialogue:
            add_dialogue_tokens(tok)
        gpt = GPT(GPTConfig(tok.vocab_size, 1, 1, 1, 1))
        gpt.tokenizer = tok
        return gpt, 0
    gpt = GPT.from_pretrained(settings.base)
    return gpt, make_ready(gpt, texts, seed, dialogue)


def make_ready(gpt: GPT, texts: Sequence[str], seed: int = 0, dialogue: bool = True) -> int:
    """Dialogue tokens, and the characters of the texts, for a model that lacks some; returns how many were new."""
    tok, before = gpt.tokenizer, gpt.tokenizer.vocab_size
    if isinstance(tok, CharTokenizer):
        tok.add_characters("".join(set("".join(texts))))
    if dialogue:
        add_dialogue_tokens(tok)
    if tok.vocab_size > gpt.config.vocab_size:
        gpt.resize_vocab(tok.vocab_size, rng=seed)
    return tok.vocab_size - before


def fresh_model(settings: FinetuneSettings, tok, longest: int, seed: int) -> GPT:
    """A small GPT with a context for `longest` tokens, in whole eights."""
    block_size = -(-longest // 8) * 8 if settings.block_size is None else settings.block_size
    gpt = GPT(GPTConfig(tok.vocab_size, block_size, settings.n_layer, settings.n_head, settings.n_embd), seed=seed)
    gpt.tokenizer = tok
    return gpt


def labelled_records(settings: FinetuneSettings, split: str, n: int, seed: int) -> list:
    """Texts with labels, or words with tags, of the one task. Raises ConfigError if it has none."""
    (name, task), *_ = settings.tasks().items()
    return class_records(name, task, split, n, part_rng(seed, split))


def class_records(name: str, task, split: str, n: int, rng) -> list:
    """n texts with labels, or words with tags, of a task. Raises ConfigError if it has no classes."""
    for method in ("labelled", "tagged"):
        if hasattr(task, method):
            records = list(getattr(task, method)(split, n, rng))
            if records or split != "train":  # a small file may lack the other parts
                return records
    raise ConfigError(f"method head needs a task with classes, such as sentiment or tagging; {name} has none")


def _prepare_head(settings: FinetuneSettings, seed: int) -> tuple[Module, BucketedData]:
    train = labelled_records(settings, "train", settings.examples, seed)
    val = labelled_records(settings, "val", settings.val_examples, seed)
    tagged = hasattr(train[0], "tags")
    classes = sorted({name for r in train for name in (r.tags if tagged else [r.label])})
    texts = [" ".join(r.words) if tagged else r.text for r in (*train, *val)] + unseen(settings)
    gpt, _ = base_model(settings, texts, seed)
    parts = [class_data(records, gpt.tokenizer, classes) for records in (train, val) if records]
    if settings.base == SCRATCH:
        gpt = fresh_model(settings, gpt.tokenizer, max(int(part.widths.max()) for part in parts), seed)
    weights = balanced_weights([t for i in range(len(parts[0])) for t in parts[0][i][1]], len(classes))
    model = GPTClassifier(
        gpt, classes, "token" if tagged else "sequence", class_weights=weights if settings.class_weights else None,
        causal=not tagged, seed=seed,
    )  # fmt: skip
    return model, BucketedData(parts[0], parts[1] if len(parts) > 1 else None, gpt.config.block_size)


def unseen(settings: FinetuneSettings) -> list[str]:
    """The texts of a file that are only measured on: not learned from, but their characters must have ids."""
    if settings.data is None:
        return []
    (task,) = settings.tasks().values()
    return [message.content for e in task.examples("test", None, None) for message in e.messages]


def part_rng(seed: int, split: str) -> np.random.Generator:
    """What the examples of a part are drawn from: the same in every run, and others than those of the other parts."""
    return np.random.default_rng([seed, SPLITS.index(split)])


def question_of(example: Conversation) -> str:
    """What the user said last."""
    return example.without_reply().messages[-1].content
