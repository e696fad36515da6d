# ---
# title: Many heads: cut and put together
# level: 2
# minutes: 30
# points: 8
# notebook: 06_multi_head
# ---

# %% [markdown]
# One attention makes one set of weights: a token that wants to know both *who did it* and *when* has to mix the two. So
# a transformer runs H attentions side by side, each on its own D = C // H channels. Nothing is computed for that; the
# channels are only cut into H pieces, and the pieces become an axis that attention treats as a batch.
#
# One matrix product has made queries, keys and values at once, side by side in the last axis:
#
# ```text
# qkv (B, T, 3C)      channels  0 … C-1 queries     C … 2C-1 keys     2C … 3C-1 values
# ```
#
# Write `multi_head(qkv, n_head)`, which returns four arrays `q, k, v, y`:
#
# ```text
# q, k, v (B, H, T, D)      head h of token t has the channels h*D … h*D + D-1
# y       (B, T, C)         the heads' outputs side by side again: C = H*D channels per token
# ```
#
# Attention itself is given: `attend(q, k, v)`, causal, on (B, H, T, D). An example with B = 1, T = 2, C = 4, H = 2 (so
# D = 2), in which the queries of token 0 are 0 1 2 3 and those of token 1 are 12 13 14 15:
#
# ```text
# (T, C)                 head 0 (T, D)      head 1 (T, D)
#  0  1 |  2  3           0  1               2  3
# 12 13 | 14 15          12 13              14 15
# ```
#
# The trap: `x.reshape(B, H, T, D)` has the right shape and the wrong numbers. A reshape never moves a number, it only
# reads on: 0 1 2 3 would go to head 0 altogether, as two tokens. Which two steps give the picture above? And which two
# undo it? You may begin with `return q, k, v, None`.

# %% [markdown]
# <details><summary>Hint 1: three thirds</summary>
#
# `np.split(qkv, 3, axis=-1)` gives the three arrays (B, T, C).
# </details>
#
# <details><summary>Hint 2: cutting</summary>
#
# Cut the axis where it is: (B, T, C) becomes (B, T, H, D), with a reshape that splits only the last axis. Then exchange
# the axes T and H: `swapaxes(1, 2)`.
# </details>
#
# <details><summary>Hint 3: putting together</summary>
#
# The same backward: exchange H and T, then let a reshape make C of (H, D), which are neighbours again.
# </details>

# %%
import numpy as np

import minigpt as mg


def attend(q, k, v):
    """Causal attention of each head by itself. (B, H, T, D) each -> (B, H, T, D)"""
    return mg.functional.scaled_dot_product_attention(mg.Tensor(q), mg.Tensor(k), mg.Tensor(v), causal=True).numpy()


# %% nbgrader={"solution": true, "grade_id": "multi_head"}
def multi_head(qkv, n_head):
    """q, k, v (B, H, T, D) each, and y (B, T, C). qkv (B, T, 3C)"""
    ### BEGIN SOLUTION: cut off three thirds, cut each into heads, attend, put the heads side by side
    B, T, C3 = qkv.shape
    D = C3 // 3 // n_head
    q, k, v = (x.reshape(B, T, n_head, D).swapaxes(1, 2) for x in np.split(qkv, 3, axis=-1))  # (B, H, T, D)
    y = attend(q, k, v)  # (B, H, T, D)
    return q, k, v, y.swapaxes(1, 2).reshape(B, T, n_head * D)  # (B, T, C)
    ### END SOLUTION


# %% [markdown]
# Try it: the queries of the example, head by head.

# %%
q, k, v, y = multi_head(np.arange(24.0).reshape(1, 2, 12), n_head=2)
print("head 0:", *q[0, 0], sep="\n")
print("head 1:", *q[0, 1], sep="\n")

# %% nbgrader={"grade": true, "grade_id": "multi_head-check"}
mg.classroom.check("multi_head", multi_head)
### BEGIN HIDDEN TESTS
mg.classroom.check("multi_head", multi_head, seed=20)
### END HIDDEN TESTS
