# ---
# title: Cross entropy and its gradient
# level: 2
# minutes: 35
# points: 8
# notebook: softmax
# ---

# %% [markdown]
# The loss of a language model: minus the logarithm of the probability that it gave to the token that really came. For
# row $n$ of `logits` (N, V) with target $t_n$,
#
# $$\ell_n = -\log \frac{e^{x_{n, t_n}}}{\sum_v e^{x_{n v}}} = \log \sum_v e^{x_{n v}} - x_{n, t_n}$$
#
# in nats; `loss` is the mean of $\ell_n$ over the rows. Its gradient is surprisingly simple: with $p$ the softmax of
# the row, and $N$ the number of rows in the mean,
#
# $$\frac{\partial\,\text{loss}}{\partial x_{n v}} = \frac{p_{n v} - [v = t_n]}{N}$$
#
# Write `cross_entropy(logits, targets)`, which returns the pair `loss, dlogits`. A target of -100 marks a row that is
# to be ignored (padding, or the prompt of a dialogue): it counts neither in the sum nor in $N$, and its gradient is 0.
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
# Take the row's maximum $m$ from the logits, then $\log p = (x - m) - \log \sum e^{x - m}$. The logarithm of a
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
