# ---
# title: Perplexity
# level: 1
# minutes: 25
# points: 7
# notebook: 10_training
# ---

# %% [markdown]
# How good is a language model? Let it predict each token of a text from those before, and see how likely it took the
# one that came. The mean of -log p is the loss; the perplexity is exp of it. A model that hesitates evenly between k
# tokens has perplexity k.
#
# ```text
# loss       = mean of -log p(ids[t + 1] | ids[0], …, ids[t]) over all predictions
# perplexity = exp(loss)                                    p(·| …) = softmax(logits[t])
# ```
#
# A small example, three tokens and so two predictions:
#
# ```text
# p of the tokens that came   0.5  0.125
# -log p                      0.693  2.079     loss 1.386    perplexity exp(1.386) = 4
# ```
#
# 4 is 1 over the geometric mean of the probabilities, sqrt(0.5 * 0.125) = 1/4.
#
# Write `perplexity(logits, ids, lengths)`, which returns a number. `logits` is (B, T, V), what a model gave for `ids`
# (B, T): those at t say what comes at t + 1. Text b has `lengths[b]` tokens; what stands behind is padding and does not
# count. Each prediction counts alike, in a long text and in a short one.

# %% [markdown]
# <details><summary>Hint 1: who predicts whom</summary>
#
# `logits[:, :-1]` predict `ids[:, 1:]`: T - 1 predictions, and n - 1 for a text of n tokens.
# </details>
#
# <details><summary>Hint 2: log p of the tokens that came</summary>
#
# log p = logit - log(sum of exp(logits)); take the largest logit away first. `np.take_along_axis` picks along the last
# axis, with an index array that has an axis more.
# </details>
#
# <details><summary>Hint 3: lengths</summary>
#
# A boolean array (B, T - 1): is the token at t + 1 still inside? `losses[counts]` are those that count.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "perplexity"}
def perplexity(logits, ids, lengths):
    """exp of the mean loss of all predictions. logits (B, T, V), ids (B, T), lengths (B,)"""
    ### BEGIN SOLUTION: log-softmax, the log-probabilities of the next tokens, their mean where they are inside, exp
    predicted, targets = logits[:, :-1], ids[:, 1:]  # (B, T - 1, V), (B, T - 1)
    shifted = predicted - predicted.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (B, T - 1, V)
    losses = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]  # (B, T - 1)
    inside = np.arange(1, ids.shape[1]) < lengths[:, None]
    return float(np.exp(losses[inside].mean()))
    ### END SOLUTION


# %% [markdown]
# Try it: a model that knows nothing hesitates between all V tokens. And the example from above.

# %%
print("knows nothing:", perplexity(np.zeros((1, 5, 27)), np.array([[1, 2, 3, 4, 5]]), np.array([5])))
logits = np.log(np.array([[[0.5, 0.375, 0.125], [0.125, 0.125, 0.75], [1 / 3, 1 / 3, 1 / 3]]]))
print("the example:  ", perplexity(logits, np.array([[2, 0, 1]]), np.array([3])))

# %% nbgrader={"grade": true, "grade_id": "perplexity-check"}
mg.classroom.check("perplexity", perplexity)
### BEGIN HIDDEN TESTS
mg.classroom.check("perplexity", perplexity, seed=20)
### END HIDDEN TESTS
