# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Multi-head attention: several looks at once
#
# **Aim** See what one attention cannot do and two can, split channels into heads and merge them again with the shape of
# every line in view, mask the future and the padding, and find out how a reshape that "fits" lets the future leak without
# any error.
#
# **Time** 45 minutes
#
# **Prerequisites** [05 Attention](05_attention.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import matplotlib.pyplot as plt
import numpy as np

from minigpt import Tensor, nn, optim
from minigpt import functional as F
from minigpt.inspect import capture
from minigpt.viz import AttentionGrid, LossCurve

# %% [markdown]
# ## What one head cannot do
#
# The game of the last notebook with *two* questions: five tokens with a letter and a digit each, and a last one with two
# letters. Wanted are the digit of the first letter and that of the second, in this order.

# %%
N = 5
LETTERS = "abcdefgh"


def game(rng, n):
    letter = np.argsort(rng.random((n, 8)), axis=1)[:, :N]  # (n, N) all different
    digit = rng.integers(0, 8, (n, N))  # (n, N)
    asked = np.argsort(rng.random((n, N)), axis=1)[:, :2]  # (n, 2) two of the five
    tokens = np.concatenate([np.eye(8)[letter], np.eye(8)[digit], np.zeros((n, N, 8))], axis=-1)
    first, second = np.take_along_axis(letter, asked, axis=1).T
    question = np.concatenate([np.eye(8)[first], np.zeros((n, 8)), np.eye(8)[second]], axis=-1)
    x = np.concatenate([tokens, question[:, None]], axis=1)  # (n, N + 1, 24)
    answer = np.take_along_axis(digit, asked, axis=1)  # (n, 2)
    return Tensor(x.astype(np.float32)), answer, letter, asked


class Finder(nn.Module):
    def __init__(self, n_head):
        self.embed = nn.Linear(24, 32, rng=0, init_std=0.3)
        self.attn = nn.MultiHeadAttention(32, n_head, rng=1, init_std=0.3)
        self.out = nn.Linear(32, 16, rng=2)

    def forward(self, x):  # (n, T, 24)
        y, self.weights = self.attn(self.embed(x), return_weights=True)  # (n, T, 32)
        return self.out(y[:, -1]).reshape(-1, 2, 8)  # (n, 2, 8)


# %% [markdown]
# One head of 32 channels, or two heads of 16. **Predict:** which has more numbers to learn? Can one head solve the game? If
# not, what will its loss be in the end?


# %%
def train(model, steps=240):
    rng = np.random.default_rng(0)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        x, answer, *_ = game(rng, 64)
        model.zero_grad()
        loss = F.cross_entropy(model(x), answer)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"train": {"steps": range(1, steps + 1), "losses": losses}}


models = {"one head": Finder(1), "two heads": Finder(2)}
runs = {name: train(model) for name, model in models.items()}
for name, model in models.items():
    print(f"{name}: {model.num_parameters():,} numbers")
LossCurve(runs, unit="nats/digit", references={"ln 2, a coin toss": np.log(2)})

# %% [markdown]
# Where do they look? The last token asks; for each head, its shares of the five tokens before it (and of itself).

# %% tags=["picture"]
x, answer, letter, asked = game(np.random.default_rng(3), 1)
names = [LETTERS[a] for a in letter[0]] + ["?"]
print("asked: first", names[asked[0, 0]] + ", second", names[asked[0, 1]])
_, axes = plt.subplots(3, 1, figsize=(5, 3.2))
shown = {}
for name, model in models.items():
    model(x)
    for h, w in enumerate(model.weights.numpy()[0, :, -1]):  # (H, T)
        shown[f"{name}: head {h}"] = w
for ax, (name, w) in zip(axes, shown.items()):
    ax.imshow(w[None], vmin=0, vmax=1)
    ax.set_xticks(range(N + 1), names)
    ax.set_yticks([])
    ax.set_title(name, fontsize=9)
plt.tight_layout()
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# One head has *one* set of shares, so it has to look at both places at once. What comes out is a mixture of two values, and
# in a mixture it is hard to tell which was first: it knows about two digits and tosses a coin, a loss near $\ln 2$. (It
# may favour one place to mark it. Then it sees less of the other.) Two heads look at one place each, and what they fetch
# stays apart, in channels of its own. With the same number of weights.
# </details>
#
# **One head: one question. `H` heads: `H` questions at once.** In a sentence a word wants to know its subject, *and* its
# tense, *and* what the last word was.
#
# ## Split: from `(B, T, C)` to `(B, H, T, D)`
#
# The weights do not know of heads. One linear layer makes queries, keys and values of all heads, side by side:
# `(B, T, 3C)`. Then each `C` is cut into `H` pieces of `D = C / H` channels.
#
# **Predict** the shape after each line.

# %%
B, T, C, H = 2, 5, 12, 3
D = C // H
rng = np.random.default_rng(0)
m = nn.MultiHeadAttention(C, H, rng=0, init_std=0.5)
x = Tensor(rng.standard_normal((B, T, C)).astype(np.float32))  # (B, T, C)

qkv = m.c_attn(x)
q = qkv[:, :, :C]
cut = q.reshape(B, T, H, D)
heads = cut.swapaxes(1, 2)
for name, t in {"x": x, "qkv": qkv, "q": q, "reshape": cut, "swapaxes": heads}.items():
    print(f"{name:<9} {t.shape}")

# %% [markdown]
# <details><summary>Why swap the axes at the end?</summary>
#
# `@` multiplies the last two axes and takes all axes before them as "so many such products". Attention multiplies tables of
# `(T, D)`, one for each example and each head. So `T` and `D` have to be the last two.
# </details>
#
# The library does the same inside. `capture` shows it:

# %%
with capture(m) as acts:
    m(x)
for name in ("c_attn", "q", "k", "v", "scores", "weights", "heads", "c_proj"):
    print(f"{name:<8} {acts[name].shape}")
print("our q is its q:", np.allclose(heads.numpy(), acts["q"]))

# %% [markdown]
# ## Merge, and let the heads talk
#
# After the weighted sum each head has `(T, D)`. Back the same way: swap, then reshape to `(B, T, C)`. Now the heads' results
# lie side by side, and a last linear layer, `c_proj`, mixes them. Everything in nine lines:


# %%
def my_multi_head(x, m, causal=False):
    B, T, C = x.shape
    H, D = m.n_head, C // m.n_head
    qkv = m.c_attn(x)  # (B, T, 3C)
    parts = (qkv[:, :, i * C : (i + 1) * C] for i in range(3))  # (B, T, C) each
    q, k, v = (part.reshape(B, T, H, D).swapaxes(1, 2) for part in parts)  # (B, H, T, D) each
    heads = F.scaled_dot_product_attention(q, k, v, causal=causal)  # (B, H, T, D)
    merged = heads.swapaxes(1, 2).reshape(B, T, C)  # (B, T, H, D) -> (B, T, C)
    return m.c_proj(merged)  # (B, T, C)


print("as the library:", np.allclose(my_multi_head(x, m).numpy(), m(x).numpy(), atol=1e-6))

# %% [markdown]
# **Predict:** more heads, same `C`. Does the number of weights grow? And the number of scores?

# %%
for n_head in (1, 2, 3, 4, 6, 12):
    layer = nn.MultiHeadAttention(C, n_head, rng=0)
    _, w = layer(x, return_weights=True)
    print(f"{n_head} heads of {C // n_head}: {layer.num_parameters()} weights, {w[0].size} scores")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The weights stay. Only the cut is another one. There is one table of scores a head, so there are more of them, each from
# fewer channels. With very many heads each has so few channels that it can hardly tell keys apart.
# </details>
#
# `c_proj` of heads side by side is the same as each head through its own rows of `c_proj`, added up. So the output is a
# *sum over heads*, and one can ask what each of them added.

# %%
weight = m.c_proj.weight.numpy()  # (C, C)
each = [acts["heads"][:, h] @ weight[h * D : (h + 1) * D] for h in range(H)]  # (B, T, C) each
together = sum(each) + m.c_proj.bias.numpy()
print("sum of the heads + bias = output:", np.allclose(together, m(x).numpy(), atol=1e-6))
lengths = [f"{np.linalg.norm(part[0, -1]):.2f}" for part in each]
print("length of what each adds to the last token:", lengths)

# %% [markdown]
# ## The reshape that fits and is wrong
#
# Why two steps, if one `reshape(B, H, T, D)` gives the same shape? You know from [01](01_tensors.ipynb) that it mixes tokens.
# What does that do to a model? The same nine lines, in which split and merge can be made wrong:


# %%
def careless(x, m, split=True, merge=True):
    """split, merge: whether it is done right"""
    B, T, C = x.shape
    H, D = m.n_head, C // m.n_head
    qkv = m.c_attn(x)
    parts = [qkv[:, :, i * C : (i + 1) * C] for i in range(3)]
    if split:
        q, k, v = (part.reshape(B, T, H, D).swapaxes(1, 2) for part in parts)
    else:
        q, k, v = (part.reshape(B, H, T, D) for part in parts)  # fits, and is wrong
    heads = F.scaled_dot_product_attention(q, k, v, causal=True)
    return m.c_proj((heads.swapaxes(1, 2) if merge else heads).reshape(B, T, C))


# %% [markdown]
# Let us ask for *influence*: how much does output `i` change with input `j`? That is a gradient. The mask is causal, so
# nothing may be above the diagonal; and everything below it should be there.


# %%
def influence(**how):
    table = np.zeros((T, T))
    for i in range(T):
        leaf = Tensor(x.numpy(), requires_grad=True)
        careless(leaf, m, **how)[0, i].sum().backward()
        table[i] = np.linalg.norm(leaf.grad[0], axis=-1)  # (T,)
    return table


# %% [markdown]
# **Predict** the first picture. Then: which of the others lets the future leak?

# %%
cases = {
    "right": {},
    "split wrong": {"split": False},
    "merge wrong": {"merge": False},
    "both wrong": {"split": False, "merge": False},
}
_, axes = plt.subplots(1, 4, figsize=(9, 2.6))
forbidden, wanted = np.triu(np.ones((T, T)), 1) > 0, np.tri(T) > 0
for ax, (name, how) in zip(axes, cases.items()):
    table = influence(**how)
    ax.imshow(table)
    ax.set(title=name, xlabel="input token", xticks=range(T), yticks=range(T))
    leaks, missing = (table[forbidden] > 0).sum(), (table[wanted] == 0).sum()
    print(f"{name:<12} {leaks} of {forbidden.sum()} forbidden used, {missing} wanted missing")
axes[0].set_ylabel("output token")
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# The mask was right, and every row of weights sums to 1, in all four. With *one* of the two wrong, pieces of later tokens
# come out at earlier places: the future leaks. Such a model trains to a wonderful loss, since it sees the answers, and
# writes nonsense when there are no later tokens yet.
#
# With both wrong, they undo each other's disorder and nothing leaks. But each "head" was a stretch of neighbouring
# tokens, cut at odd places, and a token sees only its own stretch. That is worse to find: the model learns, only it
# never looks far.
# </details>
#
# Nothing gave an error. For a whole model of yours, `mg.debug.check_model(model, ids, targets)` asks the same question, and
# names the operation where the leak begins.
#
# ## Padding: texts of different lengths in one batch
#
# A batch is one block of numbers, so short texts are filled up. Nobody may look at what they are filled with.
#
# The mask says `True` for "may look", and broadcasts to `(B, H, Tq, Tk)`. **Predict** its shape, before you read on: it
# depends on the text and on the *key*, and on neither head nor query.

# %%
texts = ["the cat sat on it".split(), "it sat down".split()]
lengths = np.array([len(text) for text in texts])  # (B,)
real = np.arange(T) < lengths[:, None]  # (B, T) True for real tokens
mask = real[:, None, None, :]  # (B, 1, 1, Tk)
print(real.astype(int))
print("mask", mask.shape)

# %% [markdown]
# Does it work? The padded text must give what the short text gives alone.
#
# **Predict** which of these three agrees: no mask, the mask on the keys, the mask on the queries (`real[:, None, :, None]`).

# %%
x[1, 3:] = 9.0  # whatever stands in the padding
alone = m(x[1:, :3]).numpy()[0]  # (3, C) the short text by itself
masks = {"nothing": None, "keys": mask, "queries": real[:, None, :, None]}
for name, chosen in masks.items():
    padded = m(x, mask=chosen).numpy()[1, :3]
    print(f"mask on {name:<8} largest difference {abs(padded - alone).max():.1e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Only the mask on the keys. Masking a query only says that padding must not *ask*, which nobody minds; the real tokens
# still read it. It is the commonest mistake with this mask, beside having it upside down: some libraries say `True` for
# "hide".
# </details>
#
# Both masks together, in a decoder: one must be allowed by both, `&`. In the picture grey is what nobody may see.

# %%
_, weights = m(x, mask=mask & np.tri(T, dtype=bool), return_weights=True)  # (B, H, T, T)
padded = texts[1] + ["–", "–"]
AttentionGrid([weights.numpy()[1]], padded, key_mask=real[1], title="Causal, with padding")

# %% [markdown]
# ### A row that may see nothing
#
# Padding on the *left*, and causal: the first query may see nothing at all. **Predict** what a softmax over only
# $-\infty$ gives by the formula.

# %%
with np.errstate(all="ignore"):
    row = np.full(3, -np.inf)
    print("formula:", np.exp(row - row.max()) / np.exp(row - row.max()).sum())
print("library:", F.softmax(row).numpy())

x = rng.standard_normal((1, 1, 4, 2))  # (B, H, T, D)
left = np.tri(4, dtype=bool) & (np.arange(4) > 0)  # token 0 is padding, so query 0 sees nothing
y = F.scaled_dot_product_attention(x, x, x, mask=left).numpy()
print("output of query 0:", y[0, 0, 0])
right = mg.gradcheck(lambda x: F.scaled_dot_product_attention(x, x, x, mask=left), [x])
print("gradient right:   ", right)

# %% [markdown]
# $-\infty - (-\infty)$ is not a number, and a single `nan` spreads to every weight of the model in one step. The library gives
# zeros, and a gradient of zero.
#
# ## Try this
#
# - Three letters asked in the first game (24 becomes 32 channels, 16 outputs 24). How many heads are needed?
# - Give `Finder(1)` more channels: 64 in place of 32. Does it help?
# - In the picture of influences choose `T = 6`, which `H` divides. How long are the stretches that "both wrong" sees now?
# - `causal` for queries that are the *last* of many keys, as in generation with a cache: what should row 0 see if
#   `Tq = 1` and `Tk = 5`? `np.tri(Tq, Tk, Tk - Tq)` has the answer.
# - Write them yourself: `python -m minigpt.classroom start ex_mask`, then `start ex_multi_head`
#
# The module is `minigpt/nn/attention.py`, one page. What trained heads look at, you will see in
# [13 Attention of a trained model](13_attention_of_a_trained_model.ipynb).

# %% [markdown]
# ## In your own words
#
# 1. What can two heads of 16 channels do that one head of 32 cannot?
# 2. Why is `reshape(B, T, H, D).swapaxes(1, 2)` right and `reshape(B, H, T, D)` wrong? How would you notice?
# 3. Why does the padding mask belong on the keys?
