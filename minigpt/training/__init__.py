"""Training: the trainer and its settings, evaluation, checkpoints, and baselines to compare with."""

from .bag_of_words import BagOfWords
from .baselines import ngram_baselines
from .config import TrainConfig
from .evaluate import bits_per_byte, evaluate
from .trainer import Trainer

__all__ = ["BagOfWords", "TrainConfig", "Trainer", "bits_per_byte", "evaluate", "ngram_baselines"]
