"""Looking inside a model: activations by name, which tokens a prediction came from, numbers before the first step."""

from .capture import capture
from .explain import Explanation, explain
from .initialisation import initialisation_study
from .rollout import attention_rollout

__all__ = ["Explanation", "attention_rollout", "capture", "explain", "initialisation_study"]
