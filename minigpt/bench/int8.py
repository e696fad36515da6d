"""What int8 weights cost: perplexity of a trained model on held-out text, with float weights and with int8."""

from __future__ import annotations

import math

from ..data import load_corpus, tokenize_and_split
from ..models import GPT
from ..nn.int8 import weight_bytes
from ..training import evaluate


def measure(model: GPT, text: str, max_tokens: int | None = None) -> dict:
    """Loss in nats per token over the last tenth of the text, and bytes of the weights, both ways.

    Raises TokenizerError without a tokenizer or for text outside its vocabulary, DataError for too short a text.
    """
    data = tokenize_and_split(text, model.tokenizer, model.config.block_size)
    small = model.quantize()
    tokens = sum(batch["targets"].size for batch in data.val_batches(8, max_tokens))
    return {
        "tokens": tokens,
        "loss": [evaluate(m, data, batch_size=8, max_tokens=max_tokens) for m in (model, small)],
        "bytes": [weight_bytes(m) for m in (model, small)],
    }


def run(folder, source, max_tokens: int | None = None) -> dict:
    """`measure` for a checkpoint folder and a corpus (a name or a file)."""
    return measure(GPT.from_pretrained(folder), load_corpus(source).text, max_tokens)


def report(result: dict) -> str:
    (loss, loss8), (size, size8) = result["loss"], result["bytes"]
    return "\n".join([
        f"held-out text, {result['tokens']:,} tokens; perplexity = e^(mean loss in nats per token):",
        f"  float   {math.exp(loss):10.4f}   loss {loss:.5f}   weights {size / 1e6:.1f} MB",
        f"  int8    {math.exp(loss8):10.4f}   loss {loss8:.5f}   weights {size8 / 1e6:.1f} MB",
        f"  int8 changes perplexity by {math.exp(loss8 - loss) - 1:+.3%}, with {size8 / size:.0%} of the bytes",
    ])  # fmt: skip
