# ---
# title: Backward through broadcasting
# level: 2
# minutes: 30
# points: 7
# notebook: 02_backward
# ---

# %% [markdown]
# `x + bias` works for x (B, T, C) and bias (C,): NumPy uses each number of the bias B·T times, as if it was copied.
# Forward, one hardly notices. Backward, the gradient arrives with the shape (B, T, C), and the bias needs one of shape
# (C,).
#
# A number that was used several times gets the sum of the gradients of its uses. So the way back from every stretched
# axis is a sum. NumPy stretches in two ways:
#
# ```text
# shapes are lined up at their LAST axes:     dy  (2, 3, 4)
#                                             x      (3, 1)
#                                                  ^      ^
#                          added in front: the axis       length 1, stretched to 4: the axis
#                          is gone in dx                  is still there in dx, with length 1
# ```
#
# Write `broadcasting_backward(dy, shape)`: from the gradient `dy` of the stretched array to that of x, whose shape is
# `shape`. Every op with two inputs calls this; forgetting it is the commonest bug of a first autograd engine.

# %% [markdown]
# <details><summary>Hint 1: the axes that were added</summary>
#
# There are `dy.ndim - len(shape)` of them, and they are the first ones. `dy.sum(axis=(0, 1))` sums over two at once.
# </details>
#
# <details><summary>Hint 2: the axes of length 1</summary>
#
# When the added ones are gone, dy has as many axes as `shape`. Where `shape` has a 1, sum with `keepdims=True`. (If dy
# has a 1 there too, the sum over one element changes nothing.)
# </details>
#
# <details><summary>Hint 3: a single number</summary>
#
# `shape` may be `()`. Summing over all axes gives a NumPy number, which is as good as an array without axes.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "broadcasting_backward"}
def broadcasting_backward(dy, shape):
    """The gradient of an array of that shape which NumPy stretched to dy.shape -> array of shape `shape`"""
    ### BEGIN SOLUTION: sum over the axes that were added in front, then over those of length 1
    dx = dy.sum(axis=tuple(range(dy.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return dx.sum(axis=stretched, keepdims=True)
    ### END SOLUTION


# %% [markdown]
# Try it. Before you run the cell: which three numbers must come out?

# %%
print(broadcasting_backward(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), (3,)))
print(broadcasting_backward(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), (2, 1)))

# %% nbgrader={"grade": true, "grade_id": "broadcasting_backward-check"}
mg.classroom.check("broadcasting_backward", broadcasting_backward)
### BEGIN HIDDEN TESTS
mg.classroom.check("broadcasting_backward", broadcasting_backward, seed=20)
### END HIDDEN TESTS
