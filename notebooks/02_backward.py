# %% [markdown]
# # Backward: who is to blame for the loss?
#
# **Aim** Compute the gradient of a neuron by hand, then see the engine do the same, one operation at a time, and
# understand the two rules that make it right: gradients of everything a value is used for *add up*, and nobody hands a
# gradient on before it is complete.
#
# **Time** 45 minutes
#
# **Prerequisites** [01 Tensors](01_tensors.ipynb); you have met a derivative once, and may have forgotten it

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import matplotlib.pyplot as plt
import numpy as np

from minigpt import Tensor
from minigpt import functional as F

# %% [markdown]
# ## A derivative is an answer to "what if?"
#
# What happens to `y` if `x` becomes a tiny bit larger? If `y` then grows three times as much as `x` did, the derivative
# of `y` by `x` is 3. No formula is needed to find out: try it.
#
# **Predict:** `f` is the square, and `x` is 3. If `x` grows by `0.001`, by about how much does `f(x)` grow?


# %%
def f(x):
    return x**2


h = 0.001
print(f"f grows by {f(3 + h) - f(3):.6f}")
print(f"which is {(f(3 + h) - f(3 - h)) / (2 * h):.6f} times as much as x")

# %% [markdown]
# <details><summary>Why 6?</summary>
#
# $(3 + h)^2 = 9 + 6h + h^2$, and for a tiny $h$ the $h^2$ is nothing. In general the derivative of $x^2$ is $2x$. In the
# second number above one step forward and one backward are taken; that is more exact, and called a *central difference*.
# </details>

# %% tags=["picture"]
x = np.linspace(-1, 5, 100)
_, ax = plt.subplots(figsize=(5, 3))
ax.plot(x, f(x), label="f(x) = x²")
for at in (0.0, 1.5, 3.0):
    slope = (f(at + h) - f(at - h)) / (2 * h)
    near = np.array([at - 1, at + 1])
    ax.plot(near, f(at) + slope * (near - at), color="tab:orange")
    ax.annotate(f"slope {slope:.1f}", (at, f(at)), (at + 0.2, f(at) - 2.5))
ax.set(xlabel="x", ylim=(-4, 20))
ax.legend()
plt.show()

# %% [markdown]
# The derivative is the slope of the curve at that place. To make `f` smaller, go downhill: against the slope. That is all
# of training. The rest is computing slopes, for millions of numbers at once.
#
# ## A neuron, forward
#
# A neuron multiplies its input by a weight, adds a bias, and bends the result with `tanh`. We want it to say `1.0`, and
# the loss is the square of what is missing. One small step a line, each with a name:

# %%
x, w, b = 2.0, -0.5, 0.3

p = w * x
s = p + b
y = np.tanh(s)
d = y - 1.0
loss = d**2
print(f"p {p:.4f}   s {s:.4f}   y {y:.4f}   d {d:.4f}   loss {loss:.4f}")

# %% [markdown]
# ## The same, backward, by hand
#
# Question: if `w` grows a tiny bit, what happens to the loss? `w` changes `p`, `p` changes `s`, and so on, a chain. Each
# link stretches the change by its own derivative, so the answer is the *product* of all of them: the chain rule.
#
# We start at the end, where the answer is trivial (the loss grows exactly as much as the loss), and go back line by line.
# `dy` is short for "how much the loss changes with `y`".
#
# | forward | backward | because |
# | --- | --- | --- |
# | `loss = d**2` | `dd = dloss * 2 * d` | $(d^2)' = 2d$ |
# | `d = y - 1.0` | `dy = dd` | both change equally |
# | `y = tanh(s)` | `ds = dy * (1 - y**2)` | $\tanh' = 1 - \tanh^2$ |
# | `s = p + b` | `dp = ds`, `db = ds` | both change equally |
# | `p = w * x` | `dw = dp * x`, `dx = dp * w` | if `w` grows by 1, `p` grows by `x` |
#
# **Predict** before you run it: is `dw` positive or negative? (The neuron says too little. `x` is positive. Should `w` go
# up or down?)

# %%
dloss = 1.0
dd = dloss * 2 * d
dy = dd
ds = dy * (1 - y**2)
dp, db = ds, ds
dw, dx = dp * x, dp * w
print(f"dd {dd:.4f}   ds {ds:.4f}   dw {dw:.4f}   db {db:.4f}   dx {dx:.4f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Negative: if `w` goes up, `w * x` goes up, the neuron says more, less is missing, the loss goes *down*. The sign can be
# had by thinking, the number needs the chain rule.
# </details>
#
# Is it right? Ask "what if?" once more, without any rule:


# %%
def loss_of(w):
    return (np.tanh(w * 2.0 + 0.3) - 1.0) ** 2


h = 1e-5
print(f"by hand {dw:.8f}")
print(f"tried   {(loss_of(-0.5 + h) - loss_of(-0.5 - h)) / (2 * h):.8f}")

# %% [markdown]
# Note what each backward line needed: what came from behind (`ds`), and numbers of the *forward* pass (`x`, `y`). So
# those have to be kept. That is why training takes more memory than using a model.
#
# ## The engine does the same
#
# A `Tensor` writes down every operation that it goes through. `backward()` reads the list from the end to the beginning
# and applies the rule of each operation, the right column of our table.

# %%
x = Tensor(2.0, requires_grad=True, name="x")
w = Tensor(-0.5, requires_grad=True, name="w")
b = Tensor(0.3, requires_grad=True, name="b")
loss = (F.tanh(w * x + b) - 1.0) ** 2
loss.name = "loss"
picture = mg.debug.graph(loss)
loss.backward()
print(f"w.grad {w.grad:.4f}   b.grad {b.grad:.4f}   x.grad {x.grad:.4f}")
picture

# %% [markdown]
# Watch it at work. `mg.debug.backward_steps(loss)` is `loss.backward()` as a loop that stops after every operation, and
# tells what came in (`in`), the rule, and what goes out (`out`). Results are called `%1`, `%2` … in the order in which they
# were computed: `%1` is our `p`, `%2` our `s`. Compare the numbers with those that you got by hand.

# %%
for tensor in (x, w, b):
    tensor.grad = None
loss = (F.tanh(w * x + b) - Tensor(1.0, name="wanted")) ** 2
for step in mg.debug.backward_steps(loss):
    print(step)

# %% [markdown]
# In your own programs, a breakpoint in that loop stops once for each operation; `python -m minigpt step` does it in a
# terminal. The rules themselves stand in `minigpt/ops/`, forward beside backward.
#
# ## With tables in place of numbers
#
# Nothing changes but the shapes. The gradient of a table is a table of the same shape: one "what if?" for each number.
# For `y = x @ w` the rules are `dx = dy @ w.T` and `dw = x.T @ dy`, and you need not remember them: the shapes leave no
# choice.
#
# **Predict** the shapes of `dy`, `x.grad` and `w.grad`.

# %%
rng = np.random.default_rng(0)
x = Tensor(rng.standard_normal((5, 3)), requires_grad=True, name="x")  # (N, in)
w = Tensor(rng.standard_normal((3, 2)), requires_grad=True, name="w")  # (in, out)
y = x @ w  # (N, out)
dy = rng.standard_normal(y.shape)
y.backward(dy)
print("dy", dy.shape, "  x.grad", x.grad.shape, "  w.grad", w.grad.shape)
print("x.grad as the rule says:", np.allclose(x.grad, dy @ w.numpy().T))
print("w.grad as the rule says:", np.allclose(w.grad, x.numpy().T @ dy))

# %% [markdown]
# Asking "what if?" for every number of every input is slow, but it is never wrong, and so it is the test for all rules
# that anybody writes. `mg.gradcheck` does it. Here it is with a rule that has a mistake in it:

# %%
print("right:", mg.gradcheck(lambda x, w: F.tanh(x @ w), [x, w]))


class WrongTanh(mg.Op):
    @staticmethod
    def forward(ctx, x):
        y = np.tanh(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved
        return dy * (1 - y)  # the square is missing


try:
    mg.gradcheck(WrongTanh.apply, [x])
except mg.GradcheckError as error:
    print("wrong:", error)

# %% [markdown]
# ## Used twice: gradients add up
#
# In `y = x * x + x` the number `x` is used three times. A change of `x` reaches `y` on three ways, and the changes add
# up: $x + x + 1$.
#
# **Predict** `x.grad` for `x = 4`.

# %%
x = Tensor(4.0, requires_grad=True, name="x")
y = x * x + x
for step in mg.debug.backward_steps(y):
    print(step)

# %% [markdown]
# A bias is used once for every row, because broadcasting repeats it. So its gradient is a *sum* over the rows.
#
# **Predict:** `b` has the shape `(2,)`, the result `(5, 2)`, and each of its numbers gets the gradient 1. What is `b.grad`?

# %%
b = Tensor(np.zeros(2), requires_grad=True, name="b")
for step in mg.debug.backward_steps((Tensor(np.ones((5, 2))) + b).sum()):
    print(step)

# %% [markdown]
# ## Why the order matters
#
# Here is a backward pass that looks right: *take the gradient, add it to what the tensor has, hand the sum on to the
# inputs, do the same there.* For a chain it is right. Now let one tensor be used twice:

# %%
mg.debug.recursion_example()

# %% [markdown]
# <details><summary>What went wrong</summary>
#
# `b` was visited twice. The second time it handed on its *whole* gradient, in which the first part was contained, which
# had been handed on already. Handing on only the new part would be right, but then everything behind `b` is walked
# through once for every way that leads to `b`.
# </details>
#
# How many ways are there? Double a number, and again, and again:
#
# **Predict:** `x` is doubled `n` times by `t = t + t`. What is the true gradient for `n = 3`? How many ways lead from the
# end to `x`, for `n = 30`?

# %%
for n in range(1, 6):
    x = Tensor(1.0, requires_grad=True, name="x")
    t = x
    for _ in range(n):
        t = t + t
    wrong = mg.debug.plain_recursion(t)["x"]
    steps = len(list(mg.debug.backward_steps(t)))
    print(f"n={n}: {2**n:>3} ways;  backward() {x.grad:>3g} in {steps} steps;  recursion {wrong:g}")
print(f"n=30: {2**30:,} ways")

# %% [markdown]
# The cure is the order. Operations are numbered as they are computed, and a value is always used *after* it was made. So
# whoever goes from the highest number to the lowest meets all users of a value before the value itself: its gradient is
# complete when its turn comes, and each operation is visited once. That list of numbers is called the *tape*, and the
# loop that walks it is in `minigpt/backpropagation.py`.
#
# ## Learning
#
# Now downhill. Find the line that fits some points: the slope and the offset start at 0, and each step takes a little of
# the gradient away from them.

# %%
rng = np.random.default_rng(1)
x = rng.uniform(-1, 1, 40)
target = 1.5 * x - 0.5 + rng.normal(0, 0.1, 40)
slope = Tensor(0.0, requires_grad=True)
offset = Tensor(0.0, requires_grad=True)


def train(steps, lr, forget=True):
    slope.data[...] = offset.data[...] = 0
    losses = []
    for _ in range(steps):
        if forget:
            slope.grad = offset.grad = None
        loss = ((slope * x + offset - target) ** 2).mean()
        loss.backward()
        slope.data -= lr * slope.grad
        offset.data -= lr * offset.grad
        losses.append(loss.item())
    return losses


losses = train(60, lr=0.3)
print(f"slope {slope.item():.3f} (1.5 was put in), offset {offset.item():.3f} (-0.5 was put in)")

# %% [markdown]
# `.grad` *adds up*, also from one call of `backward()` to the next, so it has to be emptied before each step (a model has
# `model.zero_grad()` for that).
#
# **Predict:** what does the loss do if we forget it? And if the steps are ten times as long?

# %%
runs = {
    "right": losses,
    "gradients not emptied": train(60, lr=0.3, forget=False),
    "steps too long": train(12, lr=3.0),
}
_, ax = plt.subplots(figsize=(6, 3))
for name, values in runs.items():
    ax.plot(values, label=name)
ax.set(xlabel="step", ylabel="loss", yscale="log", ylim=(2e-3, 1e3))
ax.legend()
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# With old gradients left in, each step still contains all earlier directions: it overshoots, comes back, overshoots. With
# steps that are too long each one lands further up on the other side, and the loss grows without end. Both look like "my
# model does not learn", and neither gives an error.
# </details>

# %% [markdown]
# ## In your own words
#
# 1. Why does a backward pass need numbers from the forward pass? Name an operation that needs none.
# 2. A tensor is used by two operations. What happens to the two gradients, and when may they be handed on?
# 3. How would you convince somebody that a gradient is right, without knowing any rule?
