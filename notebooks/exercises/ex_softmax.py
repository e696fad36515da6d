# ---
# title: Softmax
# level: 1
# minutes: 20
# points: 6
# notebook: 03_softmax_cross_entropy
# ---

# %% [markdown]
# A model gives one number per word of its vocabulary, a *logit*: any real number, in nats. Softmax turns a row of
# logits into probabilities:
#
# ```text
# y_i = exp(x_i) / sum_j exp(x_j)
# ```
#
# Write `softmax(x, axis=-1)` with NumPy. `x` may have any number of axes; each row along `axis` becomes a distribution
# of its own. The result has the shape and the dtype of `x`.
#
# Two things make the difference between a formula and a function that one can train with:
#
# - **Large logits.** `np.exp(1000)` is `inf`. The quotient stays the same if the same number is taken from every x_j of
#   a row. Which number keeps every exponent at or below zero?
# - **Masked logits.** Attention writes `-inf` where a token may not look; there the weight must be exactly 0. A row of
#   nothing but `-inf` has nothing to look at: let it give zeros, not `nan`.

# %% [markdown]
# <details><summary>Hint 1: which sum belongs to which row</summary>
#
# `x.sum(axis)` loses the axis: for `x` of shape (2, 3) it has shape (2,). With `keepdims=True` it has shape (2, 1), and
# the division then goes row by row.
# </details>
#
# <details><summary>Hint 2: large logits</summary>
#
# Take `x.max(axis, keepdims=True)` from `x` before `np.exp`. The largest exponent of each row is then 0.
# </details>
#
# <details><summary>Hint 3: a row of nothing but -inf</summary>
#
# Its maximum is `-inf`, and `-inf - -inf` is `nan`. `np.where(m == -np.inf, 0, m)` puts a 0 there; all exponentials
# are then 0, and so is the sum: divide by 1 in place of 0.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "softmax"}
def softmax(x, axis=-1):
    """Probabilities along one axis. x: array of floats -> the same shape and dtype"""
    ### BEGIN SOLUTION: exponentiate each row, then divide it by its own sum
    m = x.max(axis, keepdims=True)
    e = np.exp(x - np.where(m == -np.inf, np.zeros_like(m), m))
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, np.ones_like(total), total)
    ### END SOLUTION


# %% [markdown]
# Try it. What must each row add up to, and which of the three probabilities in the first row is the largest?

# %%
y = softmax(np.array([[2.0, 1.0, -1.0], [1000.0, 1000.0, -np.inf]]))
print(y)
print(y.sum(axis=-1))

# %% [markdown]
# The check compares with `mg.functional.softmax` and says what is wrong.

# %% nbgrader={"grade": true, "grade_id": "softmax-check"}
mg.classroom.check("softmax", softmax)
### BEGIN HIDDEN TESTS
mg.classroom.check("softmax", softmax, seed=20)
### END HIDDEN TESTS
