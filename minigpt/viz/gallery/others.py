"""Examples of the views of training, of text, of probabilities and of kernels."""

import numpy as np

from .. import (
    Comparison,
    KernelThreads,
    LayerStatistics,
    LossCurve,
    LossMask,
    ReliabilityDiagram,
    SamplingSteps,
    TokenScores,
)


def loss_curve():
    noise = np.random.default_rng(0)
    steps, seldom = np.arange(0, 400, 4), np.arange(0, 401, 50)
    runs = {}
    for name, end in (("one layer", 2.1), ("four layers", 1.6)):
        train = end + 2 * np.exp(-steps / 90) + noise.normal(0, 0.06, len(steps))
        val = end + 0.08 + 2 * np.exp(-seldom / 90)
        runs[name] = {"train": {"steps": steps, "losses": train}, "val": {"steps": seldom, "losses": val}}
    return LossCurve(runs, references={"bigram": 2.45})


def comparison():
    steps, back = np.arange(1, 101), np.arange(12)
    loss = {"GPT": 1.5 + 2.5 * np.exp(-steps / 25), "LSTM": 1.7 + 2.3 * np.exp(-steps / 30)}
    gradient = {"GPT": np.full(12, 0.02) + 0.5 * 0.1**back, "LSTM": 0.6 * 0.62**back}
    far = [4, 8, 16, 32]
    recall = {"GPT": (far, [1.0, 0.99, 0.97, 0.96]), "LSTM": (far, [0.98, 0.83, 0.41, 0.2])}
    return Comparison(loss, gradient, recall)


def layer_statistics():
    layers = np.arange(9)
    values = {
        "too small": {"activation": 0.4 * 0.55**layers, "gradient": 0.02 * 0.5 ** layers[::-1]},
        "scaled": {"activation": 0.9 * 1.05**layers, "gradient": 0.03 * 0.97 ** layers[::-1]},
    }
    return LayerStatistics(values, units={"gradient": "nats per unit"})


def loss_mask():
    tokens = ["<|user|>", "What", " is", " 2", " +", " 2", "?\n", "<|end|>", "<|assistant|>", " 4", ".", "<|end|>"]
    return LossMask(tokens, [False] * 9 + [True] * 3)


def token_scores():
    tokens = ["The", " keys", " to", " the", " old", " cabinet"]
    scores = {
        "occlusion": [0.05, 1.32, 0.08, -0.02, 0.11, -0.74],
        "gradient × input": [0.12, 0.81, -0.05, 0.07, 0.24, -0.33],
        "rollout": [0.24, 0.2, 0.11, 0.1, 0.14, 0.21],
    }
    return TokenScores(tokens, scores, title="What speaks for “ are”?", note="Attention is not explanation.")


def sampling_steps():
    candidates = [[" mat", " sofa", " floor", " roof"], [".", ",", " and", "!"]]
    model = np.array([[0.42, 0.21, 0.17, 0.08], [0.55, 0.2, 0.12, 0.04]])
    sharp = model ** (1 / 0.7)
    sharp /= sharp.sum(axis=1, keepdims=True) * 1.04
    kept = np.where(np.arange(4) < 3, sharp, 0.0)
    kept /= kept.sum(axis=1, keepdims=True)
    stages = np.stack([model, sharp, kept], axis=1)  # (2 tokens, 3 stages, 4 candidates)
    return SamplingSteps(["model", "T 0.7", "top-k 3"], candidates, stages, [1, 0], prompt="The cat sat on the")


def reliability_diagram():
    confidence = np.array([0.15, 0.35, 0.55, 0.75, 0.95])
    models = {}
    for name, surer in (("calibrated", 0.01), ("too sure", 0.14)):
        accuracy = confidence - surer * np.array([0.2, 0.6, 1, 1, 0.8])
        models[name] = {
            "confidence": confidence,
            "accuracy": accuracy,
            "low": accuracy - 0.04,
            "high": accuracy + 0.03,
            "count": [90, 210, 260, 240, 400],
            "edges": [0, 0.2, 0.4, 0.6, 0.8, 1],
        }
    return ReliabilityDiagram(models)


def kernel_threads():
    """Sixteen threads write a tile row by row and, after the barrier, read it column by column."""
    accesses = [("tile", t, True, (0, 0, 0), t, 0, 0) for t in range(16)]
    accesses += [("tile", 4 * (t % 4) + t // 4, False, (0, 0, 0), t, 1, 0) for t in range(16)]
    arrays = {"tile": {"shape": (4, 4), "bytes": 4}}
    trace = {"kernel": "transpose", "block": (16, 1, 1), "arrays": arrays, "accesses": accesses}
    return KernelThreads(trace, steps=["write", "read"])


EXAMPLES = {
    "LossCurve": loss_curve,
    "Comparison": comparison,
    "LayerStatistics": layer_statistics,
    "SamplingSteps": sampling_steps,
    "ReliabilityDiagram": reliability_diagram,
    "TokenScores": token_scores,
    "LossMask": loss_mask,
    "KernelThreads": kernel_threads,
}
