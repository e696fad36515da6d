# ---
# title: One step of beam search
# level: 2
# minutes: 30
# points: 7
# notebook: 11_sampling
# ---

# %% [markdown]
# Who always takes the likeliest next token may miss the likeliest text: a good sentence can begin with an unlikely
# word. Beam search keeps several beginnings, the likeliest ones, extends each by every token, and keeps the likeliest
# again.
#
# ```text
# log p(text)     = sum over its tokens of log p(token | those before)
# score[r, v]     = totals[r] + log softmax(logits[r])[v]         beginning r, extended by token v
# the new beams   = the `beams` largest of all R * V scores
# ```
#
# A small example with two beginnings and two tokens:
#
# ```text
# beginning   log p    p of a, b       scores
# 0           -1.0     0.5   0.5       -1.69  -1.69
# 1           -1.2     0.9   0.1       -1.31  -3.50       the best: beginning 1 with a, -1.31, though 0 was ahead
# ```
#
# Write `beam_step(logits, totals, beams)`, which returns `rows, tokens, totals`, the likeliest extension first: which
# beginning it extends, by which token, and its log-probability. `logits` is (R, V), what the model says after each of
# the R beginnings, and `totals` (R,) their log-probabilities. There are at most `beams` extensions: fewer if there
# are not so many, and never one that is impossible, whose score is -inf.

# %% [markdown]
# <details><summary>Hint 1: log softmax</summary>
#
# logits - log(sum of exp(logits)), row by row. Take each row's largest logit away first; it cancels.
# </details>
#
# <details><summary>Hint 2: the best of a matrix</summary>
#
# Make it flat, sort downwards (`np.argsort` of the negative), and get row and column back from the flat index:
# `np.divmod(n, V)`.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "beam_step"}
def beam_step(logits, totals, beams):
    """(rows, tokens, totals) of the likeliest extensions. logits (R, V), totals (R,)"""
    ### BEGIN SOLUTION: log-softmax of each row plus the beginning's total; the largest of all, with row and token
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (R, V)
    scores = (totals[:, None] + log_p).reshape(-1)  # (R * V,)
    best = np.argsort(-scores, kind="stable")[:beams]
    best = best[scores[best] > -np.inf]
    rows, tokens = np.divmod(best, logits.shape[1])
    return rows, tokens, scores[best]
    ### END SOLUTION


# %% [markdown]
# Try it on the example; then search for a likely text of four tokens behind a 0, where each token depends on the one
# before it alone. Greedy choice goes to 1, the likeliest successor of 0; the beams see that 2 leads further.

# %%
print(beam_step(np.log([[0.5, 0.5], [0.9, 0.1]]), np.array([-1.0, -1.2]), beams=2))
after = np.log([[0.1, 0.6, 0.3], [0.4, 0.3, 0.3], [0.05, 0.05, 0.9]])  # after each token, its successors
texts, totals = [[0]], np.zeros(1)
for _ in range(4):
    rows, tokens, totals = beam_step(after[[text[-1] for text in texts]], totals, beams=2)
    texts = [[*texts[row], int(token)] for row, token in zip(rows, tokens, strict=True)]
    print(texts, np.exp(totals).round(3))

# %% nbgrader={"grade": true, "grade_id": "beam_step-check"}
mg.classroom.check("beam_step", beam_step)
### BEGIN HIDDEN TESTS
mg.classroom.check("beam_step", beam_step, seed=20)
### END HIDDEN TESTS
