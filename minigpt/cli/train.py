"""Train a GPT on text: the Python prose that every CPython carries, a text file, or a folder of them.

Writes a checkpoint folder: config.json, model.safetensors, the tokenizer, and what `--resume` needs to go on as if
nothing had happened. Settings come from --config run.toml with tables [data], [model], [train]; flags win over it.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from ..errors import ConfigError
from ..models.config import SHAPES
from ..training.config import TrainConfig
from ..training.memory import memory_line
from ..training.progress import how_to_go_on
from .common import add_dataclass_flags, check_tables, given_flags, positive
from .recording import add_record_flags, ignored_by_resume, new_recorder, resumed

HELP = "train a GPT on text"
EXAMPLE = (
    "minigpt train --data my_book.txt --shape baby --steps 2000 --out runs/book\n"
    "  minigpt train --data my_book.txt --out runs/book --record 'Once upon a' --record-weights --record-every 500\n"
    "  minigpt train --resume runs/book --step 64 --out runs/book-from-64"
)
DATA_FLAGS = {"data": "source", "val_fraction": "val_fraction", "tokenizer": "tokenizer", "vocab_size": "vocab_size"}
MODEL_FLAGS = ("shape", "block_size", "n_layer", "n_head", "n_embd", "dropout")


def add_arguments(parser):
    parser.add_argument(
        "--data", metavar="NAME|PATH", help="python, a fetched corpus, a text file or folder (default: python)"
    )
    parser.add_argument("--val-fraction", type=float, help="last part of the text that only validates (default: 0.1)")
    parser.add_argument(
        "--tokenizer",
        choices=("char", "word", "bpe"),
        help="char: a token per character; word: one per word; bpe: as GPT-2 (default: char)",
    )
    text = "ids of --tokenizer bpe, from 256 (default: 1024), or of word (default: all words that occur twice)"
    parser.add_argument("--vocab-size", type=positive, help=text)
    parser.add_argument("--config", type=Path, metavar="TOML", help="file with tables [data], [model], [train]")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with the run saved in this folder")
    model = parser.add_argument_group("model")
    model.add_argument("--shape", choices=SHAPES, help="layers, heads, width and context by name (default: baby)")
    for name, text in (("block-size", "longest context in tokens"), ("n-layer", "number of blocks"),
                       ("n-head", "attention heads per block"), ("n-embd", "width, divisible by n-head")):  # fmt: skip
        model.add_argument(f"--{name}", type=int, help=f"{text} (default: from --shape)")
    model.add_argument("--dropout", type=float, help="probability of dropping in training (default: 0)")
    training = parser.add_argument_group("training")
    training.add_argument("--out", metavar="FOLDER", help="checkpoint folder (default: runs/train)")
    add_dataclass_flags(training, TrainConfig, skip=("out",))
    add_record_flags(parser)


def run(args) -> int:
    if args.resume:
        more = any(getattr(args, name) is not None for name in ("config", *DATA_FLAGS, *MODEL_FLAGS))
        if more or ignored_by_resume(args, TrainConfig):
            print("note: --resume goes on with the saved settings; other flags are ignored", file=sys.stderr)
        trainer = resumed(args)
    else:
        trainer = new_trainer(args)
    trainer.fit()
    if trainer.interrupted:
        if not trainer.config.progress:  # else the progress bar has said it
            print(how_to_go_on(trainer), file=sys.stderr)
        return 130
    validation = trainer.history["val_loss"]
    loss = f"validation loss {validation[-1]:.4f} nats per token" if len(validation) else "no validation part"
    print(f"done: {trainer.step_number} steps, {loss}")
    print(memory_line(trainer.memory()))
    out = str(trainer.config.out)
    print(f"the checkpoint is in {out}; try\n  python -m minigpt generate --model {shlex.quote(out)}")
    return 0


def new_trainer(args):
    """A Trainer from the file and the flags."""
    from ..data import load_corpus, tokenize_and_split, train_tokenizer
    from ..models import GPT, GPTConfig
    from ..training import Trainer
    from ..training.config import read_toml, toml_table

    recorder = new_recorder(args)
    file = read_toml(args.config) if args.config else {}
    check_tables(file, ("data", "model", "train"), args.config)
    data = {
        "source": "python",
        "val_fraction": 0.1,
        "tokenizer": "char",
        "vocab_size": None,
        **toml_table(file, "data", args.config),
        **_given({name: getattr(args, flag) for flag, name in DATA_FLAGS.items()}),
    }
    _refuse_unknown(data, DATA_FLAGS.values(), "[data]")
    model = {
        "shape": "baby",
        **toml_table(file, "model", args.config),
        **_given({name: getattr(args, name) for name in MODEL_FLAGS}),
    }
    _refuse_unknown(model, (*MODEL_FLAGS, "bias", "seed", "layer_norm_eps"), "[model]")
    config = TrainConfig.from_dict(
        {"out": "runs/train", **toml_table(file, "train", args.config), **given_flags(args, TrainConfig)}
    )

    if not isinstance(data["source"], str):
        raise ConfigError(f"[data] source must be a name or a path, got {data['source']!r}")
    corpus = load_corpus(data["source"])
    progress = None if config.progress else False
    tokenizer = train_tokenizer(data["tokenizer"], corpus.text, data["vocab_size"], data["val_fraction"], progress)
    seed = model.pop("seed", config.seed)
    gpt = GPT(GPTConfig.named(model.pop("shape"), tokenizer.vocab_size, **model), seed=seed)
    gpt.tokenizer = tokenizer
    tokens = tokenize_and_split(corpus.text, tokenizer, gpt.config.block_size, data["val_fraction"])
    print(_corpus_line(corpus, tokenizer, tokens), file=sys.stderr)
    return Trainer(gpt, tokens, config, recorder)


def _corpus_line(corpus, tokenizer, tokens) -> str:
    """Size and vocabulary; where a token is not a character, how many characters it has (losses are per token)."""
    n_tokens = len(tokens.train_ids) + len(tokens.val_ids)
    if n_tokens == len(corpus.text):
        vocabulary = f"{tokenizer.vocab_size} distinct"
    else:
        vocabulary = f"vocabulary of {tokenizer.vocab_size}, {len(corpus.text) / n_tokens:.2f} characters per token"
    return f"{corpus.name}: {len(corpus.text):,} characters, {vocabulary}; {corpus.source}"


def _given(values: dict) -> dict:
    return {name: value for name, value in values.items() if value is not None}


def _refuse_unknown(values: dict, known, table: str):
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"{table} has unknown settings {unknown}; known are {', '.join(known)}")
