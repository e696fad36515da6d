"""The validation loss that nanoGPT's CPU recipe reaches here.

The recipe: 4 layers, 4 heads, width 128, context 64, no dropout and no biases; batch 12, 2000 steps of AdamW,
learning rate 1e-3 to 1e-4 by a cosine after 100 steps of warm-up, betas (0.9, 0.99), weight decay 0.1, clipping at 1.
"""

from __future__ import annotations

from ..data import load_corpus, tokenize_and_split
from ..models import GPT, GPTConfig
from ..tokenizers import CharTokenizer
from ..training import TrainConfig, Trainer


def run_recipe(source, seed: int, backend: str | None = None, steps: int = 2000, progress: bool = True) -> float:
    """Train once; returns the loss in nats per character over the whole validation part (the last 10 %)."""
    corpus = load_corpus(source)
    tokenizer = CharTokenizer.train(corpus.text)
    model = GPT(GPTConfig.named("baby", tokenizer.vocab_size, bias=False), seed=seed)
    data = tokenize_and_split(corpus.text, tokenizer, model.config.block_size)
    config = TrainConfig(
        steps=steps, batch_size=12, lr=1e-3, min_lr=1e-4, warmup=min(100, steps), weight_decay=0.1, betas=(0.9, 0.99),
        grad_clip=1.0, backend=backend, seed=seed, eval_interval=0, progress=progress,
    )  # fmt: skip
    trainer = Trainer(model, data, config)
    trainer.fit()
    if trainer.interrupted:
        raise KeyboardInterrupt
    return float(trainer.history["val_loss"][-1])
