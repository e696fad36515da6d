# %% [markdown]
# # The whole GPT: blocks, parameters, causality
#
# **Aim** Put the parts together: see a GPT's forward pass as a few lines that you can write yourself, count each of its
# parameters by hand, follow the shapes from ids to loss, and test that no token can see what comes after it.
#
# **Time** 45 minutes
#
# **Prerequisites** [05 Attention](05_attention.ipynb), [07 Layer norm and residuals](07_layernorm_residual.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import matplotlib.pyplot as plt
import numpy as np

from minigpt import optim
from minigpt.inspect import capture, initialisation_study
from minigpt.models import GPT, GPTConfig
from minigpt.models.budget import forward_flops, training_flops
from minigpt.viz import LayerStatistics

# %% [markdown]
# ## All parts on one page
#
# You have met every part. Five numbers say how many of which size:
#
# | number | letter | here | GPT-2, smallest |
# | --- | --- | --- | --- |
# | `vocab_size`: tokens it knows | $V$ | `65` | `50257` |
# | `block_size`: tokens it can read at once | $T$ | `32` | `1024` |
# | `n_layer`: blocks, one after the other | $L$ | `2` | `12` |
# | `n_head`: heads in each block | $H$ | `4` | `12` |
# | `n_embd`: channels, numbers per token | $C$ | `48` | `768` |
#
# **Predict:** how many `Linear` layers does a model with `n_layer=2` have? How many `LayerNorm`s?

# %%
config = GPTConfig(vocab_size=65, block_size=32, n_layer=2, n_head=4, n_embd=48)
model = GPT(config, seed=0)
print(model)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Four linear layers a block: `c_attn` makes queries, keys and values in one go, `c_proj` mixes the heads, and two make the
# MLP. That is eight. Two norms a block and one at the end make five. The names are GPT-2's: its published weights fit
# into this model as they are.
# </details>
#
# ## One block by hand
#
# A block is two lines. Attention lets tokens *talk to each other*, the MLP lets each token *think alone*. Both read a
# normalised copy of the stream, and *add* what they found to it:
#
# $$x \leftarrow x + \text{attn}(\text{ln}_1(x)) \qquad x \leftarrow x + \text{mlp}(\text{ln}_2(x))$$
#
# **Predict:** which of the four parts, `ln_1`, `attn`, `ln_2`, `mlp`, gives another result for a token if a *neighbour*
# of it is changed?

# %%
rng = np.random.default_rng(0)
x = mg.Tensor(rng.standard_normal((3, 16, 48)).astype(np.float32))  # (B, T, C)
block = model.h[0]

by_hand = x + block.attn(block.ln_1(x))  # (B, T, C)
by_hand = by_hand + block.mlp(block.ln_2(by_hand))  # (B, T, C)
print("in", x.shape, " out", by_hand.shape)
print("as the library's block:", np.allclose(by_hand.numpy(), block(x).numpy(), atol=1e-5))

# %%
other = x.numpy().copy()
other[:, 4] += rng.standard_normal(48)  # another token at position 4
for name in ["ln_1", "attn", "ln_2", "mlp"]:
    part = getattr(block, name)
    change = part(mg.Tensor(other)).numpy() - part(x).numpy()  # (B, T, C)
    moved = np.flatnonzero(abs(change).max(axis=(0, 2)) > 1e-6)  # (T,) -> positions
    print(f"{name:<5} changes at positions {moved}")

# %% [markdown]
# <details><summary>What this says</summary>
#
# Only attention carries anything from one token to another, and only forward, to later ones. Norms and MLP treat every
# position by itself, as if the others weren't there. All that a GPT knows about *relations* between tokens goes through
# the heads.
# </details>
#
# ## The whole model by hand
#
# What each token is, plus where it stands; the blocks; a last norm; and then the table that read the tokens is used a
# second time, transposed, to say which token comes next: its row $v$ times the stream is the logit of token $v$.
#
# **Predict:** the shape of the logits for `ids` of shape `(3, 16)`.

# %%
ids = rng.integers(0, config.vocab_size, (3, 16))  # (B, T)
T = ids.shape[1]

x = model.wte(ids) + model.wpe(np.arange(T))  # (B, T, C)
for block in model.h:
    x = block(x)  # (B, T, C)
x = model.ln_f(x)  # (B, T, C)
logits = x @ model.wte.weight.T  # (B, T, V)

print("logits", logits.shape)
print("as the model's:", np.allclose(logits.numpy(), model(ids)[0].numpy(), atol=1e-5))

# %% [markdown]
# That is all of GPT-2. What is missing for a chat program is training, and a loop that takes a token from the last row of
# the logits and appends it to the ids.
#
# ## Every shape
#
# `capture` keeps what each module put out. **Predict** the shapes before you run it, with $B=3$, $T=16$, $C=48$ and
# $H=4$ heads of $D = 48 / 4$ channels: queries, attention weights, the inside of the MLP.

# %%
with capture(model) as acts:
    model(ids)
axes = {3: "B", 16: "T", 48: "C", 4: "H", 12: "D", 65: "V", 144: "3C", 192: "4C"}
for name, array in acts.items():
    if not name.startswith("h.1"):  # the second block is like the first
        print(f"{name:<18} {array.shape!s:<16} {', '.join(axes[n] for n in array.shape)}")

# %% [markdown]
# The stream is `(B, T, C)` from the first block to the last: a block can be taken out, or put in twice, and everything still
# fits. Inside, attention goes out to `(B, H, T, T)`, and the MLP to four times as many channels and back.
#
# And the operations that ran, in order, as `mg.trace` saw them. One line is one op that has a backward.

# %%
with mg.trace() as trace:
    _, loss = model(ids, ids)
for op in trace.rows:
    shapes = " × ".join(str(shape) for shape in op.inputs if shape)
    print(f"{op.module:<16}{op.op:<13}{shapes:<48} -> {op.outputs[0]}")

# %% [markdown]
# **Try this:** end a cell with `trace`: it shows itself as a timeline. `mg.trace(parts=True)` takes the fused ops apart.
#
# ## Count the parameters by hand
#
# Each line is a matrix and its bias (or the two vectors of a norm). **Predict:** which single line will be the largest in this
# small model? And which in GPT-2?


# %%
def count(V, T, L, C):
    """Parameters of each part of a GPT, L blocks together"""
    return {
        "token table": V * C,
        "position table": T * C,
        "attention": L * ((C * 3 * C + 3 * C) + (C * C + C)),
        "MLP": L * ((C * 4 * C + 4 * C) + (4 * C * C + C)),
        "layer norms": L * (2 * 2 * C) + 2 * C,
    }


parts = count(V=65, T=32, L=2, C=48)
for name, number in parts.items():
    print(f"{name:<15}{number:>8,}")
print(f"{'by hand':<15}{sum(parts.values()):>8,}")
print(f"{'the model':<15}{model.num_parameters():>8,}")

# %% [markdown]
# `model.summary()` prints the same, one line a module. The number of heads does not occur: $H$ heads share the channels
# among them, more heads are narrower heads.
#
# Where do they sit in large models? We need not make one to know: the configuration counts.

# %% tags=["picture"]
names = ["this model", "gpt2", "gpt2-medium", "gpt2-xl", "gpt3-175b"]
configs = [config] + [GPTConfig.named(name) for name in names[1:]]
bars = [count(c.vocab_size, c.block_size, c.n_layer, c.n_embd) for c in configs]

_, ax = plt.subplots(figsize=(8.6, 3))
left = np.zeros(len(names))
for part in bars[0]:
    share = np.array([bar[part] / sum(bar.values()) for bar in bars])
    ax.barh(names, share, left=left, label=part)
    left += share
ax.invert_yaxis()
ax.set(xlim=(0, 1), xlabel="share of the parameters")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False, fontsize=8)
for name, c, bar in zip(names, configs, bars):
    print(f"{name:<12}{sum(bar.values()):>16,}  agrees: {sum(bar.values()) == c.n_parameters()}")
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# In the smallest GPT-2 the token table is a large part, in the largest it hardly counts: it grows with $C$, the blocks with
# $C^2$. Attention has about $4C^2$ numbers a block, the MLP $8C^2$, so two thirds of a large model are MLPs, and
# $12 L C^2$ is a good guess at the whole.
# </details>
#
# ## One table, used twice
#
# Reading and writing share the token table (*weight tying*). That is why there is no "head" in the list above: a second
# table would cost another $V \cdot C$ numbers. Its gradient has two parts, then: one from the rows that were read, and one from
# the rows that were written.
#
# **Predict:** the batch below consists of the token `7` only, and the right answers are all `9`. Which rows of the table get a
# gradient?

# %%
model.zero_grad()
_, loss = model(np.full((1, 16), 7), np.full((1, 16), 9))
loss.backward()
size = abs(model.wte.weight.grad).sum(axis=1)  # (V,)
largest = np.argsort(-size)[:3]
print("rows with a gradient:", np.count_nonzero(size), "of", len(size))
print("the largest:", [(int(row), round(float(size[row]), 2)) for row in largest])

# %% [markdown]
# <details><summary>Answer</summary>
#
# All of them: as outputs *all* tokens took part in the softmax, and those that were wrong have to go down a little. Two rows
# stand out: `9`, the right answer, which has to go up, and `7`, which was *read*, and gets the gradient that came down
# through all the blocks as well.
# </details>
#
# ## No token sees the future
#
# At position $i$ the model predicts the token at $i + 1$, which stands in the input, one place to the right. If there were a
# way to look at it, the loss would be splendid, and the model useless: when it writes, there is nothing to the right. So
# test it. Change the token at one position, and see which *outputs* change.
#
# **Predict** the picture: positions that were changed from left to right, outputs that moved downwards.


# %%
def influence(model, ids):
    """(T, T): how far the logits at i (row) move if the token at j (column) is another one"""
    before = model(ids[None])[0].numpy()  # (1, T, V)
    moved = np.zeros((len(ids), len(ids)))  # (T, T)
    for j in range(len(ids)):
        changed = ids.copy()
        changed[j] = (ids[j] + 1) % config.vocab_size
        after = model(changed[None])[0].numpy()  # (1, T, V)
        moved[:, j] = abs(after - before)[0].max(axis=-1)  # (T,)
    return moved


causal = influence(model, ids[0])
for block in model.h:
    block.attn.causal = False
open_ = influence(model, ids[0])
for block in model.h:
    block.attn.causal = True

# %%
_, axes = plt.subplots(1, 2, figsize=(8, 3.8))
for ax, (title, moved) in zip(axes, {"causal": causal, "mask switched off": open_}.items()):
    ax.imshow(np.log10(moved + 1e-9), vmin=-5, vmax=0)
    ax.set(title=title, xlabel="token changed at", ylabel="output moved at")
plt.show()
future = np.triu(np.ones((T, T), bool), k=1)
print("largest move of an earlier output, causal:", causal[future].max())
print("the same with the mask switched off:      ", round(open_[future].max(), 4))

# %% [markdown]
# <details><summary>What to see</summary>
#
# Not small: exactly 0 above the diagonal. The diagonal is brightest: a token has most influence on what is said at its own
# place. One leak anywhere, in one head of one layer, would fill the upper half.
# </details>
#
# This test belongs to any model of yours. The library has it, together with some more of the kind:

# %%
print(mg.debug.check_model(model, ids, ids))

# %% [markdown]
# ## The loss before any training
#
# **Predict** it, from `vocab_size` alone.

# %%
targets = rng.integers(0, config.vocab_size, ids.shape)
for seed in range(3):
    _, loss = GPT(config, seed=seed)(ids, targets)
    print(f"seed {seed}: {loss.item():.3f} nats")
print(f"ln V:   {np.log(config.vocab_size):.3f} nats")

# %% [markdown]
# A model that knows nothing should say so. It does since its first weights are small: deviation `0.02`, and smaller still
# for the matrices that write into the stream, since $2L$ of them add up there. Here is a deep model with that start, with
# the last bit left out, and with weights as `standard_normal` gives them.

# %%
deep = GPTConfig(vocab_size=65, block_size=32, n_layer=10, n_head=4, n_embd=48)
study = initialisation_study(deep, ids, targets, schemes=["gpt2", "unscaled", "large"])
print(study.table())
LayerStatistics(study.by_layer(), title="Before the first step, layer by layer")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The axes are logarithmic. With `large` the model is *sure* of things it cannot know: a loss far above $\ln V$, and gradients
# that differ by orders of magnitude from layer to layer. If a training of yours begins above $\ln V$, look here first.
# </details>
#
# ## What does one token cost?
#
# A matrix with $N$ numbers does $N$ multiplications and $N$ additions for each token: $2N$ operations forward. Backward needs
# two products of that size (for the input's gradient and the weight's), so a training step takes about $6N$ operations a
# token. Attention adds $2LTC$ forward, for scores and weighted sums.
#
# **Predict:** is the rule of $6N$ near to what the trace counts, op by op?

# %%
small = GPT(GPTConfig(vocab_size=65, block_size=64, n_layer=4, n_head=4, n_embd=128), seed=0)
batch = rng.integers(0, 65, (2, 64))
with mg.trace() as trace:
    _, loss = small(batch, batch)
    loss.backward()
N = small.num_parameters() - small.wpe.weight.size  # looking up a position multiplies nothing
print(f"6 N:              {6 * N:>12,} operations a token")
print(f"with attention:   {training_flops(small.config):>12,}")
print(f"traced, op by op: {trace.flops // batch.size:>12,}")

# %%
for name in names[1:]:
    c = GPTConfig.named(name)
    print(f"{name:<12} {forward_flops(c) / 1e9:>8.2f} GFLOP to read or write one token,", end="")
    print(f" {training_flops(c) / 1e9:>9.2f} to learn from it")

# %% [markdown]
# ## It learns: the first test of every model
#
# Before you train on a gigabyte, train on *one* small batch. A model with more parameters than tokens must be able to learn it
# by heart. If it can't, there is a mistake, and it has nothing to do with the data.
#
# **Predict:** where will the loss go? These are random tokens, there is no rule to find.

# %%
optimizer = optim.AdamW(model.parameters(), lr=3e-3)
for step in range(121):
    model.zero_grad()
    _, loss = model(ids, targets)
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:>3}: {loss.item():.4f}")
answers = model(ids)[0].numpy().argmax(axis=-1)  # (B, T)
print(f"{np.mean(answers == targets):.0%} of {targets.size} random tokens known by heart")

# %% [markdown]
# ## What next
#
# - **Try this:** in the test of causality, switch the mask off in one block only. How does the picture differ? With
#   `n_layer=1`, and no mask, can a token at 3 say something about one at 9?
# - Count the parameters of a model with `bias=False`, then ask `GPTConfig(…, bias=False).n_parameters()`.
# - Exercises: `python -m minigpt.classroom start ex_weight_tying`, where the table's gradient comes from two places;
#   `ex_gelu`, the bend inside the MLP; `ex_mask`, if you want the causal mask to be yours.
# - Next: [09 Adam](09_adam.ipynb), the optimizer of the last cell, and [10 Training](10_training.ipynb) on real text.

# %% [markdown]
# ## In your own words
#
# 1. Which part of a block moves information between tokens, and which parts don't?
# 2. Where do most parameters of a large GPT sit, and how does their number grow with the width $C$?
# 3. Why must a test of causality ask for exactly 0, and what would a leak look like during training?
