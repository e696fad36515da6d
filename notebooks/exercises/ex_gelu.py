# ---
# title: GELU and its slope
# level: 1
# minutes: 25
# points: 7
# notebook: 08_gpt
# ---

# %% [markdown]
# Between the two matrices of a feed-forward layer stands a function that bends. Without it two matrix products in a row
# would be one matrix product, and a deep model no better than a flat one. GPT-2 takes GELU (Hendrycks & Gimpel 2016), a
# soft gate: x passes in full far to the right, not at all far to the left, and in part between.
#
# ```text
# u = sqrt(2/pi) * (x + 0.044715 * x³)
# y = 0.5 * x * (1 + tanh(u))
# ```
#
# For x = 1: u = 0.79788 * 1.044715 = 0.83356, tanh(u) = 0.68238, y = 0.5 * 1 * 1.68238 = 0.84119.
#
# For the way back we need the slope, dy/dx. x stands in y twice: in front, and inside u. So the product rule gives two
# terms, and the second one needs the chain rule. With t = tanh(u), whose derivative by u is 1 - t²:
#
# ```text
# dy/dx = 0.5 * (1 + t)  +  0.5 * x * (1 - t²) * du/dx
# ```
#
# What du/dx is, you find. At x = 1 the slope is 1.08296, more than 1: there GELU rises faster than x itself.
#
# Write `gelu(x)` with NumPy, for an array of any shape; it returns the pair `y, slope`. You may begin with `return y,
# None`.

# %% [markdown]
# <details><summary>Hint 1: du/dx</summary>
#
# sqrt(2/pi) is a number and stays in front. The derivative of x is 1, that of x³ is 3x².
# </details>
#
# <details><summary>Hint 2: testing a slope</summary>
#
# `(gelu(x + 1e-5)[0] - gelu(x - 1e-5)[0]) / 2e-5` is the slope of what you wrote, up to about ten digits.
# </details>
#
# <details><summary>Hint 3: float32</summary>
#
# `np.sqrt(2 / np.pi)` is a NumPy number of 64 bits and makes float64 of a float32 array; `(2 / np.pi) ** 0.5` is a
# Python number and does not.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "gelu"}
def gelu(x):
    """(GELU of x, its slope at x), both of the shape and dtype of x"""
    ### BEGIN SOLUTION: u and its tanh, then y, then the two terms of the slope
    root = (2 / np.pi) ** 0.5
    t = np.tanh(root * (x + 0.044715 * x**3))
    du = root * (1 + 3 * 0.044715 * x**2)
    return 0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du
    ### END SOLUTION


# %% [markdown]
# Try it. The last line is the slope by finite differences; where is the curve at its lowest?

# %%
x = np.array([-2.0, -0.75, 0.0, 1.0, 3.0])
y, slope = gelu(x)
print("x               ", x)
print("y               ", y.round(5))
print("slope           ", slope.round(5))
print("slope, measured ", ((gelu(x + 1e-5)[0] - gelu(x - 1e-5)[0]) / 2e-5).round(5))

# %% nbgrader={"grade": true, "grade_id": "gelu-check"}
mg.classroom.check("gelu", gelu)
### BEGIN HIDDEN TESTS
mg.classroom.check("gelu", gelu, seed=20)
### END HIDDEN TESTS
