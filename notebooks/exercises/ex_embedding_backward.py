# ---
# title: Backward through an embedding
# level: 1
# minutes: 20
# points: 8
# notebook: 04_embeddings_positions
# ---

# %% [markdown]
# The first layer of a language model looks words up in a table. `weight` has one row of C numbers for each of the V
# tokens of the vocabulary; position t of the text gets the row of its token:
#
# ```text
# y[t] = weight[ids[t]]            ids (...), weight (V, C)  ->  y (..., C)
# ```
#
# Looking up is copying, and copying has slope 1. So backward only has to bring each row of dy = d loss / d y home:
#
# ```text
# dweight[i] = sum of dy[t] over all t with ids[t] == i
# ```
#
# A sum, because a token that stands in the text three times was copied three times: change its row, and all three
# places change. A token that does not occur has no influence on the loss; its row of dweight is zero. An example with
# V = 4 and C = 2:
#
# ```text
# ids = [2, 0, 2]      dy = [[1, 10],        dweight = [[2, 20],      token 0: from position 1
#                            [2, 20],                   [0,  0],      token 1: does not occur
#                            [4, 40]]                   [5, 50],      token 2: 1 + 4 and 10 + 40
#                                                       [0,  0]]      token 3: does not occur
# ```
#
# Write `embedding_backward(dy, ids, V)`, which returns dweight (V, C) in the dtype of dy. `ids` may have any number of
# axes; dy has one more, the channels.
#
# A trap is waiting: what does `a[[2, 0, 2]] += 1` do to a[2]? Try it before you use it.

# %% [markdown]
# <details><summary>Hint 1: the trap</summary>
#
# `a[ids] += x` means `a[ids] = a[ids] + x`. Both a[2] on the right are read before anything is written: one of the two
# additions is lost. `np.add.at(a, ids, x)` adds one after the other. A loop over the tokens does too.
# </details>
#
# <details><summary>Hint 2: several axes</summary>
#
# `ids.reshape(-1)` and `dy.reshape(-1, C)` are one long text: N tokens, and N rows of C numbers, in the same order.
# (For `np.add.at` even that is not needed: ids with the axes (B, T) choose (B, T) rows.)
# </details>
#
# <details><summary>Hint 3: dtype</summary>
#
# `np.zeros((V, C))` is float64. `np.zeros((V, C), dy.dtype)` is what dy is.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "embedding_backward"}
def embedding_backward(dy, ids, V):
    """The gradient of the table. dy (..., C), ids (...) integers below V -> (V, C)"""
    ### BEGIN SOLUTION: begin with a table of zeros and add each row of dy to the row of its token
    dweight = np.zeros((V, dy.shape[-1]), dy.dtype)
    np.add.at(dweight, ids, dy)
    return dweight
    ### END SOLUTION


# %% [markdown]
# Try it: the table above.

# %%
print(embedding_backward(np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]), np.array([2, 0, 2]), 4))

# %% nbgrader={"grade": true, "grade_id": "embedding_backward-check"}
mg.classroom.check("embedding_backward", embedding_backward)
### BEGIN HIDDEN TESTS
mg.classroom.check("embedding_backward", embedding_backward, seed=20)
### END HIDDEN TESTS
