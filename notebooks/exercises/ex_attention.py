# ---
# title: Scaled dot-product attention
# level: 2
# minutes: 45
# points: 10
# notebook: 05_attention
# ---

# %% [markdown]
# Each token asks a question (its query q), every token has a label (its key k) and something to say (its value v). The
# product of a query and a key says how well they fit; softmax makes shares of these scores, and the output is the
# values' mean by these shares.
#
# ```text
# scores[i, j]  = (sum_d q[i, d] * k[j, d]) / sqrt(D)
# weights[i, :] = softmax(scores[i, :])                 a row per query, adding up to 1
# y[i]          = sum_j weights[i, j] * v[j]
# ```
#
# (Vaswani et al. 2017, section 3.2.1.) All of it happens for every sequence b and head h at once:
#
# ```text
# q (B, H, Tq, D)    k, v (B, H, Tk, D)    ->    y (B, H, Tq, D), weights (B, H, Tq, Tk)
# ```
#
# Write `attention(q, k, v, mask=None)`, which returns the pair `y, weights`. `mask` is boolean, True where query i may
# attend to key j, and broadcasts to (B, H, Tq, Tk). Where it is False, the weight is exactly 0, and the other weights
# of the row still add up to 1. A query that may see nothing at all has weights and output 0.

# %% [markdown]
# <details><summary>Hint 1: all heads at once</summary>
#
# `@` multiplies the last two axes and takes the others as a batch: `q @ k.swapaxes(-1, -2)` is (B, H, Tq, Tk).
# </details>
#
# <details><summary>Hint 2: the mask</summary>
#
# `np.where(mask, scores, -np.inf)` *before* the softmax. Masked afterwards, the others would have lost their share.
# </details>
#
# <details><summary>Hint 3: large scores, and queries that see nothing</summary>
#
# As in the exercise on softmax: take the row's maximum from the scores, with 0 in place of a maximum of `-inf`, and
# divide by 1 where the sum is 0.
# </details>
#
# <details><summary>Hint 4: float32</summary>
#
# `np.sqrt(D)` of a Python integer is a float64 number, and makes float64 of everything that it touches. `D ** 0.5` is a
# Python number and does not. `np.where(mask, scores, -np.inf)` is harmless for the same reason.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "attention"}
def attention(q, k, v, mask=None):
    """(y (B, H, Tq, D), weights (B, H, Tq, Tk)). q (B, H, Tq, D), k and v (B, H, Tk, D), mask boolean"""
    ### BEGIN SOLUTION: scaled scores, -inf where the mask is False, softmax over the keys, weighted sum of the values
    D = q.shape[-1]
    scores = q @ k.swapaxes(-1, -2) / D**0.5  # (B, H, Tq, Tk)
    if mask is not None:
        scores = np.where(mask, scores, np.array(-np.inf, scores.dtype))
    m = scores.max(axis=-1, keepdims=True)  # (B, H, Tq, 1)
    e = np.exp(scores - np.where(m == -np.inf, np.zeros_like(m), m))
    total = e.sum(axis=-1, keepdims=True)  # (B, H, Tq, 1)
    weights = e / np.where(total == 0, np.ones_like(total), total)
    return weights @ v, weights
    ### END SOLUTION


# %% [markdown]
# Try it: five tokens, none of which may see a later one. What is the first row of the weights, whatever the numbers?

# %%
rng = np.random.default_rng(0)
q, k, v = rng.normal(size=(3, 1, 1, 5, 4))
y, weights = attention(q, k, v, mask=np.tri(5, dtype=bool))
print(weights[0, 0].round(2))

# %% nbgrader={"grade": true, "grade_id": "attention-check"}
mg.classroom.check("attention", attention)
### BEGIN HIDDEN TESTS
mg.classroom.check("attention", attention, seed=20)
### END HIDDEN TESTS
