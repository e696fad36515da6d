# ---
# title: Gradient clipping
# level: 1
# minutes: 20
# points: 7
# notebook: 10_training
# ---

# %% [markdown]
# Now and then a batch gives a gradient ten or a hundred times as large as usual, and one step along it undoes an hour
# of training. So all gradients are scaled down together if they are too large (Pascanu et al. 2013):
#
# ```text
# norm     = sqrt(sum of g^2 over all numbers of all gradients)
# g        = g * max_norm / norm        if norm > max_norm; else as it is
# ```
#
# One factor for all, so that the direction of the step stays what it was.
#
# A small example with max_norm 1:
#
# ```text
# gradients  (3, 0) and (4)    norm = sqrt(9 + 0 + 16) = 5    clipped  (0.6, 0) and (0.8), whose norm is 1
# ```
#
# Write `gradient_clipping(grads, max_norm)`. `grads` is a list of arrays, with None for a parameter that has no
# gradient. Return the pair of the list of clipped gradients, None where it was, and the norm *before* clipping, a
# number: people watch it. The arrays in `grads` belong to the caller; make new ones.

# %% [markdown]
# <details><summary>Hint 1: the norm</summary>
#
# `(g ** 2).sum()` for each array that is there, all added up, and one square root.
# </details>
#
# <details><summary>Hint 2: float32</summary>
#
# np.sqrt gives a NumPy number of float64, and a float32 array times that is float64. `float(…)` makes a Python number
# of it, which does no harm.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "gradient_clipping"}
def gradient_clipping(grads, max_norm):
    """(clipped gradients, their norm before). grads: a list of arrays or None"""
    ### BEGIN SOLUTION: one norm of all numbers; if it is above max_norm, one factor for all arrays
    norm = float(np.sqrt(sum((g**2).sum() for g in grads if g is not None)))
    factor = max_norm / norm if norm > max_norm else 1.0
    return [None if g is None else g * factor for g in grads], norm
    ### END SOLUTION


# %% [markdown]
# Try it on the example.

# %%
clipped, norm = gradient_clipping([np.array([3.0, 0.0]), None, np.array([4.0])], max_norm=1.0)
print("norm before", norm)
print("clipped    ", clipped)

# %% nbgrader={"grade": true, "grade_id": "gradient_clipping-check"}
mg.classroom.check("gradient_clipping", gradient_clipping)
### BEGIN HIDDEN TESTS
mg.classroom.check("gradient_clipping", gradient_clipping, seed=20)
### END HIDDEN TESTS
