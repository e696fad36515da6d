# ---
# title: Cross entropy and its gradient
# level: 2
# minutes: 35
# points: 8
# notebook: 03_softmax_cross_entropy
# ---

# %% [markdown]
# The loss of a language model: minus the logarithm of the probability that it gave to the token that really came. For
# row n of `logits` (N, V), called x, with target t_n,
#
# ```text
# loss_n = -log p[n, t_n] = log sum_v exp(x[n, v]) - x[n, t_n],    p = softmax(x)
# loss   = mean over n of loss_n
# ```
#
# in nats. The gradient is simpler than one would expect; N is the number of rows in the mean:
#
# ```text
# d loss / d x[n, v] = (p[n, v] - (1 if v == t_n else 0)) / N
# ```
#
# Write `cross_entropy(logits, targets)`, which returns the pair `loss, dlogits`. A target of -100 marks a row that is
# to be ignored (padding, or the prompt of a dialogue): it counts neither in the sum nor in N, and its gradient is 0.
#
# You may begin with the loss and `return loss, None`: the check gives its points already.

# %% [markdown]
# <details><summary>Hint 1: one logit of each row</summary>
#
# `log_p[np.arange(N), targets]` takes element `targets[n]` of row `n`, for all `n` at once. `log_p[:, targets]` is
# something else: an N x N matrix.
# </details>
#
# <details><summary>Hint 2: numbers that stay finite</summary>
#
# Take the row's maximum m from the logits, then `log p = (x - m) - log sum exp(x - m)`. The logarithm of a
# probability that has become 0 would be `-inf`.
# </details>
#
# <details><summary>Hint 3: ignored rows</summary>
#
# `kept = targets != -100` is a mask. Pick with `np.where(kept, targets, 0)`, multiply the losses and the gradient's
# rows by the mask, and divide by `kept.sum()`.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "cross_entropy"}
def cross_entropy(logits, targets):
    """(loss, d loss / d logits). logits (N, V) floats, targets (N,) integers, -100 = ignore -> (), (N, V)"""
    ### BEGIN SOLUTION: log-probabilities first, then pick one of each row, then the gradient
    kept = targets != -100  # (N,)
    picks = np.arange(len(targets)), np.where(kept, targets, 0)
    shifted = logits - logits.max(axis=-1, keepdims=True)  # (N, V)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (N, V)
    loss = -(log_p[picks] * kept).sum() / kept.sum()
    dlogits = np.exp(log_p)
    dlogits[picks] -= 1
    dlogits *= (kept / kept.sum())[:, None]
    return loss, dlogits
    ### END SOLUTION


# %% [markdown]
# Try it. A model that knows nothing gives all V tokens the same logit; what is its loss?

# %%
loss, dlogits = cross_entropy(np.zeros((2, 65)), np.array([3, 64]))
print(loss, np.log(65))

# %% nbgrader={"grade": true, "grade_id": "cross_entropy-check"}
mg.classroom.check("cross_entropy", cross_entropy)
### BEGIN HIDDEN TESTS
mg.classroom.check("cross_entropy", cross_entropy, seed=20)
### END HIDDEN TESTS
