# ---
# title: Softmax as loops, compiled
# level: 2
# minutes: 40
# points: 8
# notebook: 14_kernels
# ---

# %% [markdown]
# NumPy reads and writes the whole array for each step of a softmax: maximum, difference, exponential, sum, quotient. A
# loop could do all of it while a row is still in the processor's cache, if it were not a Python loop, of which each
# round costs 50 to 100 ns. Numba compiles such a function to machine code when it is first called: put `@njit` above
# it.
#
# **Two passes over a row**, and one to divide:
#
# ```text
# m     = max_c x[c]
# total = sum_c exp(x[c] - m)
# y[c]  = exp(x[c] - m) / total
# ```
#
# **One pass** for both (Milakov & Gimelshein 2018): keep the largest number so far and the sum relative to it; when a
# larger one comes, make the sum smaller.
#
# ```text
# x            0        1                          3
# m            0        1                          3
# total        1        1 * exp(0 - 1) + 1         1.368 * exp(1 - 3) + 1      in general  total * exp(old - new)
#                       = 1.368                    = 1.185                                 + exp(x - new)
# two passes:  exp(-3) + exp(-2) + exp(0) = 0.050 + 0.135 + 1 = 1.185
# ```
#
# Attention on graphics cards is made of this: it never has a whole row of scores at hand.
#
# Write `numba_softmax(x)`, x (N, C) of float32 or float64, which returns an array of that shape and dtype; either way
# will do. Numbers of -inf get 0, and a row of nothing but -inf is 0. x must stay as it is.
#
# To step through the function, take `@njit` away for a while, or set `NUMBA_DISABLE_JIT=1`. A debugger does not stop in
# compiled code.

# %% [markdown]
# <details><summary>Hint 1: the frame</summary>
#
# An array for the result, a loop over the rows; in it, for each row anew, `largest`, which begins at `-np.inf`, and a
# loop over the columns that finds it. Then a second loop over the columns, for the sum, and a third that divides.
#
# Loops and plain numbers are what Numba is for; much of NumPy works too, but `keepdims` does not.
# </details>
#
# <details><summary>Hint 2: nothing but -inf</summary>
#
# Then the largest is -inf after the loop, and -inf - -inf is nan. And Numba's loops raise ZeroDivisionError at a
# division by 0, where NumPy would give nan. Fill such a row with 0 and `continue`.
# </details>
#
# <details><summary>Hint 3: Numba's error messages</summary>
#
# They are long; the end names the line of your function, and a line "TypingError: …" says what it could not do.
# A variable must keep its type: not once a number, once an array.
# </details>

# %%
import time

import numpy as np
from numba import njit

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "numba_softmax"}
@njit
def numba_softmax(x):
    """Softmax of each row. x (N, C) -> the same shape and dtype"""
    ### BEGIN SOLUTION: for each row find the largest number, add up the exponentials, and divide
    y = np.empty_like(x)
    for r in range(x.shape[0]):
        largest = -np.inf
        for c in range(x.shape[1]):
            largest = max(largest, x[r, c])
        if largest == -np.inf:
            y[r, :] = 0
            continue
        total = 0.0
        for c in range(x.shape[1]):
            y[r, c] = np.exp(x[r, c] - largest)
            total += y[r, c]
        for c in range(x.shape[1]):
            y[r, c] /= total
    return y
    ### END SOLUTION


# %% [markdown]
# Try it: the first call compiles, the second only computes. Then the same in NumPy, and your loop without Numba.

# %%
x = np.random.default_rng(0).normal(size=(500, 200))


def in_numpy(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


ways = {"first call": numba_softmax, "second call": numba_softmax, "NumPy": in_numpy,
        "plain Python": getattr(numba_softmax, "py_func", numba_softmax)}  # fmt: skip
for name, function in ways.items():
    start = time.perf_counter()
    function(x)
    print(f"{name:<14} {1000 * (time.perf_counter() - start):8.2f} ms")

# %% nbgrader={"grade": true, "grade_id": "numba_softmax-check"}
mg.classroom.check("numba_softmax", numba_softmax)
### BEGIN HIDDEN TESTS
mg.classroom.check("numba_softmax", numba_softmax, seed=20)
### END HIDDEN TESTS
