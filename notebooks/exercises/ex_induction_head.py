# ---
# title: An induction head, set by hand
# level: 3
# minutes: 60
# points: 8
# notebook: 13_attention_of_a_trained_model
# ---

# %% [markdown]
# Trained language models learn to copy: after "Harry Potter … Harry" comes "Potter", even if the words make no sense.
# It takes two heads in two layers (Elhage et al. 2021). Here you train nothing: you *set* their matrices, and see that
# nothing else is needed.
#
# **The residual stream.** Each token has C = 3 V + T numbers, in four places. V is the number of tokens, T that of
# positions; a one-hot row of length n has one 1 and n - 1 zeros.
#
# ```text
# columns   0 … V-1            V … V+T-1             V+T … 2V+T-1             2V+T … 3V+T-1
#           token, one-hot     position, one-hot     the token before          the answer
#           given              given                 0; layer 0 writes it      0; layer 1 writes it
# ```
#
# **A layer** has one head, no bias, and adds to the stream what it collects, the mask being causal:
#
# ```text
# q = stream @ W_Q      k = stream @ W_K      v = stream @ W_V          W_Q, W_K, W_V (C, D)
# stream = stream + softmax(q @ k^T / sqrt(D)) @ v @ W_O                W_O (D, C)
# ```
#
# D may be what you like, also another one for W_V and W_O than for W_Q and W_K. At the end the largest number in the
# answer's place is the prediction. Token 0 marks the start of a text and stands nowhere else.
#
# **Layer 0**: each token looks at the token before, and notes it in the third place. **Layer 1**: each token looks for
# an earlier place that followed the same token, and copies what stands there.
#
# ```text
# position           0    1    2    3    4    5    6
# token              0    7    4    9    7    4    9
# the token before   0    0    7    4    9    7    4      after layer 0
# position 4 asks:   "who followed a 7?"   position 2 did; it is a 4: so 4 is the prediction after position 4
# ```
#
# Write `induction_head(V, T)`, which returns two layers, each `(W_Q, W_K, W_V, W_O)`. Begin with layer 0 and return
# `None` for layer 1: the first part can be checked then. At least 0.98 of the weight must go where it belongs.

# %% [markdown]
# <details><summary>Hint 1: a matrix that moves one place</summary>
#
# Multiplying by a matrix whose rows V … V+T-1 are the unit matrix and whose others are 0 takes the position out of the
# stream: `W = np.zeros((C, T)); W[V:V+T] = np.eye(T)`. Transposed it puts something there.
# </details>
#
# <details><summary>Hint 2: one position back</summary>
#
# q · k is 1 where the one-hot rows agree. If the key of position j is one-hot j, the query of position i must be
# one-hot i - 1: row i of the matrix has its 1 in column i - 1. `np.eye(T, k=-1)` is such a matrix.
# </details>
#
# <details><summary>Hint 3: strength</summary>
#
# Softmax of one score 1 and eight scores 0 is e / (e + 8) = 0.25 for the wanted key. With the score 8 it is
# e^8 / (e^8 + 8) = 0.997. The scores are divided by sqrt(D) first. Multiply W_Q by a large number.
# </details>
#
# <details><summary>Hint 4: layer 1</summary>
#
# The query is the token's own one-hot row, the key the note of the token before, the value again the token, and W_O
# leads to the answer's place. Four matrices, each a unit matrix at some rows.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "induction_head"}
def induction_head(V, T):
    """Two layers that copy, (W_Q, W_K, W_V, W_O) each; V tokens, T positions, C = 3 V + T channels"""
    ### BEGIN SOLUTION: return (W_Q, W_K, W_V, W_O) for layer 0, and None or the same four for layer 1
    C = 3 * V + T

    def reads(start, matrix):
        """(C, D): the stream's channels from `start` on, times the matrix"""
        W = np.zeros((C, matrix.shape[1]))
        W[start : start + len(matrix)] = matrix
        return W

    token, position, before, answer = 0, V, V + T, 2 * V + T
    strength = 1000.0
    layer_0 = (reads(position, strength * np.eye(T, k=-1)), reads(position, np.eye(T)),
               reads(token, np.eye(V)), reads(before, np.eye(V)).T)  # fmt: skip
    layer_1 = (reads(token, strength * np.eye(V)), reads(before, np.eye(V)),
               reads(token, np.eye(V)), reads(answer, np.eye(V)).T)  # fmt: skip
    return layer_0, layer_1
    ### END SOLUTION


# %% [markdown]
# Try it: random tokens, the same again, and where each head looks. `previous` of layer 0 and `induction` of layer 1
# should be 1. A trained model's heads are scored by the same function.

# %%
V, T = 10, 13
ids = np.append(0, mg.inspect.repeated_tokens(np.arange(1, V), 6)[0])  # (13,)
stream = np.concatenate([np.eye(V)[ids], np.eye(T), np.zeros((T, 2 * V))], axis=1)  # (T, C)
weights = []
for W_Q, W_K, W_V, W_O in induction_head(V, T):
    q, k = (mg.Tensor((stream @ W)[None, None]) for W in (W_Q, W_K))  # (1, 1, T, D)
    _, w = mg.functional.attention_with_weights(q, k, k, causal=True)
    w = w.numpy()[0]  # (1, T, T)
    stream = stream + w[0] @ (stream @ W_V) @ W_O  # (T, C)
    weights.append(w)
print("tokens     ", ids)
print("prediction ", stream[:, 2 * V + T :].argmax(axis=1), "of what comes after each")
print(mg.inspect.scores_of(np.stack(weights), ids).table())

# %% nbgrader={"grade": true, "grade_id": "induction_head-check"}
mg.classroom.check("induction_head", induction_head)
### BEGIN HIDDEN TESTS
mg.classroom.check("induction_head", induction_head, seed=20)
### END HIDDEN TESTS
