"""Looking inside a model: activations by name, what changes when they do, who wrote what into the residual stream."""

from .capture import capture
from .explain import Explanation, explain
from .head_scores import HeadScores, head_scores, repeated_tokens, scores_of
from .hooks import PatchingResult, ablate, hooked, patch, patching_grid, run_with_hooks
from .initialisation import initialisation_study
from .one_head import attention_steps, neuron_view
from .residual import decompose, logit_attribution, logit_lens, neuron_breakdown
from .rollout import attention_rollout

__all__ = [
    "Explanation", "HeadScores", "PatchingResult", "ablate", "attention_rollout", "attention_steps", "capture",
    "decompose", "explain", "head_scores", "hooked", "initialisation_study", "logit_attribution", "logit_lens",
    "neuron_breakdown", "neuron_view", "patch", "patching_grid", "repeated_tokens", "run_with_hooks", "scores_of",
]  # fmt: skip
