"""The main job, start to end: train a small GPT on real text, let it write, look at its attention.

Trains the `baby` shape (4 layers, 4 heads, width 128, context 64) on the prose of Python's language reference, which
every CPython carries; compares its validation loss with n-gram baselines; and writes a folder with the checkpoint,
loss.png, attention.png and attention.html (open it in a browser), samples.txt and report.json.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import TokenizerError
from ..training.config import TrainConfig
from ..training.memory import memory_line
from .common import add_backend

HELP = "train a small GPT on real text, let it write, see its attention"
EXAMPLE = "minigpt demo --out runs/demo"
# nanoGPT's CPU recipe with a higher learning rate, which a model this small bears well
RECIPE = {"steps": 2000, "batch_size": 12, "lr": 3e-3, "min_lr": 1e-4, "eval_interval": 500, "save_interval": 1000}
PROMPT = "The class statement "


def add_arguments(parser):
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="FOLDER", help="what to write into (default: runs/demo)"
    )
    parser.add_argument(
        "--data", default="python", metavar="NAME|PATH", help="another corpus, text file or folder (default: python)"
    )
    parser.add_argument("--steps", type=int, default=RECIPE["steps"], help="training steps (default: %(default)s)")
    parser.add_argument("--prompt", help="prompt of the samples and of the attention picture")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, batches and samples (default: 0)")
    add_backend(parser)


def run(args) -> int:
    from ..data import load_corpus, tokenize_and_split
    from ..models import GPT, GPTConfig
    from ..tokenizers import CharTokenizer
    from ..training import Trainer, ngram_baselines

    corpus = load_corpus(args.data)
    tokenizer = CharTokenizer.train(corpus.text)
    args.prompt = default_prompt(corpus.text) if args.prompt is None else args.prompt
    if not tokenizer.encode(args.prompt):  # refuse an impossible prompt now, not after training
        raise TokenizerError("--prompt is empty; give at least one character to start from")
    model = GPT(GPTConfig.named("baby", tokenizer.vocab_size), seed=args.seed)
    model.tokenizer = tokenizer
    data = tokenize_and_split(corpus.text, tokenizer, model.config.block_size)
    settings = {**RECIPE, "steps": args.steps}
    config = TrainConfig(**settings, backend=args.backend, seed=args.seed, out=str(args.out))
    print(
        f"{corpus.name}: {len(corpus.text):,} characters, {tokenizer.vocab_size} distinct; {corpus.source}",
        file=sys.stderr,
    )

    baselines = ngram_baselines(data.train_ids, data.val_ids, tokenizer.vocab_size)
    trainer = Trainer(model, data, config)
    trainer.fit()
    if trainer.interrupted:
        return 130
    report = make_report(trainer, corpus.text, baselines)
    print_report(report)
    print(f"  {memory_line(trainer.memory())}")
    write_results(trainer, report, args)
    return 0


def default_prompt(text: str) -> str:
    """A prompt whose characters the corpus has: the usual one, or the start of the last tenth."""
    return PROMPT if set(PROMPT) <= set(text) else text[-len(text) // 10 :][:20]


def make_report(trainer, text: str, baselines: dict[str, float]) -> dict:
    """Losses of the model and of the n-gram baselines on the same validation text, in two units."""
    from ..training import bits_per_byte

    val_text = trainer.model.tokenizer.decode(trainer.data.val_ids)
    tokens, n_bytes = len(trainer.data.val_ids), len(val_text.encode("utf-8"))
    losses = {
        **{f"{name} (interpolated)": loss for name, loss in baselines.items()},
        "GPT": trainer.history["val_loss"][-1],
    }
    return {
        "characters": len(text),
        "validation_characters": tokens,
        "row": trainer.row,
        "steps": trainer.step_number,
        "nats_per_char": {name: float(loss) for name, loss in losses.items()},
        "bits_per_byte": {name: float(bits_per_byte(loss, tokens, n_bytes)) for name, loss in losses.items()},
        "nats_below_trigram": float(baselines["trigram"] - trainer.history["val_loss"][-1]),
    }


def print_report(report: dict) -> None:
    print(f"\nvalidation loss on the last {report['validation_characters']:,} characters, never trained on")
    print(f"  {'model':<24}{'nats/char':>10}{'bits/byte':>11}")
    for name, loss in report["nats_per_char"].items():
        print(f"  {name:<24}{loss:>10.3f}{report['bits_per_byte'][name]:>11.3f}")
    print(f"  the GPT is {report['nats_below_trigram']:.3f} nats/char below the trigram")


def write_results(trainer, report: dict, args) -> None:
    """Samples, pictures and the report, beside the checkpoint."""
    import warnings

    from ..files import FileGroup
    from ..generation import generate
    from ..inspect.capture import attention_weights
    from ..viz import AttentionGrid, LossCurve

    model, tokenizer, history = trainer.model, trainer.model.tokenizer, trainer.history
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # samples are meant to grow past the context
        texts = generate(model, tokenizer, args.prompt, 400, temperature=0.8, n=3, seed=args.seed)
    samples = "\n\n".join(f"--- sample {i + 1}\n{args.prompt}{text}" for i, text in enumerate(texts))
    print(f"\n{samples}\n")
    with FileGroup(args.out) as files:
        files.text("samples.txt", samples + "\n")
        files.json("report.json", report)

    steps = list(range(1, trainer.step_number + 1))
    runs = {
        "GPT": {
            "train": {"steps": steps, "losses": history["loss"]},
            "val": {"steps": history["val_step"], "losses": history["val_loss"]},
        }
    }
    references = {name: loss for name, loss in report["nats_per_char"].items() if name != "GPT"}
    LossCurve(runs, title="Training on real text", references=references).save(args.out / "loss.png")

    ids = tokenizer.encode(args.prompt + texts[0])[: min(32, model.config.block_size)]
    view = AttentionGrid(
        attention_weights(model, ids), [tokenizer.decode([i]) for i in ids], title="Attention of every head"
    )
    view.save(args.out / "attention.png")
    view.save(args.out / "attention.html")
    print(f"written to {args.out}: the checkpoint, loss.png, attention.png, attention.html, samples.txt, report.json")
    print(f"go on with\n  python -m minigpt generate --model {args.out}")
