"""Pictures from plain arrays: Matplotlib figures and self-contained HTML.

Every view is an object with `.fig()`, `.save("x.html")` (or .png, .svg, .pdf) and, in a notebook, a picture
of its own. The arrays may come from anywhere; nothing here knows a Tensor or a model.

`import minigpt.viz` loads neither Matplotlib nor the views: each name below is loaded at its first use.
"""

from ..lazy import lazy_names

# public name -> the module of this package that defines it
_HOME = {
    "AblationEffect": "ablation",
    "AttentionGrid": "attention",
    "AttentionRollout": "rollout",
    "AttentionSteps": "attention_steps",
    "BackwardSteps": "backward",
    "Comparison": "comparison",
    "ComputationGraph": "graph",
    "CrossAttention": "attention",
    "EmbeddingPCA": "pca",
    "HeadScores": "head_scores",
    "HeadTraining": "head_training",
    "HeadView": "heads",
    "HeatMaps": "heat_maps",
    "KernelThreads": "threads",
    "LayerHistograms": "histograms",
    "LayerStatistics": "layers",
    "LogitLens": "logit_lens",
    "LossCurve": "loss",
    "LossMask": "loss_mask",
    "NeuronView": "neuron",
    "PatchingGrid": "patching",
    "PositionCosine": "cosine",
    "ReliabilityDiagram": "reliability",
    "SamplingSteps": "sampling",
    "TokenScores": "token_scores",
    "View": "base",
    "visible": "html",
}

__all__ = [
    "AblationEffect", "AttentionGrid", "AttentionRollout", "AttentionSteps", "BackwardSteps", "Comparison",
    "ComputationGraph", "CrossAttention", "EmbeddingPCA", "HeadScores", "HeadTraining", "HeadView", "HeatMaps",
    "KernelThreads", "LayerHistograms", "LayerStatistics", "LogitLens", "LossCurve", "LossMask", "NeuronView",
    "PatchingGrid", "PositionCosine", "ReliabilityDiagram", "SamplingSteps", "TokenScores", "View", "visible",
]  # fmt: skip

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOME)
