# ---
# title: Top-p sampling
# level: 2
# minutes: 30
# points: 9
# notebook: 11_sampling
# ---

# %% [markdown]
# A model gives every token of its vocabulary some probability, nonsense included. One nonsense token in a thousand is
# rare, but a text has hundreds of tokens, and 50,000 rare ones are together not rare at all. Top-p sampling (Holtzman
# et al. 2020, "nucleus sampling") cuts that tail off before drawing:
#
# ```text
# sort the tokens by probability, the likeliest first
# keep the fewest of them that have at least p together
# the rest gets probability 0; the kept ones are divided by their sum
# ```
#
# Where the model is sure, one token may be enough; where it is not, dozens stay. An example with p = 0.6:
#
# ```text
# token                 0      1      2      3
# probability           0.1    0.4    0.2    0.3
# sorted                0.4    0.3    0.2    0.1         tokens 1, 3, 2, 0
# sum of those before   0      0.4    0.7    0.9         keep while this is less than 0.6
# kept                  0.4    0.3
# divided by 0.7        0      0.571  0      0.429       back in the order of the tokens
# ```
#
# The token with which the sum reaches p is kept: 0.4 alone would be less than 0.6.
#
# Write `top_p(logits, p)` with NumPy: logits (B, V) -> probabilities (B, V), each row by itself. There may be logits of
# 1000, and of `-inf` (a token that was ruled out before). Of equal tokens at the border the first ones are kept.

# %% [markdown]
# <details><summary>Hint 1: sorting, and finding the way back</summary>
#
# `order = np.argsort(-logits, axis=-1, kind="stable")` says which token is the likeliest, the second, … in each row,
# and leaves equal ones in their order. `np.take_along_axis(q, order, axis=-1)` sorts by it, and
# `np.put_along_axis(kept, order, values, axis=-1)` puts values back to their tokens. (A loop over the rows with
# `kept[order] = values` is fine too.)
# </details>
#
# <details><summary>Hint 2: which ones stay</summary>
#
# `np.cumsum(q, axis=-1)` is the sum up to and including each token; minus q it is the sum of those before it.
# </details>
#
# <details><summary>Hint 3: large logits</summary>
#
# Softmax as in the exercise on it: take the row's maximum from the logits before `np.exp`.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "top_p"}
def top_p(logits, p):
    """Probabilities of the fewest likeliest tokens that have p together. logits (B, V), 0 < p <= 1 -> (B, V)"""
    ### BEGIN SOLUTION: softmax, sort, keep while the sum of those before is less than p, put back, divide by the sum
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    q = e / e.sum(axis=-1, keepdims=True)  # (B, V)
    order = np.argsort(-logits, axis=-1, kind="stable")  # (B, V)
    largest_first = np.take_along_axis(q, order, axis=-1)
    before = np.cumsum(largest_first, axis=-1) - largest_first
    kept = np.zeros_like(q)
    np.put_along_axis(kept, order, np.where(before < p, largest_first, 0.0), axis=-1)
    return kept / kept.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% [markdown]
# Try it: the example, for several p. From which p on does a third token stay?

# %%
logits = np.log(np.array([[0.1, 0.4, 0.2, 0.3]]))
for p in (0.3, 0.6, 0.75, 1.0):
    print(p, top_p(logits, p).round(3))

# %% nbgrader={"grade": true, "grade_id": "top_p-check"}
mg.classroom.check("top_p", top_p)
### BEGIN HIDDEN TESTS
mg.classroom.check("top_p", top_p, seed=20)
### END HIDDEN TESTS
