# ---
# title: One step of an LSTM
# level: 1
# minutes: 30
# points: 9
# notebook: 16_recurrent
# ---

# %% [markdown]
# An LSTM reads a text one token at a time and carries two vectors along: the cell c, its memory, and the hidden state
# h, what it shows of it (Hochreiter & Schmidhuber 1997). Three gates, numbers from 0 (shut) to 1 (open), decide what is
# kept, what is written and what is shown:
#
# ```text
# a     = x @ weight_ih^T + bias_ih + h @ weight_hh^T + bias_hh        (B, 4 n), n hidden units
# i     = sigmoid(a's 1st quarter)    input gate: how much of the candidate is written
# f     = sigmoid(a's 2nd quarter)    forget gate: how much of the old cell is kept
# g     = tanh(a's 3rd quarter)       candidate
# o     = sigmoid(a's 4th quarter)    output gate: how much is shown
# c_new = f * c + i * g
# h_new = o * tanh(c_new)             sigmoid(a) = 1 / (1 + exp(-a))
# ```
#
# The order of the quarters is PyTorch's, and so is the shape of the matrices, (4 n, inputs) and (4 n, n): a row for
# each unit of each gate. They are used transposed.
#
# A small example with one unit:
#
# ```text
# c = 2    i = 0.5   f = 0.9   g = -1   o = 0.5
# c_new = 0.9 * 2 + 0.5 * (-1) = 1.3        h_new = 0.5 * tanh(1.3) = 0.43
# ```
#
# Why a sum, f * c + i * g, and no matrix product? With f near 1 a gradient passes hundreds of steps through it
# unharmed.
#
# Write `lstm_cell(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh)`, which returns `h_new, c_new`; x is (B, inputs),
# h and c are (B, n). They belong to the caller and must stay as they are.

# %% [markdown]
# <details><summary>Hint 1: quarters</summary>
#
# `np.split(a, 4, axis=-1)` cuts an array into four.
# </details>
#
# <details><summary>Hint 2: large numbers</summary>
#
# exp of 800 is inf. That does no harm in 1 / (1 + inf) = 0; in inf / (1 + inf) it is nan.
# </details>

# %%
import numpy as np

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "lstm_cell"}
def lstm_cell(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    """(h_new, c_new), (B, n) each. x (B, inputs), weight_ih (4n, inputs), weight_hh (4n, n), biases (4n,)"""
    ### BEGIN SOLUTION: the sums of all gates, cut into i, f, g, o; then the new cell, and what is shown of it
    a = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh  # (B, 4n)
    i, f, g, o = np.split(a, 4, axis=-1)  # (B, n) each
    i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
    c_new = f * c + i * np.tanh(g)
    return o * np.tanh(c_new), c_new
    ### END SOLUTION


# %% [markdown]
# Try it: a cell that counts. One unit, whose gates are all open, adds tanh(x) to its cell at each step.

# %%
weight_ih, weight_hh = np.array([[0.0], [0.0], [1.0], [0.0]]), np.zeros((4, 1))
bias_ih, bias_hh = np.array([100.0, 100.0, 0.0, 100.0]), np.zeros(4)
h = c = np.zeros((1, 1))
for x in (5.0, 5.0, 5.0, -5.0):
    h, c = lstm_cell(np.array([[x]]), h, c, weight_ih, weight_hh, bias_ih, bias_hh)
    print(f"x {x:4}   c {c.item():.3f}   h {h.item():.3f}")

# %% nbgrader={"grade": true, "grade_id": "lstm_cell-check"}
mg.classroom.check("lstm_cell", lstm_cell)
### BEGIN HIDDEN TESTS
mg.classroom.check("lstm_cell", lstm_cell, seed=20)
### END HIDDEN TESTS
