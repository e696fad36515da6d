# ---
# title: Cross-attention: one text looks at another
# level: 2
# minutes: 45
# points: 10
# notebook: 15_encoder_decoder
# ---

# %% [markdown]
# A translator writes one text while looking at another. The text being written, x, asks (queries); the text being read,
# the context, answers (keys and values). All else is as in self-attention.
#
# ```text
# q = x @ W_q       x (B, Tq, C)              W_attn (C, 3C) = W_q | W_k | W_v
# k = context @ W_k     context (B, Tk, C)
# v = context @ W_v
# for each head h:  weights = softmax(q_h @ k_h^T / sqrt(D))      (Tq, Tk), D = C / n_head
#                   heads_h = weights @ v_h                       (Tq, D)
# y = concat(heads) @ W_proj                                      (Tq, C)
# ```
#
# Head h has the channels h D … (h + 1) D - 1 of q, k and v. The contexts of a batch have different lengths and are
# padded to Tk tokens; context b has `lengths[b]` real ones, at its beginning. Padding gets a weight of exactly 0, and
# the others add up to 1. Where a context is empty, weights and output are 0.
#
# A small example with one head, D = 1, one query and three keys, of which two are real:
#
# ```text
# q = 2    k = 1, 0, 5    v = 10, 20, 90    length 2
# scores  2, 0, -inf      weights  0.88, 0.12, 0      output  0.88 * 10 + 0.12 * 20 = 11.2
# ```
#
# Write `cross_attention(x, context, lengths, W_attn, W_proj, n_head)`, which returns `y` (B, Tq, C) and `weights`
# (B, H, Tq, Tk). There is no causal mask: why not?

# %% [markdown]
# <details><summary>Hint 1: begin with one head</summary>
#
# `W_attn[:, :C]` makes the queries from x. The other two thirds work on the context; its T may be another one.
# </details>
#
# <details><summary>Hint 2: heads</summary>
#
# (B, T, C) -> reshape (B, T, H, D) -> swapaxes(1, 2), (B, H, T, D). And the same way back before W_proj.
# </details>
#
# <details><summary>Hint 3: padding</summary>
#
# `np.arange(Tk) < lengths[:, None]` is (B, Tk); `[:, None, None, :]` gives it the axes of heads and queries. Put -inf
# where it is False, before the softmax.
# </details>
#
# <details><summary>Hint 4: an empty context</summary>
#
# Its largest score is -inf: take 0 instead, and divide by 1 where the sum is 0.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "cross_attention"}
def cross_attention(x, context, lengths, W_attn, W_proj, n_head):
    """(y (B, Tq, C), weights (B, H, Tq, Tk)). x (B, Tq, C), context (B, Tk, C), lengths (B,), W_attn (C, 3C)"""
    ### BEGIN SOLUTION: queries from x, keys and values from the context, heads, -inf at the padding, softmax, W_proj
    B, Tq, C = x.shape
    D = C // n_head

    def heads(t):
        return t.reshape(B, t.shape[1], n_head, D).swapaxes(1, 2)  # (B, H, T, D)

    q = heads(x @ W_attn[:, :C])
    k = heads(context @ W_attn[:, C : 2 * C])
    v = heads(context @ W_attn[:, 2 * C :])
    scores = q @ k.swapaxes(-1, -2) / D**0.5  # (B, H, Tq, Tk)
    real = np.arange(context.shape[1]) < lengths[:, None]  # (B, Tk)
    scores = np.where(real[:, None, None, :], scores, np.array(-np.inf, scores.dtype))
    m = scores.max(axis=-1, keepdims=True)  # (B, H, Tq, 1)
    e = np.exp(scores - np.where(m == -np.inf, np.zeros_like(m), m))
    total = e.sum(axis=-1, keepdims=True)  # (B, H, Tq, 1)
    weights = e / np.where(total == 0, np.ones_like(total), total)
    y = (weights @ v).swapaxes(1, 2).reshape(B, Tq, C)
    return y @ W_proj, weights
    ### END SOLUTION


# %% [markdown]
# Try it: two sentences of three tokens look at texts of four and of two tokens.

# %%
rng = np.random.default_rng(0)
x, context = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 4))
W_attn, W_proj = rng.normal(size=(4, 12)), rng.normal(size=(4, 4))
y, weights = cross_attention(x, context, np.array([4, 2]), W_attn, W_proj, n_head=2)
print("y", y.shape, " weights", weights.shape)
print("text 1, head 0: four real tokens\n", weights[0, 0].round(2))
print("text 2, head 0: two real tokens\n", weights[1, 0].round(2))

# %% nbgrader={"grade": true, "grade_id": "cross_attention-check"}
mg.classroom.check("cross_attention", cross_attention)
### BEGIN HIDDEN TESTS
mg.classroom.check("cross_attention", cross_attention, seed=20)
### END HIDDEN TESTS
