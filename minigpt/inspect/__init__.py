"""Looking inside a model: activations by name, and which tokens a prediction came from."""

from .capture import capture
from .explain import Explanation, explain
from .rollout import attention_rollout

__all__ = ["Explanation", "attention_rollout", "capture", "explain"]
