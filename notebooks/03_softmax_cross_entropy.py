# %% [markdown]
# # Softmax and cross entropy: from scores to a loss
#
# **Aim** Turn any scores into probabilities, measure how surprised they are by what really came, and see why the gradient
# of the two together is the simplest one in the whole model: *what you said minus what was right*.
#
# **Time** 40 minutes
#
# **Prerequisites** [02 Backward](02_backward.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import matplotlib.pyplot as plt
import numpy as np

from minigpt import Tensor, optim
from minigpt import functional as F
from minigpt.models import GPT, GPTConfig

# %% [markdown]
# ## What the model gives: logits
#
# At the end a language model has one number for every token of its vocabulary, its *logits*: the larger, the likelier it
# thinks the token. They may be anything, also negative. Probabilities may not: each lies between 0 and 1, and together
# they are 1. Three steps lead there:
#
# $$p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$
#
# `exp` makes every number positive and keeps their order; dividing by the sum makes the sum 1.

# %%
tokens = ["cat", "dog", "sat", "the", "ran"]
logits = Tensor([2.0, 1.0, 4.0, -1.0, 3.0])
e = logits.exp()
print("exp:     ", e.numpy().round(3))
print("softmax: ", (e / e.sum()).numpy().round(3))
print("library: ", F.softmax(logits).numpy().round(3), " sum", F.softmax(logits).sum().item())

# %% [markdown]
# **Predict:** what happens to the probabilities if 10 is *added* to all logits? And if all are *multiplied* by 2, or by
# `0.5`?

# %% tags=["picture"]
changes = {"z": logits, "z + 10": logits + 10, "2 z": logits * 2, "z / 2": logits / 2}
_, axes = plt.subplots(1, 4, figsize=(9, 2.2), sharey=True)
for ax, (name, z) in zip(axes, changes.items()):
    ax.bar(tokens, F.softmax(z).numpy())
    ax.set_title(f"softmax({name})", fontsize=10)
    ax.tick_params(labelsize=8)
axes[0].set_ylim(0, 1)
plt.show()

# %% [markdown]
# <details><summary>Why</summary>
#
# Adding $c$ multiplies every $e^{z_i}$ by $e^c$, above and below the line of the fraction: nothing changes. Only
# *differences* of logits matter; one more means $e$ times as likely. Multiplying stretches the differences: sharper with
# 2, flatter with one half. Dividing the logits by a number is called *temperature*, and
# [11 Sampling](11_sampling.ipynb) plays with it.
# </details>
#
# ## The formula is right, and the program is wrong
#
# Computers have a largest number. **Predict** what this gives for logits of about 1000:


# %%
def naive(z):
    with np.errstate(all="ignore"):
        return np.exp(z) / np.exp(z).sum()


large = np.array([1000.0, 1001.0, 1002.0])
print("naive:  ", naive(large))
print("library:", F.softmax(large).numpy().round(4))
print("and the same from [0, 1, 2]:", naive(np.array([0.0, 1.0, 2.0])).round(4))

# %% [markdown]
# `exp(1000)` is beyond the largest number, it becomes `inf`, and `inf / inf` is `nan`, not a number. The cure is in the
# picture above: adding the same to all logits changes nothing, so take the largest one away first. Then the largest
# exponent is 0, and nothing can overflow. This is all that `kernels/reference/softmax.py` does beyond the formula.
#
# ## Along which axis?
#
# A batch has one row of logits for each place, `(B, T, V)`, and *each row* is to become probabilities: the last axis, which
# is the default. **Predict:** what are the row sums below, for the wrong axis?

# %%
rng = np.random.default_rng(0)
batch = Tensor(rng.standard_normal((3, 5)))  # (T, V)
for axis in (-1, 0):
    p = F.softmax(batch, axis=axis)
    print(f"axis={axis:>2}: rows sum to {p.sum(axis=1).numpy().round(2)}, ", end="")
    print(f"columns to {p.sum(axis=0).numpy().round(2)}")

# %% [markdown]
# With `axis=0` the places compete with each other for a token. The shape is the same, nothing complains, all numbers lie
# between 0 and 1. Check the sums.
#
# ## How surprised were you?
#
# The next token turned out to be `"sat"`. How good were our probabilities? Only one of them matters: the one that we gave
# to what came. The *surprise* is $-\log p$: 0 if we were sure, and without limit if we said "never".

# %%
p = np.linspace(0.002, 1, 400)
_, ax = plt.subplots(figsize=(5, 2.6))
ax.plot(p, -np.log(p))
given = F.softmax(logits).numpy()
ax.plot(given, -np.log(given), "o")
for token, x in zip(tokens, given):
    ax.annotate(token, (x, -np.log(x)), (x + 0.02, 0.1 - np.log(x)))
ax.set(xlabel="probability given to what came", ylabel="surprise, nats")
plt.show()

# %% [markdown]
# Why the logarithm? Because texts are long. The probability of a text is the *product* of those of its tokens, a tiny
# number; the surprise of a text is the *sum*. A loss should add up.
#
# The mean surprise per token is the *cross entropy*, the loss of every language model. In *nats* with the natural
# logarithm, in *bits* with that of base 2. $e^{\text{loss}}$ is called *perplexity*: among how many equally likely tokens
# you might as well have guessed.
#
# **Predict:** a model that has learned nothing gives all of its `V` tokens the same probability. What is its loss? (You
# can compute the loss that a training begins with before you train. If it begins elsewhere, something is wrong.)

# %%
V = 65
model = GPT(GPTConfig(vocab_size=V, block_size=16, n_layer=2, n_head=2, n_embd=32), seed=0)
ids = rng.integers(0, V, (8, 17))
_, loss = model(ids[:, :-1], ids[:, 1:])
print(f"loss of an untrained GPT: {loss.item():.3f} nats")
print(f"log({V}):                  {np.log(V):.3f} nats = {np.log2(V):.3f} bits, perplexity {V}")

# %% [markdown]
# ## The gradient: what you said minus what was right
#
# Now the reward for all the logarithms. Put softmax and surprise together, ask how the loss changes with each *logit*,
# and almost everything cancels:
#
# $$\frac{\partial\,\text{loss}}{\partial z_i} = p_i - y_i \qquad y_i = 1 \text{ for the right token, } 0 \text{ for others}$$
#
# **Predict** the sign of each bar before you run the cell: `"sat"` is right. Do the bars add up to something?

# %%
z = Tensor(logits.numpy(), requires_grad=True, name="z")
right = tokens.index("sat")
loss = F.cross_entropy(z, right)
loss.backward()
by_hand = F.softmax(logits).numpy() - np.eye(5)[right]

_, ax = plt.subplots(figsize=(5, 2.2))
ax.bar(tokens, z.grad, color=["tab:blue" if g > 0 else "tab:orange" for g in z.grad])
ax.axhline(0, color="grey", lw=0.8)
ax.set_title("d loss / d logit, when sat is right", fontsize=10)
plt.show()
print("engine:", z.grad.round(4), " sum", abs(z.grad.sum().round(6)))
print("p - y: ", by_hand.round(4))

# %% [markdown]
# <details><summary>What it says</summary>
#
# Only the right token has a negative bar: its logit has to go *up* (against the slope). The others go down, each by as
# much as it was believed: `"ran"`, a strong wrong belief, is pushed most. The bars add up to 0, since only differences
# matter. Once the model is sure and right, all bars are 0, and learning stops by itself.
# </details>
#
# <details><summary>The derivation in three lines</summary>
#
# $\text{loss} = -\log p_t = -z_t + \log \sum_j e^{z_j}$
#
# By $z_i$: the first part gives $-1$ if $i = t$, else 0, that is $-y_i$.
#
# The second gives $\frac{1}{\sum_j e^{z_j}} e^{z_i} = p_i$. Together $p_i - y_i$.
# </details>
#
# Trust, but verify, and watch the engine use the rule in one step:

# %%
print(mg.gradcheck(lambda z: F.cross_entropy(z, right), [z]))
z.grad = None
for step in mg.debug.backward_steps(F.cross_entropy(z, right)):
    print(step)

# %% [markdown]
# ## Why one operation and not two
#
# `-log(softmax(z))` in two operations is the same formula. **Predict:** what does it give if the right token's logit is
# 200 below the largest?

# %%
z = Tensor([200.0, 0.0], requires_grad=True)
try:
    with mg.debug.anomaly():
        print("two operations:", -F.softmax(z)[1].log())
except mg.NumericsError as error:
    print("two operations:", str(error).splitlines()[1].strip())
one = F.cross_entropy(z, 1)
one.backward()
print("one operation: ", one.item(), " gradient", z.grad)

# %% [markdown]
# The probability is so small that `float32` rounds it to 0, and $\log 0$ is minus infinity; its gradient is no better. The
# model is *very wrong* here and should learn the most. Together, $-\log p_t = \log \sum_j e^{z_j} - z_t$ needs no small
# number at all, and the gradient is as large as it should be.
#
# ## Places that do not count
#
# Usually the loss is the mean over all places of a batch. Places whose target is `-100` do not count: neither in the sum,
# nor in the number that it is divided by. (In [00](00_start_here.ipynb) these were the letters of the question.)
#
# **Predict:** how many of the rows of the gradient are zero?

# %%
z = Tensor(rng.standard_normal((4, 5)), requires_grad=True)  # (T, V)
targets = np.array([2, -100, 0, -100])
F.cross_entropy(z, targets).backward()
print((z.grad + 0.0).round(3))

# %% [markdown]
# ## It works: counting, without counting
#
# The simplest language model is a table: for each letter, the logits of the letter that follows, `(V, V)`. We could fill it
# by counting pairs. Instead we let the gradient find it, from zeros, and compare afterwards.

# %%
text = "the cat sat on the mat and the rat ran at the cat that sat on the hat " * 3
letters = sorted(set(text))
ids = np.array([letters.index(letter) for letter in text])
now, then = ids[:-1], ids[1:]
V = len(letters)

table = Tensor(np.zeros((V, V), np.float32), requires_grad=True)
optimizer = optim.SGD([table], lr=8.0)
losses = []
for _ in range(1000):
    table.grad = None
    loss = F.cross_entropy(table[now], then)  # (N, V) logits, (N,) targets
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %%
counts = np.zeros((V, V))
np.add.at(counts, (now, then), 1)
counted = counts / counts.sum(axis=1, keepdims=True)
entropy = -np.log(counted[now, then]).mean()
print(f"first loss {losses[0]:.3f} = log({V}); last {losses[-1]:.3f}; by counting {entropy:.3f}")
print(f"largest difference of a probability: {abs(F.softmax(table).numpy() - counted).max():.3f}")

_, axes = plt.subplots(1, 2, figsize=(8, 3.6))
names = [letter if letter != " " else "␣" for letter in letters]
for ax, (title, p) in zip(axes, {"learned": F.softmax(table).numpy(), "counted": counted}.items()):
    ax.imshow(p, vmin=0, vmax=1)
    ax.set_xticks(range(V), names)
    ax.set_yticks(range(V), names)
    ax.set(title=f"{title}: p(next | this)", xlabel="next", ylabel="this")
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# The two tables look the same, and the loss has come close to what counting gives. It cannot go below: after `a` there
# *are* several letters, and whoever sees only one letter cannot know which. That rest is the *entropy* of the text for
# such a reader. A GPT gets below it for one reason only: it looks further back. How, is [05 Attention](05_attention.ipynb).
# </details>

# %% [markdown]
# ## In your own words
#
# 1. Why do only differences of logits matter, and what is that good for in the computer?
# 2. Your training begins with a loss that is far above $\log V$. What does that tell you?
# 3. What does the gradient do to a wrong token that was given a high probability, and to one that was given a low one?
