# ---
# title: Layer norm
# level: 1
# minutes: 20
# points: 6
# notebook: 07_layernorm_residual
# ---

# %% [markdown]
# Every block of a transformer adds something to the residual stream, and after many blocks its numbers would be large.
# Layer norm (Ba, Kiros & Hinton 2016) gives each token's vector mean 0 and variance 1 before the next layer reads it,
# then lets the model choose a scale and an offset per channel:
#
# ```text
# mean = (1/C) sum_c x[c]        var = (1/C) sum_c (x[c] - mean)²
# xhat = (x - mean) / sqrt(var + eps)
# y    = xhat * weight + bias
# ```
#
# Write `layernorm_forward(x, weight, bias, eps=1e-5)` with NumPy, for x (..., C) and weight, bias (C,). Each vector
# along the last axis is normalised by itself; tokens do not see one another.

# %% [markdown]
# <details><summary>Hint 1: one mean per token</summary>
#
# `x.mean(axis=-1, keepdims=True)` has shape (..., 1) and can be subtracted from x.
# </details>
#
# <details><summary>Hint 2: why eps, and where</summary>
#
# If all channels are equal the variance is 0. eps stands under the root, beside the variance.
# </details>
#
# <details><summary>Hint 3: numbers far from zero</summary>
#
# mean(x²) - mean(x)² is the variance on paper. In floating-point numbers it is the small difference of two large ones.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "layernorm_forward"}
def layernorm_forward(x, weight, bias, eps=1e-5):
    """Layer norm over the last axis. x (..., C), weight (C,), bias (C,) -> (..., C)"""
    ### BEGIN SOLUTION: mean and variance of each row, normalise, then weight and bias
    centred = x - x.mean(axis=-1, keepdims=True)
    var = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(var + eps) * weight + bias
    ### END SOLUTION


# %% [markdown]
# Try it. The second row is the first times ten; what do you expect of its output?

# %%
x = np.array([[1.0, 2.0, 3.0, 6.0], [10.0, 20.0, 30.0, 60.0]])
y = layernorm_forward(x, np.ones(4), np.zeros(4))
print(y)
print("mean", y.mean(axis=-1), "variance", y.var(axis=-1))

# %% nbgrader={"grade": true, "grade_id": "layernorm_forward-check"}
mg.classroom.check("layernorm_forward", layernorm_forward)
### BEGIN HIDDEN TESTS
mg.classroom.check("layernorm_forward", layernorm_forward, seed=20)
### END HIDDEN TESTS
