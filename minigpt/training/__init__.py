"""Training: the trainer and its settings, evaluation, checkpoints, adapters, and baselines to compare with."""

from .bag_of_words import BagOfWords
from .baselines import ngram_baselines
from .config import TrainConfig
from .evaluate import bits_per_byte, evaluate
from .lora import add_lora, load_adapter, merge_lora, save_adapter
from .trainer import Trainer

__all__ = [
    "BagOfWords", "TrainConfig", "Trainer", "add_lora", "bits_per_byte", "evaluate", "load_adapter", "merge_lora",
    "ngram_baselines", "save_adapter",
]  # fmt: skip
