"""Examples of the views of what is inside a model. All numbers are made up, in shapes that a small model gives."""

import numpy as np

from .. import (
    AblationEffect,
    AttentionRollout,
    BackwardSteps,
    ComputationGraph,
    EmbeddingPCA,
    HeadScores,
    HeadTraining,
    HeatMaps,
    LayerHistograms,
    LogitLens,
    PatchingGrid,
    PositionCosine,
)
from .attention import TOKENS, causal_weights, softmax

STEPS = np.arange(0, 501, 100)
T = len(TOKENS)


def attention_rollout():
    weights = causal_weights(3, 4, T)
    rollout = np.eye(T)
    for layer in weights.mean(axis=1):  # (T, T)
        rollout = (layer + np.eye(T)) / 2 @ rollout
    return AttentionRollout(weights, rollout, TOKENS)


def head_scores():
    learned = 1 / (1 + np.exp(-(STEPS - 250) / 40))  # (S,)
    base = np.random.default_rng(1).uniform(0.02, 0.12, (2, len(STEPS), 2, 4))
    previous, induction = base
    previous[:, 0, 1] += 0.8 * np.minimum(1, 1.3 * learned)
    induction[:, 1, 2] += 0.75 * learned
    return HeadScores({"previous token": previous, "induction": induction}, steps=STEPS)


def head_training():
    frames = [causal_weights(1, 2, T)[0, 1] ** (step / 400) for step in STEPS]  # from even to sharp
    frames = [f * np.tri(T) / (f * np.tri(T)).sum(axis=-1, keepdims=True) for f in frames]
    steps = np.arange(0, 501, 10)
    loss = {"steps": steps, "losses": 1.4 + 2.1 * np.exp(-steps / 130)}
    return HeadTraining(frames, STEPS, TOKENS, loss=loss, head="layer 0, head 1")


def logit_lens():
    rng = np.random.default_rng(2)
    nexts = [*TOKENS[1:], "."]
    words = ["The", " a", " dog", " ran", " in", " hat", " then", ".", *dict.fromkeys(nexts)]
    scores = rng.normal(0, 1, (4, T, len(words)))
    for t, word in enumerate(nexts):
        scores[:, t, words.index(word)] += np.linspace(0, 5, 4)  # later layers know better
    p = softmax(scores)  # (L, T, words)
    best = np.argsort(-p, axis=-1)[..., :3]  # (L, T, 3)
    names = [[[words[k] for k in cell] for cell in row] for row in best]
    return LogitLens(TOKENS, np.take_along_axis(p, best, axis=-1), names, targets=nexts)


def embedding_pca():
    rng = np.random.default_rng(3)
    letters, digits = "aeiouxyz", "0123456789"
    vectors = rng.normal(0, 0.5, (len(letters + digits), 8))
    vectors[len(letters) :, 0] += 3
    vectors[len(letters) :, 1] += np.linspace(-2, 2, len(digits))
    groups = ["letter"] * len(letters) + ["digit"] * len(digits)
    return EmbeddingPCA(vectors, list(letters + digits), groups=groups)


def position_cosine():
    angles = np.arange(16)[:, None] / 100 ** (np.arange(4) / 4)  # (16, 4)
    return PositionCosine(np.concatenate([np.sin(angles), np.cos(angles)], axis=1))


def layer_histograms():
    rng = np.random.default_rng(4)
    return LayerHistograms([rng.normal(0, 0.5 + 0.4 * layer, 2000) for layer in range(4)], bins=15)


def ablation_effect():
    heads = np.random.default_rng(5).normal(0.01, 0.02, (2, 4))
    heads[1, 2] = 0.6
    return AblationEffect(heads, [0.35, 0.12], baseline=1.53)


def heat_maps():
    """Eight units of a recurrent layer while it reads: the first two remember where the sentence began."""
    since = np.arange(T)
    states = np.sin(0.7 * np.arange(8)[:, None] * since + np.arange(8)[:, None]) * 0.8
    states[0], states[1] = 0.9 * 0.85**since, -0.9 * 0.6**since
    return HeatMaps(
        {"states": states}, columns=TOKENS, tokens=True, row="unit", column="token", words="state, −1 to 1",
        title="Eight units while they read", note="Each column: the states after that token.",
    )  # fmt: skip


def patching_grid():
    values = np.zeros((4, T))
    values[:2, 1] = 0.95
    values[2, 1], values[2:, -1] = 0.3, (0.6, 1.0)
    return PatchingGrid(values, TOKENS, metric="share of the difference restored")


def computation_graph():
    nodes = [
        {"id": "x", "label": "x", "lines": ["2"], "kind": "leaf"},
        {"id": "w", "label": "w", "lines": ["0.5", "grad 1.28"], "kind": "parameter"},
        {"id": "1", "label": "Mul", "lines": ["1"]},
        {"id": "2", "label": "Tanh", "lines": ["0.7616"]},
        {"id": "3", "label": "Add", "lines": ["1.262"], "kind": "output"},
    ]
    return ComputationGraph(nodes, [("x", "1"), ("w", "1"), ("1", "2"), ("2", "3"), ("w", "3")])


def backward_steps():
    """w is used twice: y = tanh(x w) + w."""
    x, w = np.array([2.0, -1.0]), np.array([0.5])
    t = np.tanh(x * w)
    dt, dm = np.ones(2), 1 - t**2  # from Add, from Tanh
    given = {"before": None, "after": None, "summed": (), "leaf": False, "shape": (2,)}

    def out(name, gradient, **more):
        return {**given, "name": name, "box": name, "gradient": gradient, "after": gradient, **more}

    leaf = {"leaf": True, "summed": (0,), "shape": (1,)}
    first, second = dt.sum(keepdims=True), (dm * x).sum(keepdims=True)
    steps = [
        ("%4", "Sum(%3)", "y = sum_i x_i;  dx_i = dy", np.ones(()), [out("%3", dt)]),
        ("%3", "Add(%2, w)", "y = a + b;  da = dy, db = dy", dt, [out("%2", dt), out("w", first, **leaf)]),
        ("%2", "Tanh(%1)", "y = tanh x;  dx = dy * (1 - y^2)", dt, [out("%1", dm)]),
        ("%1", "Mul(x, w)", "y = a * b;  da = dy * b, db = dy * a", dm,
         [out("x", dm * w, leaf=True), out("w", second, **leaf, before=first) | {"after": first + second}]),
    ]  # fmt: skip
    values = {"%1": x * w, "%2": t, "%3": t + w}
    nodes = [
        {"id": "x", "label": "x", "lines": ["2, -1"], "kind": "parameter"},
        {"id": "w", "label": "w", "lines": ["0.5"], "kind": "parameter"},
        *({"id": n, "label": f"{n} = {op}", "lines": [f"{values[n][0]:.4g}, {values[n][1]:.4g}"]}
          for n, op in (("%1", "Mul"), ("%2", "Tanh"), ("%3", "Add"))),
        {"id": "%4", "label": "%4 = Sum", "lines": [f"{(t + w).sum():.4g}"], "kind": "output"},
    ]  # fmt: skip
    edges = [("x", "%1"), ("w", "%1"), ("%1", "%2"), ("%2", "%3"), ("w", "%3"), ("%3", "%4")]
    told = [
        {"box": n, "text": f"{n} = {what}", "formula": rule, "where": "", "outputs": [(n, came)], "inputs": went}
        for n, what, rule, came, went in steps
    ]
    return BackwardSteps(told, nodes, edges, title="Backward through sum(tanh(x w) + w)")


EXAMPLES = {
    "AttentionRollout": attention_rollout,
    "HeadScores": head_scores,
    "HeadTraining": head_training,
    "LogitLens": logit_lens,
    "AblationEffect": ablation_effect,
    "PatchingGrid": patching_grid,
    "EmbeddingPCA": embedding_pca,
    "PositionCosine": position_cosine,
    "LayerHistograms": layer_histograms,
    "HeatMaps": heat_maps,
    "ComputationGraph": computation_graph,
    "BackwardSteps": backward_steps,
}
