# ---
# title: One step of Adam
# level: 2
# minutes: 35
# points: 10
# notebook: 09_adam
# ---

# %% [markdown]
# Plain gradient descent takes p = p - lr * g. With one learning rate for all, a parameter whose gradients are 100
# jumps and one whose gradients are 0.01 hardly moves. Adam (Kingma & Ba 2015, algorithm 1) keeps two running averages
# for each parameter, of its gradient and of the gradient's square, and divides one by the root of the other. What is
# left has about size 1, whatever the size of the gradients:
#
# ```text
# m = beta1 * m + (1 - beta1) * g               average gradient: where to
# v = beta2 * v + (1 - beta2) * g²              average square: how large gradients are here
#
# m_hat = m / (1 - beta1^t)                     bias correction, for t = 1, 2, 3, …
# v_hat = v / (1 - beta2^t)
#
# p = p - lr * m_hat / (sqrt(v_hat) + eps)
# ```
#
# Why the correction? The averages begin at 0, so at first they are too small. An example with beta1 = 0.9, beta2 =
# 0.999 and lr = 0.1, where p = 1 and the first gradient is 100:
#
# ```text
# m = 0.1 * 100 = 10             m_hat = 10 / (1 - 0.9)   = 100
# v = 0.001 * 10000 = 10         v_hat = 10 / (1 - 0.999) = 10000
# p = 1 - 0.1 * 100 / (sqrt(10000) + eps) = 1 - 0.1 = 0.9
# ```
#
# With a gradient of 0.01 in place of 100 the first step is 0.1 just the same. Without the correction it would be
# 0.1 * 10 / sqrt(10), more than three times as long.
#
# Write `adam(p, g, m, v, t, lr, betas, eps)`: one step. It returns the three arrays `p, m, v`, new ones, and the check
# calls it again with them, t one higher, and the next gradient; for the first step m and v are zeros and t is 1.

# %% [markdown]
# <details><summary>Hint 1: what is kept from step to step</summary>
#
# The plain m and v. m_hat and v_hat are used in this step and then forgotten.
# </details>
#
# <details><summary>Hint 2: new arrays</summary>
#
# `p = p - …` makes a new array. `p -= …` writes into the one that the caller still holds.
# </details>
#
# <details><summary>Hint 3: eps</summary>
#
# It stands outside the root, and keeps 0 / 0 from happening where a parameter has had no gradient so far (the row of a
# word that has not occurred, for example).
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "adam"}
def adam(p, g, m, v, t, lr=0.1, betas=(0.9, 0.999), eps=1e-8):
    """(p, m, v) after step number t, which begins at 1. p, g, m, v: arrays of one shape; g the gradient of p"""
    ### BEGIN SOLUTION: move both averages, correct them for having begun at zero, take the step
    beta1, beta2 = betas
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps), m, v
    ### END SOLUTION


# %% [markdown]
# Try it on a valley that is a hundred times steeper one way than the other: loss = 50 x² + 0.005 y², with gradients
# 100 x and 0.01 y. Plain gradient descent would need two learning rates. What are the first steps of x and y?

# %%
p, m, v = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)
for t in range(1, 6):
    p, m, v = adam(p, np.array([100.0, 0.01]) * p, m, v, t)
    print(t, p)

# %% nbgrader={"grade": true, "grade_id": "adam-check"}
mg.classroom.check("adam", adam)
### BEGIN HIDDEN TESTS
mg.classroom.check("adam", adam, seed=20)
### END HIDDEN TESTS
