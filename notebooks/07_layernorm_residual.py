# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Layer norm and residuals: why deep models can be trained
#
# **Aim** Watch gradients die on their way through a deep stack, and see what one plus sign does about it. Then compute a
# layer norm by hand, write its backward rule, have it refuted and mended, and measure why GPT-2 moved the norm to
# another place than the first transformer had it.
#
# **Time** 45 minutes
#
# **Prerequisites** [02 Backward](02_backward.ipynb), [06 Multi-head attention](06_multi_head.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import numpy as np

from minigpt import Tensor, nn, optim
from minigpt import functional as F
from minigpt.viz import LayerStatistics, LossCurve

# %% [markdown]
# ## Twenty-four layers
#
# A layer: a table of weights, and a `tanh`. Stack 24 of them. Going backward, a gradient is multiplied by something in
# every layer. **Predict:** what is left after 24 layers if each halves it? If each makes it half as large again?

# %%
print(f"0.5 ** 24 = {0.5**24:.1e}     1.5 ** 24 = {1.5**24:,.0f}")

# %% [markdown]
# Now measured. `measure` sends random numbers through a stack, and a random gradient back, and notes how large both are
# after each layer, as a root mean square. `size` is the deviation of the weights, in units of $1/\sqrt{C}$.

# %%
L, C = 24, 64
start = np.random.default_rng(0).standard_normal((128, C))


def rms(a):
    return float(np.sqrt((a**2).mean()))


def measure(size, step):
    rng = np.random.default_rng(1)
    x = Tensor(start, requires_grad=True)
    stream = [x]
    for _ in range(L):
        weight = Tensor(rng.standard_normal((C, C)) * size / C**0.5)
        x = step(x, lambda h, weight=weight: F.tanh(h @ weight))  # (N, C)
        stream.append(x.retain_grad())
    x.backward(rng.standard_normal(x.shape))
    return {
        "activation": [rms(x.numpy()) for x in stream],
        "gradient": [rms(x.grad) for x in stream],
    }


def plain(x, layer):
    return layer(x)


# %% [markdown]
# **Predict** the three lines on the right, the gradients: where do they start, and where do they end? (They come from the
# last layer, so read from right to left. The axis is logarithmic: a straight line is a constant factor.)

# %%
sizes = (0.5, 1.0, 1.5)
stacks = {f"plain, weights {size}": measure(size, plain) for size in sizes}
LayerStatistics(stacks, title="24 layers, one after the other")

# %% [markdown]
# <details><summary>What to see</summary>
#
# With small weights everything dies, forward and backward. The first layers would learn nothing at all. With large ones
# gradients grow from layer to layer. In between there is a size that nearly works, for this depth, and for the
# first step only: training changes the weights.
# </details>
#
# ## One plus sign
#
# Let the layer not *replace* `x` but *add* to it: $x + f(x)$, a *residual* connection.
#
# **Predict** the rule backward. What arrives at `x` if the layer's own gradient is tiny?


# %%
def residual(x, layer):
    return x + layer(x)


x = Tensor([0.5, -1.0], requires_grad=True, name="x")
weight = Tensor(0.01 * np.eye(2, dtype=np.float32), name="weight")  # lets little through
for step in mg.debug.backward_steps(residual(x, lambda h: F.tanh(h @ weight)).sum()):
    print(step)
print("x.grad", x.grad.round(3))

# %% [markdown]
# <details><summary>Answer</summary>
#
# $dx = dy + f'(x)^T dy$: the gradient is handed on *as it is*, and what comes through the layer is added. It cannot die on
# the way: there is always the `dy`.
# </details>
#
# The same 24 layers, with the plus sign. **Predict** the gradients at the first layer.

# %% tags=["picture"]
stacks = {"plain, weights 0.5": stacks["plain, weights 0.5"]}
stacks |= {f"residual, weights {size}": measure(size, residual) for size in sizes}
LayerStatistics(stacks, title="24 layers that add to a stream")

# %% [markdown]
# <details><summary>What to see</summary>
#
# With all three sizes of weights the gradient arrives at the first layer, where next to nothing was left before. That is
# why every transformer is a *stream* that runs straight through, into which each layer adds something. And look at the
# left: since everybody adds, the stream grows. The layers inside would get larger and larger inputs.
# </details>
#
# ## Layer norm
#
# So before a layer reads from the stream, what it reads is brought to a standard size. For *each token by itself*, over
# its channels: take the mean away, divide by the deviation. Then two learned rows, so that the model can choose another
# size:
#
# $$y = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \cdot \text{weight} + \text{bias}$$
#
# By hand, for one token of four channels. **Predict** the mean, the variance and the result.

# %%
x = np.array([1.0, 3.0, 5.0, 7.0])
mean = x.mean()
variance = ((x - mean) ** 2).mean()
y = (x - mean) / np.sqrt(variance + 1e-5)
print("mean", mean, " variance", variance)
print("by hand", y.round(4))
print("library", F.layer_norm(x).numpy().round(4), " mean 0, deviation", f"{y.std():.4f}")

# %% [markdown]
# **Predict:** what does layer norm give for `x + 100`? For `10 * x`? For `-x`? And for a token whose channels are all the
# same?

# %%
tokens = {"x": x, "x + 100": x + 100, "10 x": 10 * x, "-x": -x, "same": x * 0 + 3}
for name, changed in tokens.items():
    print(f"{name:<8} {F.layer_norm(changed).numpy().round(3) + 0.0}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Shift and scale leave no trace: only the *pattern* counts. A token without pattern has the variance 0, and
# $\varepsilon$ keeps the division from failing: zeros.
# </details>
#
# Over which axis? A token must not depend on its neighbours (nor on later ones!), nor on what else is in the batch.
# **Predict** for `x` of shape `(B, T, C)`: what is the shape of the mean?

# %%
rng = np.random.default_rng(0)
x = Tensor(rng.standard_normal((2, 3, 8)) * 5 + 2)  # (B, T, C)
y = F.layer_norm(x)
print("shape of the mean:", x.mean(axis=-1, keepdims=True).shape)
print("mean of each token:     ", (y.mean(axis=-1).numpy().round(6) + 0.0).tolist())
print("deviation of each token:", (y.var(axis=-1) ** 0.5).numpy().round(4).tolist())

# %% [markdown]
# Two mistakes that one finds in many articles, and that give no error. Dividing by $C - 1$ in the variance (`ddof=1`), and
# leaving the mean in. **Predict:** how far off is each?

# %%
a = x.numpy()
centred = a - a.mean(axis=-1, keepdims=True)
slips = {
    "variance by C - 1": centred / np.sqrt(a.var(axis=-1, keepdims=True, ddof=1) + 1e-5),
    "mean left in": a / np.sqrt(a.var(axis=-1, keepdims=True) + 1e-5),
}
for name, wrong in slips.items():
    print(f"{name:<18} largest difference {abs(wrong - y.numpy()).max():.3f}")

# %% [markdown]
# ## Its backward rule
#
# With $\hat{x}$ for the normalised $x$, a first thought: "the gradient is divided by the deviation", $dx = dy / \sigma$.
# **Predict:** is that right? (Does a change of one channel change the others?) Ask gradcheck:


# %%
class FirstThought(mg.Op):
    @staticmethod
    def forward(ctx, x):
        rstd = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)  # (N, 1)
        xhat = (x - x.mean(axis=-1, keepdims=True)) * rstd  # (N, C)
        ctx.save(xhat, rstd)
        return xhat

    @staticmethod
    def backward(ctx, dy):
        _, rstd = ctx.saved
        return dy * rstd


class SecondThought(FirstThought):
    @staticmethod
    def backward(ctx, dy):
        xhat, rstd = ctx.saved
        through_mean = dy.mean(axis=-1, keepdims=True)  # (N, 1)
        through_deviation = xhat * (dy * xhat).mean(axis=-1, keepdims=True)  # (N, C)
        return (dy - through_mean - through_deviation) * rstd


# %%
x = rng.standard_normal((3, 5))
for op in (FirstThought, SecondThought, F.layer_norm):
    try:
        print(f"{op.__name__}:", mg.gradcheck(getattr(op, "apply", op), [x]))
    except mg.GradcheckError as error:
        print(f"{op.__name__}: {error}")

# %% [markdown]
# <details><summary>Where the two other terms come from</summary>
#
# One channel reaches the output on three ways: directly; by the mean, which all channels share; and by the deviation,
# which all share as well. Three ways, three terms, added up.
#
# There is a short cut. A shift of `x` changes nothing, so $dx$ must have *no part along a shift*: its mean is 0. A stretch
# changes nothing, so $dx$ has no part along $\hat{x}$ either. The two terms take just these two parts away.
# </details>
#
# Both short cuts, seen:

# %%
x = Tensor(rng.standard_normal((3, 5)), requires_grad=True)
xhat = F.layer_norm(x)
xhat.backward(rng.standard_normal(x.shape))
print("mean of dx:       ", abs(x.grad.mean(axis=-1)).max().round(6))
print("dx · xhat:        ", abs((x.grad * xhat.numpy()).sum(axis=-1)).max().round(3))

# %% [markdown]
# Layer norm also guards the gradient: the *smaller* `x`, the larger `rstd`, and the gradient with it.
#
# ## Where to put the norm
#
# | | formula | used by |
# | --- | --- | --- |
# | **post-norm** | `x = norm(x + f(x))` | the first transformer, 2017 |
# | **pre-norm** | `x = x + f(norm(x))` | GPT-2 and nearly all since |
#
# It looks like a small thing. **Predict:** in which of the two is there a way from the loss to the first layer on which no
# norm lies?
#
# `nn.EncoderBlock` can do both. Twelve of them, with weights that are large enough for a block to matter:

# %%
V, T = 16, 8


class Stack(nn.Module):
    def __init__(self, norm, n_layer=12, width=32):
        rng = np.random.default_rng(0)
        self.wte = nn.Embedding(V, width, rng=rng, init_std=1)
        self.wpe = nn.Embedding(T, width, rng=rng, init_std=1)
        blocks = (nn.EncoderBlock(width, 2, norm=norm, rng=rng) for _ in range(n_layer))
        self.h = nn.ModuleList(blocks)
        self.ln_f, self.out = nn.LayerNorm(width), nn.Linear(width, V, rng=rng)
        for p in self.h.parameters():
            if p.ndim == 2:
                p.data[...] = rng.standard_normal(p.shape) / p.shape[0] ** 0.5

    def forward(self, ids):  # (B, T)
        x = self.wte(ids) + self.wpe(np.arange(T))  # (B, T, C)
        self.stream = [x]
        for block in self.h:
            x = block(x)
            self.stream.append(x)
        return self.out(self.ln_f(x))  # (B, T, V)


# %% [markdown]
# The task: the same tokens backwards. First one batch, before any training, forward and backward.

# %%
ids = np.random.default_rng(1).integers(0, V, (32, T))
sizes_of = {}
for norm in ("pre", "post"):
    model = Stack(norm)
    loss = F.cross_entropy(model(ids), ids[:, ::-1].copy())
    for x in model.stream:
        x.retain_grad()
    loss.backward()
    sizes_of[f"{norm}-norm"] = {
        "activation": [rms(x.numpy()) for x in model.stream],
        "gradient": [rms(x.grad) for x in model.stream],
    }
LayerStatistics(sizes_of, title="Twelve blocks before training")

# %% [markdown]
# <details><summary>What to see</summary>
#
# Post-norm: after every block the stream has the size 1 again; nothing can grow. Pre-norm: it grows, since each block adds
# and nobody divides. That is why a GPT has one more norm at the end, `ln_f`.
# </details>
#
# Sizes are one thing. How much of the *input* is still in the stream? **Predict** the cosine between the stream at the start
# and after each block (1: unchanged, 0: nothing of it is left), for both.

# %%
for norm in ("pre", "post"):
    model = Stack(norm)
    model(ids)
    stream = [x.numpy() / np.linalg.norm(x.numpy(), axis=-1, keepdims=True) for x in model.stream]
    cosines = [(stream[0] * x).sum(axis=-1).mean() for x in stream[::3]]
    print(f"{norm}-norm, every third block:", np.round(cosines, 2))

# %% [markdown]
# From the sizes alone post-norm looked tidier. **Predict** which one learns, from the first step on with a high learning
# rate and no warm-up.


# %%
def train(model, steps=80, lr=1e-2):
    rng = np.random.default_rng(0)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        ids = rng.integers(0, V, (16, T))
        model.zero_grad()
        loss = F.cross_entropy(model(ids), ids[:, ::-1].copy())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"train": {"steps": range(1, steps + 1), "losses": losses}}


runs = {f"{norm}-norm": train(Stack(norm)) for norm in ("pre", "post")}
LossCurve(runs, unit="nats/token", references={"guessing": np.log(V)})

# %% [markdown]
# <details><summary>What to see</summary>
#
# Pre-norm learns; post-norm stays at guessing. In pre-norm the stream runs from the embeddings to the end through additions
# only: whatever the blocks do, the input is still there, and its gradient too. In post-norm every block normalises the sum,
# so the share of the input gets smaller with every block, and one bad step in one block spoils what all later ones
# read. It can be trained, and was, with care: few blocks, a slow start of the learning rate. Pre-norm needs less care.
# </details>
#
# ## Try this
#
# - `train(Stack("post"), lr=1e-3)`, and more steps. Stacks of 2 blocks: `Stack("post", n_layer=2)`. Is there still a
#   difference?
# - `measure` with a third kind of step: `x + layer(F.layer_norm(x))`. How fast does the stream grow, with weights of `1.5`?
# - Leave `ln_f` out of a pre-norm stack. How large are the logits at the start, and what is the first loss?
# - How the *initial weights* of a GPT are chosen so that the stream does not grow too much:
#   `minigpt.inspect.initialisation_study`, whose table `LayerStatistics` can draw.
# - Write them yourself: `python -m minigpt.classroom start ex_layernorm_forward`, then `start ex_layernorm_backward`
#
# The rule stands in `minigpt/ops/layernorm.py`, the formula in `kernels/reference/layernorm.py`. You have all parts of a
# transformer now; [08 GPT](08_gpt.ipynb) puts them together.

# %% [markdown]
# ## In your own words
#
# 1. What does the plus sign in $x + f(x)$ do for the gradient? Use the word "copy".
# 2. Which changes of a token does layer norm not notice, and what does that say about its gradient?
# 3. Why does a pre-norm model need a last norm, and a post-norm model none?
