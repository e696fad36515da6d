"""Looking inside a model: activations by name, what changes when they do, who wrote what into the residual stream."""

from .capture import attention_weights, capture
from .explain import Explanation, explain
from .head_scores import HeadScores, head_scores, repeated_tokens, scores_of
from .hooks import PatchingResult, ablate, hooked, patch, patching_grid, run_with_hooks
from .induction import induction_model
from .initialisation import initialisation_study
from .one_head import attention_steps, neuron_view
from .recorder import Recorder
from .recording import Recording
from .residual import decompose, logit_attribution, logit_lens, neuron_breakdown
from .rollout import attention_rollout
from .states import recurrent_states
from .stream import LayerNumbers, stream_numbers

__all__ = [
    "Explanation", "HeadScores", "LayerNumbers", "PatchingResult", "Recorder", "Recording", "ablate",
    "attention_rollout", "attention_steps", "attention_weights", "capture", "decompose", "explain", "head_scores",
    "hooked", "induction_model", "initialisation_study", "logit_attribution", "logit_lens", "neuron_breakdown",
    "neuron_view", "patch", "patching_grid", "recurrent_states", "repeated_tokens", "run_with_hooks", "scores_of",
    "stream_numbers",
]  # fmt: skip
