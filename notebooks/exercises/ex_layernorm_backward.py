# ---
# title: Backward through layer norm
# level: 3
# minutes: 60
# points: 10
# notebook: 07_layernorm_residual
# ---

# %% [markdown]
# The gradient that people get wrong most often: mean and variance look like constants, but each depends on all
# channels of the row.
#
# ```text
# forward     xhat = (x - mean) * rstd,    rstd = 1 / sqrt(var + eps),    y = xhat * weight + bias
# ```
#
# Given dy = d loss / d y, of the shape of x (..., C), find dx (..., C), dweight (C,) and dbias (C,). Write
# `layernorm_backward(dy, x, weight, eps=1e-5)`, which returns `dx, dweight, dbias`.
#
# Go backward line by line. `dbias` and `dweight` are soon done (every token used the same bias and weight); return
# `None, dweight, dbias` first and check. Then dxhat = dy * weight, and from there x is reached in three ways: directly,
# through the mean, and through the variance.
#
# Two facts to test your dx with, before any check: adding a constant to a row does not change y, so each row of dx adds
# up to 0. And (but for eps) scaling a row's distance from its mean does not change y, so each row of dx has the product
# 0 with xhat.

# %% [markdown]
# <details><summary>Hint 1: weight and bias</summary>
#
# y[n, c] = xhat[n, c] * weight[c] + bias[c]: sum dy * xhat, and dy, over all axes but the last.
# </details>
#
# <details><summary>Hint 2: through the mean</summary>
#
# Write g for dxhat. The mean takes 1/C of each channel, and xhat falls by rstd when the mean rises by 1: each channel
# gets -rstd * mean(g).
# </details>
#
# <details><summary>Hint 3: through the variance</summary>
#
# d rstd / d var = -rstd³ / 2, and d var / d x[c] = 2 (x[c] - mean) / C. Together with the sum of g * (x - mean) each
# channel gets -rstd * xhat[c] * mean(g * xhat).
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "layernorm_backward"}
def layernorm_backward(dy, x, weight, eps=1e-5):
    """(dx, dweight, dbias) of layer norm over the last axis. dy, x (..., C), weight (C,)"""
    ### BEGIN SOLUTION: sums over the tokens for dweight and dbias; for dx go directly, by the mean and by the variance
    rstd = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + eps)  # (..., 1)
    xhat = (x - x.mean(axis=-1, keepdims=True)) * rstd  # (..., C)
    tokens = tuple(range(x.ndim - 1))
    dweight = (dy * xhat).sum(axis=tokens)  # (C,)
    dbias = dy.sum(axis=tokens)  # (C,)
    g = dy * weight  # (..., C)
    by_mean = g.mean(axis=-1, keepdims=True)  # (..., 1)
    by_variance = xhat * (g * xhat).mean(axis=-1, keepdims=True)  # (..., C)
    return (g - by_mean - by_variance) * rstd, dweight, dbias
    ### END SOLUTION


# %% [markdown]
# Try it: the two facts.

# %%
rng = np.random.default_rng(0)
dy, x, weight = rng.normal(size=(2, 5)), rng.normal(size=(2, 5)), rng.uniform(0.5, 2, size=5)
dx, dweight, dbias = layernorm_backward(dy, x, weight)
print("rows of dx add up to     ", dx.sum(axis=-1).round(9))
print("their product with xhat  ", (dx * (x - x.mean(axis=-1, keepdims=True))).sum(axis=-1).round(4))

# %% nbgrader={"grade": true, "grade_id": "layernorm_backward-check"}
mg.classroom.check("layernorm_backward", layernorm_backward)
### BEGIN HIDDEN TESTS
mg.classroom.check("layernorm_backward", layernorm_backward, seed=20)
### END HIDDEN TESTS
