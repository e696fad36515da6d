"""Looking inside a model: activations by name, what changes when they do, who wrote what into the residual stream."""

from .capture import capture
from .explain import Explanation, explain
from .head_scores import HeadScores, head_scores, repeated_tokens, scores_of
from .hooks import PatchingResult, ablate, hooked, patch, patching_grid, run_with_hooks
from .initialisation import initialisation_study
from .residual import decompose, logit_attribution, logit_lens, neuron_breakdown
from .rollout import attention_rollout
from .states import recurrent_states
from .stream import LayerNumbers, stream_numbers

__all__ = [
    "Explanation", "HeadScores", "LayerNumbers", "PatchingResult", "ablate", "attention_rollout", "capture",
    "decompose", "explain", "head_scores", "hooked", "initialisation_study", "logit_attribution", "logit_lens",
    "neuron_breakdown", "patch", "patching_grid", "recurrent_states", "repeated_tokens", "run_with_hooks", "scores_of",
    "stream_numbers",
]  # fmt: skip
