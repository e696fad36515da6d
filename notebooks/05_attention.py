# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Attention: ask, compare, mix
#
# **Aim** Compute attention with numbers that you can follow by hand: a query meets every key, a softmax makes shares of
# the scores, and the values are mixed by these shares. Measure why the scores are divided by $\sqrt{D}$, hide the future
# with a mask, write it all in five lines, and prove that your gradient is right.
#
# **Time** 50 minutes
#
# **Prerequisites** [03 Softmax and cross entropy](03_softmax_cross_entropy.ipynb),
# [04 Embeddings and positions](04_embeddings_positions.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from minigpt import Tensor, nn, optim
from minigpt import functional as F
from minigpt.viz import AttentionGrid, AttentionSteps, LossCurve

# %% [markdown]
# ## The question
#
# *The cat sat because **it** was tired.* Who is "it"? An embedding cannot tell: it is one row of a table, the same in every
# sentence. The token has to fetch something from *another* token, and from which one depends on what stands there.
#
# So every token gets three vectors of `D` channels:
#
# | | says | here |
# | --- | --- | --- |
# | **query** $q$ | what I am looking for | "it" looks for a noun |
# | **key** $k$ | what I can be found by | "cat" is a noun |
# | **value** $v$ | what I hand over when I am found | "small, with fur" |
#
# Think of a dictionary, `d[query]`. There a key fits or it doesn't. Here every key fits *more or less*, and what comes out
# is a mixture of all values.
#
# ## One query, by hand
#
# We choose the numbers. Channel 0 of queries and keys means "noun", channel 1 means "verb".

# %%
words = ["the", "cat", "sat", "it"]
keys = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [1.0, 0.0]])  # (T, D): noun, verb
values = np.array([[0.0, 0.0], [5.0, 1.0], [1.0, 4.0], [2.0, 2.0]])  # (T, D)
query = np.array([2.0, 0.0])  # (D,) what "it" looks for: a noun

# %% [markdown]
# **Step 1, compare.** How well does a query fit a key? The *scalar product*: multiply channel by channel, add up. It is
# large if both are large in the same channels.
#
# **Predict** the four scores.

# %%
scores = keys @ query  # (T, D) @ (D,) -> (T,)
for word, key, score in zip(words, keys, scores):
    print(f"{word:>4}: {query[0]:g}·{key[0]:g} + {query[1]:g}·{key[1]:g} = {score:g}")

# %% [markdown]
# **Step 2, shares.** A softmax over the keys. (The division by $\sqrt{D}$ has a section of its own below.)
#
# **Predict:** which word gets the most? Do "the" and "sat", whose score is 0, get nothing?

# %%
weights = F.softmax(scores / 2**0.5).numpy()  # (T,)
for word, weight in zip(words, weights):
    print(f"{word:>4}: {weight:.3f} {'█' * round(40 * weight)}")
print(f" sum: {weights.sum():.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# "cat". The others get little, but never nothing: $e^0$ is 1. A softmax cannot say "not at all", only a mask can.
# </details>
#
# **Step 3, mix.** Every value times its share, added up.

# %%
for word, weight, value in zip(words, weights, values):
    print(f"{word:>4}: {weight:.3f} · {value}")
print("together:", (weights @ values).round(3), " the value of cat alone:", values[1])

# %% [markdown]
# "it" now carries mostly what "cat" had to say. That is all of attention: **compare, make shares, mix.**
#
# ## All queries at once
#
# Every token asks, so there are `T` queries. Stack them: `q (T, D)`. Entry `[i, j]` of `q @ k.T` is the scalar product of
# query `i` with key `j`.
#
# **Predict** the shapes of `scores`, `weights` and `y`. Along which axis does the softmax go?

# %%
queries = np.array([[1.0, 1.0], [0.0, 1.0], [2.0, 0.0], [2.0, 0.0]])  # (T, D)
D = queries.shape[-1]
scores = queries @ keys.T / D**0.5  # (T, T)
weights = F.softmax(scores, axis=-1).numpy()  # (T, T)
y = weights @ values  # (T, D)
print("scores", scores.shape, "  weights", weights.shape, "  y", y.shape)
print("rows of weights sum to   ", weights.sum(axis=1).round(3))
print("columns of weights sum to", weights.sum(axis=0).round(3))

# %% [markdown]
# <details><summary>Answer</summary>
#
# Each *row* is one query's shares, so the softmax goes along the row, over the keys. A column says how much a token was
# read by all others together: that may be anything. "cat" is popular here.
# </details>
#
# As a picture: a row is a token that looks, a column one that is looked at.

# %%
AttentionGrid([[weights]], words, title="Every word looks at every word")

# %% [markdown]
# ## Where q, k and v come from
#
# Nobody chooses them. Each is a linear layer of the token's vector `x`, and the three tables of weights are learned: the
# model finds out by itself what is worth asking for.
#
# **Predict** the shapes of `q`, `scores` and `y` below, with batches.

# %%
B, T, C, D = 2, 5, 8, 4
rng = np.random.default_rng(0)
x = Tensor(rng.standard_normal((B, T, C)))  # (B, T, C)
to_q, to_k, to_v = (nn.Linear(C, D, bias=False, rng=seed) for seed in (1, 2, 3))
q, k, v = to_q(x), to_k(x), to_v(x)
scores = q @ k.swapaxes(-1, -2) / D**0.5
y = F.softmax(scores) @ v
print("x", x.shape, "  q", q.shape, "  scores", scores.shape, "  y", y.shape)

# %% [markdown]
# <details><summary>Why two tables, for q and for k?</summary>
#
# With one table for both, `scores` would be symmetric before the softmax: "it" would fit "cat" exactly as well as "cat"
# fits "it". And a token would mostly fit itself.
# </details>
#
# ## Why divide by √D?
#
# A score is a sum of `D` products. Let all the numbers of `q` and `k` be random, with mean 0 and deviation 1, as they about
# are before training.
#
# **Predict:** how large are the scores with `D = 4`, and how large with `D = 256`? The same, 8 times, or 64 times?

# %% tags=["picture"]
widths = [1, 4, 16, 64, 256, 1024]
deviation = []
for D in widths:
    q, k = rng.standard_normal((2, 1000, D))
    deviation.append((q * k).sum(axis=1).std())

_, ax = plt.subplots(figsize=(5, 3))
ax.loglog(widths, deviation, "o", label="q · k, measured")
ax.loglog(widths, np.sqrt(widths), label="√D")
ax.loglog(widths, np.array(deviation) / np.sqrt(widths), "s", label="q · k / √D, measured")
ax.set(xlabel="D, channels of a head", ylabel="deviation of the scores")
ax.legend()
plt.show()

# %% [markdown]
# <details><summary>Why 8 times</summary>
#
# Each product has variance 1, and variances of independent numbers add up: $D$ of them have the variance $D$, so the
# deviation is $\sqrt{D}$. $\sqrt{256 / 4} = 8$. Dividing by $\sqrt{D}$ makes the scores equally large for every width.
# </details>
#
# And what is bad about large scores? Remember [temperature](03_softmax_cross_entropy.ipynb): scores that are stretched make
# a softmax sharp. One key gets everything, before anything was learned.
#
# **Predict:** there are 16 keys. With scores of deviation 1, about what share does the best one get? And undivided, with
# `D = 256`?

# %%
print("          largest share       gradient of a row of scores")
print("    D      q·k   q·k/√D           q·k   q·k/√D")
for D in widths:
    share, slope = [], []
    for scale in (1.0, D**-0.5):
        q, k = rng.standard_normal((2, 400, 16, D))
        scores = Tensor((q[:, :1] * k).sum(axis=-1) * scale, requires_grad=True)  # (N, 16)
        weights = F.softmax(scores)
        weights.backward(rng.standard_normal(weights.shape))
        share.append(weights.numpy().max(axis=1).mean())
        slope.append(np.median(np.linalg.norm(scores.grad, axis=1)))
    print(f"{D:>5} {share[0]:>8.2f} {share[1]:>8.2f}      {slope[0]:>8.4f} {slope[1]:>8.4f}")

# %% [markdown]
# <details><summary>What to see</summary>
#
# Shares: undivided, the best key takes nearly everything once heads are wide, and which one that is was decided by
# chance. Divided, the shares do not depend on `D`.
#
# Gradient: the same random gradient came back to the weights each time; the table has the length of what is left of it
# at the scores, for the middle one of all rows. The softmax's rule is $dz_i = p_i\,(dp_i - \sum_j p_j\,dp_j)$. If one $p$
# is 1 and all others 0, that is 0 everywhere. A head that is sure, and sure by chance, can hardly learn.
# </details>
#
# ## Not looking ahead: the mask
#
# A language model learns to predict the next token, at all places of a text at once. If token 2 could look at token 3, it
# would not have to predict anything. So the scores of later keys are set to $-\infty$ *before* the softmax: $e^{-\infty}$ is
# 0, and the shares of the others still add up to 1.
#
# **Predict** the first row of the weights, whatever the scores are.

# %%
T, D = 5, 4
q, k, v = rng.standard_normal((3, T, D))
may_see = np.tri(T, dtype=bool)  # (T, T) True on and below the diagonal
scores = q @ k.T / D**0.5  # (T, T)
masked = np.where(may_see, scores, -np.inf)
weights = F.softmax(masked).numpy()
print(masked.round(2))
print(weights.round(2))

# %% [markdown]
# <details><summary>Answer</summary>
#
# `1 0 0 0 0`: the first token has only itself to look at. It hands its own value on.
# </details>
#
# A mistake that gives no error: softmax first, and then zeros where one must not look. **Predict:** what is wrong with the
# rows? Which token suffers most?

# %%
after = F.softmax(scores).numpy() * may_see
print("mask before softmax, row sums:", weights.sum(axis=1).round(2))
print("mask after softmax,  row sums:", after.sum(axis=1).round(2))

# %% [markdown]
# <details><summary>What is wrong</summary>
#
# The later keys have taken their share, and it was thrown away: early tokens hand on only a part of a value, and how large that
# part is depends on the *later* keys. So the future leaks, although every forbidden weight is 0.
# </details>
#
# Let us see that leak. Change the last token's key; nobody but the last query may notice.

# %%
other = k.copy()
other[-1] += 3
for name, mask_first in (("before", True), ("after", False)):
    results = []
    for key in (k, other):
        s = q @ key.T / D**0.5
        hidden = np.where(may_see, s, -np.inf) if mask_first else s
        results.append((F.softmax(hidden).numpy() * may_see) @ v)
    change = abs(results[1] - results[0]).max(axis=1)
    print(f"mask {name:<6} softmax: change of each output {change.round(3)}")

# %% [markdown]
# ## All of it, one step at a time
#
# Our four words again, now with a mask. In JupyterLab, VS Code or Colab this is a slider: move from step to step and point
# at a number to see what it was made of. (The picture has all steps side by side.) There is one step that was not
# mentioned yet: the largest score of a row is taken away before `exp`. You know why from
# [03](03_softmax_cross_entropy.ipynb).
#
# **Predict** before you move the slider: which word's output has changed from the table above, now that nobody looks
# ahead?

# %%
AttentionSteps(queries, keys, values, words, causal=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# All but that of "it", which is the last and may look at everything.
# </details>
#
# ## Your own attention, in five lines
#
# Now write it once, for Tensors, so that the engine finds the gradient. `(B, H, T, D)` is the shape that the library
# takes: the two axes in front, examples and heads, are just "as many attentions as there are".


# %%
def my_attention(q, k, v, causal=False):
    Tq, Tk, D = q.shape[-2], k.shape[-2], q.shape[-1]
    scores = q @ k.swapaxes(-1, -2) / D**0.5  # (B, H, Tq, Tk)
    if causal:
        scores = mg.where(np.tri(Tq, Tk, Tk - Tq, dtype=bool), scores, -np.inf)
    return F.softmax(scores) @ v  # (B, H, Tq, D)


# %% [markdown]
# Three questions to it. Does it give what the library's gives? Is its gradient that of the library? And are both what
# "what if?" says ([02](02_backward.ipynb))? The library's runs as *one* operation with a backward rule of its own, so this
# is a real test of either.

# %%
q, k, v = (Tensor(a, requires_grad=True) for a in rng.standard_normal((3, 2, 3, 5, 4)))
dy = rng.standard_normal(q.shape)
gradients = {}
for attention in (my_attention, F.scaled_dot_product_attention):
    q.grad = k.grad = v.grad = None
    y = attention(q, k, v, causal=True)
    y.backward(dy)
    gradients[attention.__name__] = [y.numpy(), q.grad, k.grad, v.grad]
for name, *pair in zip(["y", "dq", "dk", "dv"], *gradients.values()):
    print(f"{name:<3} largest difference {abs(pair[0] - pair[1]).max():.0e}")
for attention in (my_attention, F.scaled_dot_product_attention):
    passed = mg.gradcheck(partial(attention, causal=True), [q, k, v])
    print(f"gradcheck of {attention.__name__}: {passed}")

# %% [markdown]
# **Try this:** leave out `/ D**0.5`. Which of the two tests notices? Why not the other?
#
# <details><summary>Answer</summary>
#
# The comparison with the library. gradcheck only asks whether the gradient belongs to what was computed; it does for every
# formula, since the engine derives it. It finds wrong gradients, not wrong formulas.
# </details>
#
# ## It does not know the order
#
# **Predict:** shuffle keys and values in the same way (no mask). What happens to the outputs?

# %%
order = rng.permutation(5)
y = my_attention(q, k, v)
shuffled = my_attention(q, k[:, :, order], v[:, :, order])
print("order", order, " largest change of an output:", f"{abs((y - shuffled).numpy()).max():.0e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Nothing: a sum does not mind in which order it is added up. To attention a text is a bag of tokens. Where a token stands
# has to be *in* its vector, which is what [positions](04_embeddings_positions.ipynb) are for.
# </details>
#
# ## It learns what to look for
#
# A game: five tokens, each with a letter and a digit; then a sixth with a letter only, one of the five. Which digit
# belongs to it? No position helps, only comparing letters does.

# %%
LETTERS, DIGITS, N = "abcdefgh", "01234567", 5


def game(rng, n):
    letter = np.argsort(rng.random((n, 8)), axis=1)[:, :N]  # (n, N) all different
    digit = rng.integers(0, 8, (n, N))  # (n, N)
    asked = rng.integers(0, N, n)  # (n,) which of the five
    row = np.arange(n)
    tokens = np.concatenate([np.eye(8)[letter], np.eye(8)[digit]], axis=-1)  # (n, N, 16)
    question = np.concatenate([np.eye(8)[letter[row, asked]], np.zeros((n, 8))], axis=-1)
    x = np.concatenate([tokens, question[:, None]], axis=1)  # (n, N + 1, 16)
    return x.astype(np.float32), digit[row, asked], letter, digit, asked


class Finder(nn.Module):
    def __init__(self, D, scale=None):
        self.q, self.k, self.v = (nn.Linear(16, D, bias=False, rng=i, init_std=1) for i in range(3))
        self.out, self.scale = nn.Linear(D, 8, rng=3), scale

    def forward(self, x):  # (n, T, 16)
        q, k, v = self.q(x)[:, None, -1:], self.k(x)[:, None, :-1], self.v(x)[:, None, :-1]
        y, self.weights = F.attention_with_weights(q, k, v, scale=self.scale)  # (n, 1, 1, D)
        return self.out(y[:, 0, 0])  # (n, 8)


# %% [markdown]
# Training by plain gradient descent, once with scores divided by $\sqrt{D}$ and once without, in a wide head.
# **Predict** how the two losses differ, at the start and later. What loss is mere guessing among 8 digits?


# %%
def train(model, steps=120, lr=0.3):
    rng = np.random.default_rng(0)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        x, answer, *_ = game(rng, 32)
        model.zero_grad()
        loss = F.cross_entropy(model(Tensor(x)), answer)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


divided, undivided = Finder(256), Finder(256, scale=1.0)
runs = {"q·k/√D": train(divided), "q·k": train(undivided)}
runs = {name: {"train": {"steps": range(1, 121), "losses": run}} for name, run in runs.items()}
LossCurve(runs, unit="nats", references={"guessing": np.log(8)})

# %% [markdown]
# <details><summary>What to see</summary>
#
# Both begin above guessing, since the random tables are large. Undivided it is far above: each question is answered with
# the digit of a single letter, chosen by chance, and with conviction, and that has to be unlearned first. In the end both
# find the way. Here there is one layer; in a model of many each has to unlearn its own.
# </details>
#
# And does it look where it should? Three new games. Each row is one question, each column one of the five tokens that
# stood before it.
#
# **Predict** where the bright squares are.

# %%
x, answer, letter, digit, asked = game(np.random.default_rng(7), 3)
_, axes = plt.subplots(2, 3, figsize=(8, 2.4))
for row, (name, model) in enumerate({"untrained": Finder(256), "trained": divided}.items()):
    found = model(Tensor(x)).numpy().argmax(axis=1)
    for i, ax in enumerate(axes[row]):
        ax.imshow(model.weights.numpy()[i, 0], vmin=0, vmax=1)
        ax.set_xticks(range(N), [LETTERS[a] + DIGITS[b] for a, b in zip(letter[i], digit[i])])
        ax.set_yticks([0], [LETTERS[letter[i, asked[i]]] + "?"])
        ax.set_title(f"{name}: says {DIGITS[found[i]]}", fontsize=9)
plt.tight_layout()
plt.show()

# %% [markdown]
# Nobody told the model to compare letters. It had three random tables and a loss, and the cheapest way down was to make
# queries and keys of the same letter alike, and to put the digit into the value. Just that is what a trained GPT does in
# many heads at once: [06 Multi-head attention](06_multi_head.ipynb).
#
# ## Try this
#
# - In "One query, by hand", let "it" look for a verb: `query = np.array([0.0, 2.0])`. Then for both. What comes out?
# - Multiply `query` by 10, by `0.1`, by 0. What are the weights then? (You met this as temperature.)
# - In the last game draw the letters with `rng.integers(0, 8, (n, N))`, so that a letter can stand there twice, with two
#   digits. What should the model answer then? How low can the loss get?
# - Give `Finder` one table for `q` and `k`: `self.k = self.q`. In this game it does no harm. Why?
# - Write it yourself in NumPy, with checks that tell you what is wrong:
#   `python -m minigpt.classroom start ex_attention`
#
# The formula in the library is in `kernels/reference/attention.py`, its backward below it. How the same is done without
# ever keeping the `(T, T)` weights is a subject of [14 Kernels](14_kernels.ipynb).

# %% [markdown]
# ## In your own words
#
# 1. What are query, key and value of a token, and which of them meet where?
# 2. Why are scores divided by $\sqrt{D}$, and not by $D$? What would you see in a training where it was forgotten?
# 3. Why must the mask come before the softmax? Who notices if it comes after?
