"""Looking inside a model: activations by name, which tokens a prediction came from, numbers before the first step."""

from .capture import capture
from .explain import Explanation, explain
from .head_scores import HeadScores, head_scores, repeated_tokens, scores_of
from .initialisation import initialisation_study
from .rollout import attention_rollout

__all__ = [
    "Explanation", "HeadScores", "attention_rollout", "capture", "explain", "head_scores", "initialisation_study",
    "repeated_tokens", "scores_of",
]  # fmt: skip
