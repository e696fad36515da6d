# ---
# title: Backward through a matrix product
# level: 2
# minutes: 30
# points: 7
# notebook: 02_backward
# ---

# %% [markdown]
# Nearly all of a transformer's work is y = a @ b. Given dy = d loss / d y, an array of the shape of y, find da and db.
#
# ```text
# y[i, j] = sum_k a[i, k] * b[k, j]
# ```
#
# a[i, k] goes into all of y[i, 0], y[i, 1], …, each time with the factor b[k, j]. By the chain rule its gradient is
# the sum of what comes back from each of them:
#
# ```text
# da[i, k] = sum_j dy[i, j] * b[k, j]
# ```
#
# Which matrix product is that? Find it, and the one for db, by what the indices say, not by what the shapes allow: for
# square matrices every order has a fitting shape, and only one is right.
#
# Write `matmul_backward(dy, a, b)`, which returns the pair `da, db`. It must also work
#
# - for batches: a (..., I, K) and b (..., K, J) with the same leading axes;
# - for a weight that the whole batch shares: a (B, T, C) and b (C, N). Every sequence sends a gradient back to the same
#   numbers; what is db then, and which shape must it have?
#
# You may begin with da and `return da, None`.

# %% [markdown]
# <details><summary>Hint 1: which product</summary>
#
# In `sum_j dy[i, j] * b[k, j]` the sum runs over the last index of both. A matrix product sums over the last index of
# the left and the last but one of the right factor: transpose b.
# </details>
#
# <details><summary>Hint 2: transposing a batch</summary>
#
# `.T` turns all axes round. `x.swapaxes(-1, -2)` exchanges the last two and leaves the batch alone.
# </details>
#
# <details><summary>Hint 3: the shared weight</summary>
#
# The product gives one db per sequence, (B, C, N). A number that is used several times gets the sum of the gradients:
# sum over the leading axes that b does not have.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "matmul_backward"}
def matmul_backward(dy, a, b):
    """(da, db) of y = a @ b. dy (..., I, J), a (..., I, K), b (..., K, J) or (K, J)"""
    ### BEGIN SOLUTION: one matrix product for da, one for db, then sum db over the batch if b has none
    da = dy @ b.swapaxes(-1, -2)  # (..., I, K)
    db = a.swapaxes(-1, -2) @ dy  # (..., K, J)
    shared_axes = tuple(range(db.ndim - b.ndim))
    return da, db.sum(axis=shared_axes)
    ### END SOLUTION


# %% [markdown]
# Try it against a finite difference: change one element of a by a little, and see how much the loss changes. Here the
# loss is the sum of dy * y.

# %%
rng = np.random.default_rng(0)
a, b, dy = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(2, 4))
da, db = matmul_backward(dy, a, b)
nudged = a.copy()
nudged[1, 2] += 1e-6
print("by your formula      ", da[1, 2])
print("by finite differences", ((dy * (nudged @ b)).sum() - (dy * (a @ b)).sum()) / 1e-6)

# %% nbgrader={"grade": true, "grade_id": "matmul_backward-check"}
mg.classroom.check("matmul_backward", matmul_backward)
### BEGIN HIDDEN TESTS
mg.classroom.check("matmul_backward", matmul_backward, seed=20)
### END HIDDEN TESTS
