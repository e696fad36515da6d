# ---
# title: One matrix, two uses: tied weights
# level: 2
# minutes: 35
# points: 8
# notebook: 08_gpt
# ---

# %% [markdown]
# A language model meets each word twice: at the bottom, where a table turns it into C numbers, and at the top, where
# the last layer asks how well the result fits each word. GPT-2 uses one matrix for both (Press & Wolf 2017). That saves
# V * C parameters, and what is learned about a word in one place is known in the other.
#
# Here is the smallest model that does so, for N words that are read and N * V logits. In place of the blocks in between
# stands a tanh:
#
# ```text
# x      = weight[ids]           (N, C)      the embedding: row ids[n] of weight (V, C)
# h      = tanh(x)               (N, C)      in place of twelve blocks
# logits = h @ weight^T          (N, V)      the head: how well h fits the row of each word
# ```
#
# Given dlogits = d loss / d logits (N, V), what is d loss / d weight? A change of the matrix acts in two places at
# once. So there are two ways back, and two shares:
#
# - **From the head.** As if the matrix of the embedding was another one, and constant.
# - **From the embedding.** As if the matrix of the head was another one, and constant: back through the head to h, back
#   through tanh to x (its slope is 1 - h²), and home into the rows of the words that were read.
#
# Each has the shape of weight, (V, C), and the gradient is their sum. An example with one channel and two words, weight
# = [[0], [1]], where word 1 is read and dlogits = [[2, 3]]:
#
# ```text
# x = 1, h = 0.7616
# from the head        [[2 * 0.7616], [3 * 0.7616]]  = [[1.5232], [2.2848]]      every word has a logit
# dh = 2*0 + 3*1 = 3,  dx = 3 * (1 - 0.7616²) = 1.2599
# from the embedding   [[0], [1.2599]]                                           only word 1 was read
# dweight              [[1.5232], [3.5447]]
# ```
#
# Write `weight_tying(dlogits, ids, weight)`, which returns `from_head, from_embedding, dweight`. You may begin with
# `return from_head, None, None`.

# %% [markdown]
# <details><summary>Hint 1: from the head</summary>
#
# logits[n, i] = sum_c h[n, c] * weight[i, c]. So weight[i, c] gets sum_n dlogits[n, i] * h[n, c]: which matrix product
# sums over n?
# </details>
#
# <details><summary>Hint 2: back to x</summary>
#
# From the same formula h[n, c] gets sum_i dlogits[n, i] * weight[i, c]. Then times 1 - h².
# </details>
#
# <details><summary>Hint 3: words that were read twice</summary>
#
# `np.add.at(table, ids, dx)` adds row n of dx to row ids[n] of the table, one after the other. `table[ids] += dx` loses
# all but one of the rows of a repeated word.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "weight_tying"}
def weight_tying(dlogits, ids, weight):
    """(from_head, from_embedding, dweight), (V, C) each. dlogits (N, V), ids (N,) integers, weight (V, C)"""
    ### BEGIN SOLUTION: forward to h, the head's share, back to x, the embedding's share, and the sum
    h = np.tanh(weight[ids])  # (N, C)
    from_head = dlogits.T @ h  # (V, C)
    dx = dlogits @ weight * (1 - h * h)  # (N, C)
    from_embedding = np.zeros_like(weight)  # (V, C)
    np.add.at(from_embedding, ids, dx)
    return from_head, from_embedding, from_head + from_embedding
    ### END SOLUTION


# %% [markdown]
# Try it: the example, and a measurement. The loss here is the sum of dlogits * logits.

# %%
ids, weight, dlogits = np.array([1]), np.array([[0.0], [1.0]]), np.array([[2.0, 3.0]])
from_head, from_embedding, dweight = weight_tying(dlogits, ids, weight)
print(from_head.ravel(), from_embedding.ravel(), dweight.ravel())


def loss(w):
    return (dlogits * (np.tanh(w[ids]) @ w.T)).sum()


step = np.array([[0.0], [1e-6]])
print("measured for word 1:", (loss(weight + step) - loss(weight - step)) / 2e-6)

# %% nbgrader={"grade": true, "grade_id": "weight_tying-check"}
mg.classroom.check("weight_tying", weight_tying)
### BEGIN HIDDEN TESTS
mg.classroom.check("weight_tying", weight_tying, seed=20)
### END HIDDEN TESTS
