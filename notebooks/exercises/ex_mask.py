# ---
# title: The mask of attention
# level: 1
# minutes: 25
# points: 7
# notebook: 06_multi_head
# ---

# %% [markdown]
# A language model is trained to predict the next token, for all positions at once. So attention must not show it the
# answer: token i may look at itself and at what came before. And where sequences of different lengths stand in one
# batch, the shorter ones are filled up with padding, which nobody may look at.
#
# Write `mask(lengths, Tq, Tk)`, which says for B sequences who may attend to whom:
#
# ```text
# lengths (B,) integers    ->    boolean (B, 1, Tq, Tk), True = query i may attend to key j
# ```
#
# - The 1 is the axis of the heads, which all see the same.
# - Key j of sequence b is real if j < lengths[b]; the rest is padding.
# - The queries are the *last* Tq of Tk tokens. In training Tq = Tk. In generation the earlier keys come from a cache,
#   and there may be one query only: the newest token, which sees everything before it.
#
# For lengths = [3, 2] and Tq = Tk = 3 (1 for True):
#
# ```text
# 1 0 0      1 0 0
# 1 1 0      1 1 0
# 1 1 1      1 1 0      the third token is padding: nobody sees it. What it sees itself does not matter.
# ```

# %% [markdown]
# <details><summary>Hint 1: comparing every i with every j</summary>
#
# `np.arange(Tq)[:, None]` is a column, `np.arange(Tk)` a row. Comparing them gives the matrix (Tq, Tk) of all pairs.
# </details>
#
# <details><summary>Hint 2: which token query i is</summary>
#
# The last query, i = Tq - 1, is the last token, Tk - 1. So query i is token i + Tk - Tq.
# </details>
#
# <details><summary>Hint 3: bringing both conditions together</summary>
#
# The lengths give (B, Tk); `[:, None, None, :]` makes it (B, 1, 1, Tk). `&` with the matrix (Tq, Tk) broadcasts both to
# (B, 1, Tq, Tk).
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "mask"}
def mask(lengths, Tq, Tk):
    """Who may attend to whom. lengths (B,) integers -> boolean (B, 1, Tq, Tk)"""
    ### BEGIN SOLUTION: compare columns of queries with rows of keys, then `&` with the keys that are real
    i = np.arange(Tq)[:, None] + Tk - Tq  # (Tq, 1) which token each query is
    j = np.arange(Tk)  # (Tk,)
    real = j < lengths[:, None]  # (B, Tk)
    return (j <= i) & real[:, None, None, :]  # (B, 1, Tq, Tk)
    ### END SOLUTION


# %% [markdown]
# Try it: the two triangles above.

# %%
print(mask(np.array([3, 2]), 3, 3).astype(int))

# %% nbgrader={"grade": true, "grade_id": "mask-check"}
mg.classroom.check("mask", mask)
### BEGIN HIDDEN TESTS
mg.classroom.check("mask", mask, seed=20)
### END HIDDEN TESTS
