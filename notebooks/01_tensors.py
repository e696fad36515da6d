# %% [markdown]
# # Tensors: numbers in a grid
#
# **Aim** Read shapes like `(B, T, C)` at a glance, know what broadcasting does before it does it, and split channels
# into heads without mixing up tokens. A wrong shape that fits by
# accident is a mistake that nothing tells you about.
#
# **Time** 30 minutes
#
# **Prerequisites** [00 Start here](00_start_here.ipynb); Python's lists and functions

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import matplotlib.pyplot as plt
import numpy as np

from minigpt import Tensor


def draw(**arrays):
    """Arrays side by side, each number in a square of its colour."""
    _, axes = plt.subplots(1, len(arrays), figsize=(9, 2), squeeze=False)
    for ax, (name, a) in zip(axes[0], arrays.items()):
        grid = np.atleast_2d(a.numpy())
        ax.imshow(grid, cmap="YlGnBu", alpha=0.5)
        for (i, j), number in np.ndenumerate(grid):
            ax.text(j, i, f"{number:g}", ha="center", va="center", fontsize=9)
        ax.set(xticks=[], yticks=[])
        name = name.replace("_at_", " @ ").replace("_", " ")
        ax.set_title(f"{name}  {a.shape}", fontsize=9)


# %% [markdown]
# ## Shape
#
# A *tensor* is numbers in a grid. How many directions the grid has, its *axes*, and how long each one is, is its
# *shape*. No axis: one number. One axis: a row. Two: a table. Three: a stack of tables, and so on.
#
# **Predict** the shape of each of these. Then run the cell.

# %%
number = Tensor(3.0)
row = Tensor([1.0, 2.0, 3.0])
table = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
stack = Tensor([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]])
for t in (number, row, table, stack):
    print(f"{t.shape!s:<10} {t.ndim} axes, {t.size} numbers")

# %% [markdown]
# <details><summary>How to read it off the brackets</summary>
#
# Count what is inside the outermost brackets: that is the length of the first axis. Go into the first of those, count
# again: the second axis. `stack` has 3 things, each of which has 1 thing, each of which has 2 numbers: `(3, 1, 2)`.
# A single number has no brackets and the shape `()`.
# </details>
#
# In this library, as in most, three letters stand for the axes of almost everything: **B** for the examples of a *batch*,
# **T** for the *tokens* of each, **C** for the *channels*, the numbers that describe a token. Two sentences of three
# tokens, four numbers a token:

# %%
B, T, C = 2, 3, 4
x = Tensor(np.arange(B * T * C, dtype=np.float32).reshape(B, T, C))  # (B, T, C)
draw(sentence_0=x[0], sentence_1=x[1])

# %% [markdown]
# ## Taking things out
#
# `x[i]` takes one thing of the first axis, and that axis is gone. `:` keeps an axis as it is, `-1` is the last.
#
# **Predict** each shape: `x[0]`, `x[:, -1]`, `x[:, :, 0]`, `x[0, 1, 2]`, `x[:, :2]`, and `x[:, None]`.

# %%
for what in ("x[0]", "x[:, -1]", "x[:, :, 0]", "x[0, 1, 2]", "x[:, :2]", "x[:, None]"):
    print(f"{what:<12} {eval(what).shape}")

# %% [markdown]
# <details><summary>In words</summary>
#
# The first sentence; the last token of every sentence; the first channel of every token; one number; the first two tokens
# of every sentence (a slice keeps its axis); and everything, with a new axis of length 1 put in.
# </details>
#
# An *array of ids* between the brackets takes one row for each id. This is all that an embedding is: a table with one row
# of channels for each token of the vocabulary.
#
# **Predict:** the table is `(V, C)`, the ids are `(B, T)`. What shape comes out?

# %%
V = 6
embedding = Tensor(np.arange(V)[:, None] + np.arange(C) / 10)  # (V, C): row 3 is 3.0 3.1 3.2 3.3
ids = np.array([[5, 0, 3], [3, 3, 1]])  # (B, T)
looked_up = embedding[ids]
print(ids.shape, "ids into", embedding.shape, "gives", looked_up.shape)
draw(the_table=embedding, first_sentence=looked_up[0], second_sentence=looked_up[1])

# %% [markdown]
# ## Adding up: which axis goes?
#
# `x.sum(axis=k)` adds along axis `k`, and that axis goes. With `keepdims=True` it stays, with length 1. The last axis is
# also called `-1`.

# %%
table = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
draw(
    table=table,
    sum_over_axis_0=table.sum(axis=0),
    sum_over_axis_1=table.sum(axis=1),
    axis_1_kept=table.sum(axis=1, keepdims=True),
)

# %% [markdown]
# **Predict:** `x` is `(B, T, C)`. What is the shape of `x.mean(axis=1)`, and what does it mean?

# %%
print(x.mean(axis=1).shape)

# %% [markdown]
# <details><summary>Answer</summary>
#
# `(B, C)`: the average token of each sentence. The axis that is named is the one that disappears.
# </details>
#
# ## Broadcasting
#
# What is a table plus a row? Write both shapes down, one below the other, *aligned on the right*. Two lengths fit if they
# are equal, or if one of them is 1 or is missing; that one is repeated until it fits.
#
# ```
# table    (2, 3)        scores   (B, H, T, T)       column  (2, 1)
# row        (3,)        mask           (T, T)       row     (1, 3)
# result   (2, 3)        result   (B, H, T, T)       result  (2, 3)
# ```

# %% tags=["picture"]
row, column = Tensor([10.0, 20.0, 30.0]), Tensor([[100.0], [200.0]])
draw(row=row, column=column, table_plus_row=table + row, column_plus_row=column + row)

# %% [markdown]
# **Predict:** which of these work, and what shape do they give? `(2, 3) + (2,)`, `(2, 3) + (2, 1)`, `(4, 1, 3) + (2, 1)`,
# `(3,) + (3, 1)`.

# %%
for a, b in [((2, 3), (2,)), ((2, 3), (2, 1)), ((4, 1, 3), (2, 1)), ((3,), (3, 1))]:
    try:
        result = (Tensor(np.ones(a)) + Tensor(np.ones(b))).shape
    except mg.ShapeError as error:
        result = f"error: {error}"
    print(f"{a!s:<9} + {b!s:<6} {result}")

# %% [markdown]
# <details><summary>Why</summary>
#
# 1. `3` stands above `2`: neither is 1. An error is the best that can happen to you.
# 2. `3` above `1`, `2` above `2`: fits.
# 3. `(4, 1, 3)` above `(2, 1)`: from the right `3` and `1`, `1` and `2`, `4` and nothing: `(4, 2, 3)`. Both were repeated.
# 4. `(3,)` becomes `(1, 3)`, and with `(3, 1)` that is `(3, 3)`. Two short things made a large one: often not what was
#    meant.
# </details>
#
# ### The trap
#
# Take the mean of each row away from the row. With `keepdims=True` that is right. Without it, on a table that is not
# square, there is an error. And on a square table?

# %%
square = Tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [7.0, 7.0, 7.0]])
right = square - square.mean(axis=1, keepdims=True)  # (3, 3) - (3, 1)
wrong = square - square.mean(axis=1)  # (3, 3) - (3,): the mean of row j goes off column j
print("rows sum to", right.sum(axis=1).numpy(), "when right")
print("rows sum to", wrong.sum(axis=1).numpy(), "when wrong")
draw(square=square, right=right, wrong=wrong)

# %% [markdown]
# Nothing complained. So test with lengths that are all different (`B=2, T=3, C=4`, not `4, 4, 4`), and say what must
# hold, as the sums above do.
#
# ## The matrix product
#
# In `a @ b` each row of `a` meets each column of `b`: multiply number by number, add up. The lengths in the middle must
# agree, and they disappear:
#
# ```
# (2, 3) @ (3, 4) -> (2, 4)
#     ^-----^  equal, gone
# ```

# %%
a = Tensor(np.array([[1.0, 2, 0], [0, 1, 3]]))  # (2, 3)
b = Tensor(np.array([[1.0, 0, 2, 1], [0, 1, 1, 1], [2, 0, 0, 1]]))  # (3, 4)
print("row 1 of a with column 0 of b:", 0 * 1 + 1 * 0 + 3 * 2, "=", (a @ b)[1, 0].item())
draw(a=a, b=b, a_at_b=a @ b)

# %% [markdown]
# With more than two axes, the last two are the tables, and all axes before them are "as many such products as there are".
# Every token of every sentence through one weight table is a single line:
#
# **Predict** both shapes.

# %%
weight = Tensor(np.ones((C, 5), np.float32))  # (C, 5)
q = Tensor(np.ones((2, 8, 3, 16), np.float32))  # (B, H, T, D): queries of 8 heads
k = Tensor(np.ones((2, 8, 3, 16), np.float32))  # (B, H, T, D): keys
print("x @ weight:            ", x.shape, "@", weight.shape, "->", (x @ weight).shape)
print("q @ k.swapaxes(-1, -2):", q.shape, "@", (2, 8, 16, 3), "->", (q @ k.swapaxes(-1, -2)).shape)

# %% [markdown]
# The second one is the heart of attention: for each example and head, a table that says how well each token's query fits
# each token's key. Where shapes do not fit, the message names the axes:

# %%
try:
    q @ k
except mg.ShapeError as error:
    print(error)

# %% [markdown]
# ## `reshape` is not `transpose`
#
# `reshape` leaves the numbers in their order and only draws the borders anew. `transpose` exchanges axes, so the numbers
# change places. Both can give the shape you want; only one gives what you mean.

# %%
draw(table=table, reshape_3_2=table.reshape(3, 2), transpose=table.transpose(1, 0))

# %% [markdown]
# Here is the place where it matters. Each token has `C` channels, and attention wants them as `H` heads of `D = C / H`
# channels, with the head axis in front of the token axis: from `(T, C)` to `(H, T, D)`. Below, the tens say the token and
# the ones the channel, so `23` is channel 3 of token 2.
#
# **Predict:** can one `reshape(H, T, D)` do it?

# %%
H, D = 2, 2
tokens = Tensor(10.0 * np.arange(1, T + 1)[:, None] + np.arange(C))  # (T, C)
heads = tokens.reshape(T, H, D).transpose(1, 0, 2)  # (T, H, D) -> (H, T, D)
mixed = tokens.reshape(H, T, D)  # the same shape
print("the same shape:", heads.shape, mixed.shape)
draw(tokens=tokens, head_0=heads[0], head_1=heads[1], not_a_head=mixed[0])

# %% [markdown]
# <details><summary>What to see</summary>
#
# Each row of `head 0` is one token, and the first half of its channels: 10 11, 20 21, 30 31. The thing on the right has
# the same shape, but its second row is the *second half of token 1*: a head would take halves of one token for two
# tokens. It runs, it trains, and it is wrong. First `reshape` the axis that is to be split, *then* transpose.
# </details>
#
# ## What a Tensor knows that an array does not
#
# All of this NumPy can do too, and a Tensor's numbers are a NumPy array, `t.numpy()`. A Tensor also remembers what it was
# computed from. That is what makes learning possible, and the subject of the [next notebook](02_backward.ipynb):

# %%
w = Tensor([1.0, -2.0, 3.0], requires_grad=True, name="w")
loss = (w * w).sum()
print(loss)
loss.backward()
print("how fast the loss grows with each number:", w.grad)

# %% [markdown]
# **Predict:** the numbers are `float32`, half the bytes of Python's own. What type comes out of `float32` times `2.0`?

# %%
print((w * 2.0).dtype, (w + np.float64(1.0)).dtype, (w + np.ones(3)).dtype)

# %% [markdown]
# <details><summary>Answer</summary>
#
# A single number never changes the type, not even a `float64` one. An *array* of `float64` does, since its digits would be
# lost otherwise.
# </details>

# %% [markdown]
# ## In your own words
#
# 1. How do you tell, from two shapes alone, whether they can be added, and what comes out?
# 2. Why is the error message for `(2, 3) - (2,)` better luck than the silence for `(3, 3) - (3,)`?
# 3. What is the difference between `reshape(H, T, D)` and `reshape(T, H, D).transpose(1, 0, 2)`? Who would notice?
