# %% [markdown]
# # From gradient descent to Adam
#
# **Aim** Walk down a narrow valley with four optimizers, each of which mends what was wrong with the one before; write Adam in
# five lines; and know what bias correction, weight decay, warm-up and a cosine schedule are for, since you have seen them.
#
# **Time** 40 minutes
#
# **Prerequisites** [02 Backward](02_backward.ipynb), [08 The whole GPT](08_gpt.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import matplotlib.pyplot as plt
import numpy as np

from minigpt import optim
from minigpt.models import GPT, GPTConfig
from minigpt.viz import LossCurve

plt.rcParams["figure.dpi"] = 80

# %% [markdown]
# ## A narrow valley
#
# Two parameters are enough to see what goes wrong with millions. This loss is steep across and almost flat along:
#
# $$\text{loss} = \tfrac12 \left(x^2 + 50\, y^2\right) \qquad \frac{\partial\,\text{loss}}{\partial x} = x \qquad
# \frac{\partial\,\text{loss}}{\partial y} = 50\, y$$
#
# Gradient descent, *SGD*, takes the step $p \leftarrow p - \text{lr} \cdot g$. In $y$ that is $y \leftarrow (1 - 50\,\text{lr})\, y$.
#
# **Predict:** from which learning rate on does $y$ grow instead of shrink? How fast does $x$ move at that rate?


# %%
def walk(make, steps=40, scale=1.0):
    """The points (steps + 1, 2) that an optimizer visits; make(params) gives the optimizer"""
    p = mg.Tensor(np.array([-4.0, 1.0]), requires_grad=True)
    optimizer = make([p])
    points = [p.numpy().copy()]
    for _ in range(steps):
        optimizer.zero_grad()
        loss = 0.5 * scale * (p[0] ** 2 + 50.0 * p[1] ** 2)
        loss.backward()
        optimizer.step()
        points.append(p.numpy().copy())
    return np.array(points)


def sgd(lr):
    return lambda params: optim.SGD(params, lr)


for lr in (0.01, 0.038, 0.041):
    points = walk(sgd(lr))
    print(f"lr {lr:<5} after 40 steps: x {points[-1, 0]:>7.3f}, y {points[-1, 1]:>8.3f}")


# %%
def draw(paths):
    _, axes = plt.subplots(1, len(paths), figsize=(8.4, 2.2), sharey=True)
    x, y = np.meshgrid(np.linspace(-4.5, 2, 40), np.linspace(-1.5, 1.5, 40))
    for ax, (name, points) in zip(axes, paths.items()):
        loss = 0.5 * (x**2 + 50 * y**2)
        ax.contour(x, y, loss, levels=5, colors="lightgrey", antialiased=False)
        ax.plot(*points.T, ".-", ms=3, lw=1)
        ax.plot(0, 0, "k+", ms=10)
        ax.set(title=name, xlabel="x", xlim=(-4.5, 2), ylim=(-1.5, 1.5))
        distance = np.linalg.norm(points[-1])
        print(f"{name:<20} distance from the lowest point: {distance:.3f}")
    axes[0].set_ylabel("y")
    plt.show()


draw({f"SGD, lr {lr:g}": walk(sgd(lr)) for lr in (0.01, 0.038, 0.041)})

# %% [markdown]
# <details><summary>Answer</summary>
#
# From $2/50 = 0.04$ on: there $|1 - 50\,\text{lr}|$ is 1. The *steepest* direction says how large the learning rate may be, and
# the flat one has to make do with it: it gets one twenty-fifth of the way per step at best. A model has directions that
# differ far more than by a factor of 50.
# </details>
#
# ## Momentum: remember where you were going
#
# $$v \leftarrow \mu v + g \qquad p \leftarrow p - \text{lr} \cdot v$$
#
# Across the valley the gradient points to and fro, and the sum cancels; along the valley it always points the same way, and adds
# up. **Predict:** up to how many times the single step can $v$ grow, with $\mu = 0.9$, if $g$ stays the same?


# %%
def momentum(p):
    return optim.SGD(p, lr=0.02, momentum=0.9)


v = 0.0
for step in range(1, 61):
    v = 0.9 * v + 1.0
    if step in (1, 2, 5, 10, 20, 60):
        print(f"after {step:>2} equal gradients of 1: v = {v:.3f}")
draw({"SGD, lr 0.02": walk(sgd(0.02)), "with momentum": walk(momentum)})

# %% [markdown]
# <details><summary>Answer</summary>
#
# $1 + 0.9 + 0.9^2 + \dots = 1/(1 - 0.9) = 10$. So the flat direction gets up to ten times the speed. The price: it overshoots, like a
# ball that rolls past the lowest point.
# </details>
#
# ## Adam: a learning rate for each parameter
#
# Why not measure how large the gradients of a parameter usually are, and divide by it? Then steep and flat directions
# walk equally fast. Adam keeps two running averages for each parameter, of the gradient and of its square:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \qquad
# p \leftarrow p - \text{lr}\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$
#
# In Python, step by step, beside the library's:

# %%
b1, b2, lr, eps = 0.9, 0.999, 0.3, 1e-8
p, m, v = np.array([-4.0, 1.0]), np.zeros(2), np.zeros(2)
by_hand = [p]
for t in range(1, 41):
    g = np.array([1.0, 50.0]) * p  # the gradient, (2,)
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    by_hand.append(p)

library = walk(lambda p: optim.Adam(p, lr=0.3))
print("same path:", np.allclose(by_hand, library))
print("first step:", (library[1] - library[0]).round(3))

# %% tags=["picture"]
draw({"SGD": walk(sgd(0.038)), "SGD with momentum": walk(momentum), "Adam": library})

# %% [markdown]
# <details><summary>What to see</summary>
#
# Adam's first step has the same length in both directions: the learning rate itself. It does not see that one slope is 50
# times the other. On this small bowl momentum does nearly as well; the gain comes where nobody knows the slopes.
# </details>
#
# **Predict:** what do the three paths look like if the loss is multiplied by 1000 (in cents instead of euros, say)?

# %%
with np.errstate(all="ignore"):
    makers = {"SGD": sgd(0.038), "Adam": lambda p: optim.Adam(p, lr=0.3)}
    for name, make in makers.items():
        same = np.allclose(walk(make), walk(make, scale=1000.0), atol=1e-6)
        end = walk(make, scale=1000.0)[-1]
        print(f"{name:<5} same path: {same}, ends at {np.array2string(end, precision=3)}")

# %% [markdown]
# Adam divides $g$ by the size of $g$: the unit of the loss cancels. That is why one and the same `lr` of about `1e-3` is a
# good first guess for models that have nothing in common.
#
# ## What the bias correction is for
#
# $m$ and $v$ begin at 0, so the first averages are too small, $v$ (with $\beta_2 = 0.999$) much longer than $m$. **Predict:** without
# the correction, is the first step too short or too long?

# %%
t = np.arange(1, 1001)
m_raw, v_raw = 1 - 0.9**t, 1 - 0.999**t  # averages of a gradient that is always 1, from m = v = 0
_, axes = plt.subplots(1, 2, figsize=(7.6, 2.2))
axes[0].semilogx(t, m_raw, label="m, not corrected")
axes[0].semilogx(t, v_raw, label="v, not corrected")
axes[0].axhline(1, color="grey", lw=0.8)
axes[0].set(title="averages of a gradient of 1", xlabel="step")
axes[0].legend(frameon=False)
axes[1].semilogx(t, m_raw / np.sqrt(v_raw), label="not corrected")
axes[1].semilogx(t, np.ones(1000), label="corrected")
axes[1].set(title="length of the step, in learning rates", xlabel="step")
axes[1].legend(frameon=False)
plt.show()
raw = m_raw / np.sqrt(v_raw)
print(f"first step {raw[0]:.2f} learning rates", end="")
print(f", the longest {raw.max():.2f}, in step {raw.argmax() + 1}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Too long, several times, just at the start, when the model knows least. Both averages are too small, but the small one below the
# line counts more. Dividing each by $1 - \beta^t$, the weight that it has collected so far, makes both right from the first step on.
# </details>
#
# ## On a GPT
#
# The game of [00](00_start_here.ipynb), with digits: four digits, a sign, the same four backwards. Each optimizer with three learning
# rates that are a factor of three apart.
#
# **Predict:** which of the three is least particular about its learning rate?


# %%
def game(rng, n=16):
    digits = rng.integers(0, 10, (n, 4))
    text = np.concatenate([digits, np.full((n, 1), 10), digits[:, ::-1]], axis=1)  # (n, 9)
    targets = text[:, 1:].copy()
    targets[:, :4] = -100  # nobody can guess the question
    return text[:, :-1], targets  # (n, 8) each


def new_model():
    return GPT(GPTConfig(11, 8, n_layer=2, n_head=2, n_embd=32), seed=0)


def learn(make, steps=90, plan=None):
    model, rng = new_model(), np.random.default_rng(0)
    optimizer, losses = make(model.parameters()), []
    for step in range(steps):
        if plan:
            optimizer.lr = plan(step)
        optimizer.zero_grad()
        _, loss = model(*game(rng))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model, optimizer


# %%
kinds = {
    "SGD": (sgd, (0.1, 0.3, 1.0)),
    "momentum": (lambda lr: lambda p: optim.SGD(p, lr, momentum=0.9), (0.03, 0.1, 0.3)),
    "Adam": (lambda lr: lambda p: optim.Adam(p, lr), (0.003, 0.01, 0.03)),
}
runs, best = {}, {}
for kind, (maker, rates) in kinds.items():
    found = {lr: learn(maker(lr))[0] for lr in rates}
    ends = {lr: np.mean(losses[-10:]) for lr, losses in found.items()}
    best[kind] = min(ends, key=ends.get)
    print(f"{kind:<9}", ",  ".join(f"lr {lr:<5g} {end:.3f}" for lr, end in ends.items()))
    losses = found[best[kind]]
    name = f"{kind}, lr {best[kind]:g}"
    runs[name] = {"train": {"steps": np.arange(len(losses)), "losses": losses}}
guess = {"guessing": np.log(10)}
LossCurve(runs, title="Each with the best of its rates", unit="nats", references=guess)

# %% [markdown]
# Why is a transformer such a valley? Look at the gradients of a model that has not learned yet: how large is an element of
# them, parameter by parameter? And the step that Adam makes of it?

# %%
_, model, _ = learn(lambda p: optim.SGD(p, 1e-9), steps=1)  # gradients, and weights as they were
before = {name: p.numpy().copy() for name, p in model.named_parameters()}
optim.Adam(model.parameters(), lr=0.01).step()


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


print(f"{'parameter':<24}{'gradient':>10}{'Adam step':>12}   root mean squares")
for name, p in model.named_parameters():
    if name.endswith("weight") and ".1." not in name:
        print(f"{name:<24}{rms(p.grad):>10.5f}{rms(p.numpy() - before[name]):>12.5f}")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The gradients differ by orders of magnitude. One learning rate for all of them is too much for some parameters or too little for
# others, as in the valley. Adam's first step is the learning rate for every single number, whatever its gradient.
# </details>
#
# ## Weight decay
#
# Of two models that explain the data equally well, prefer the one with smaller weights: in each step, every weight shrinks a
# little. There are two ways to do that. Adam adds `weight_decay · p` to the *gradient*; AdamW shrinks `p` *directly*.
#
# Two parameters, both 1 at first, whose gradients are pure noise: that of the second is a hundred times larger. Nothing is to be
# learned, so both should fade. **Predict:** do they, with both?

# %%
paths = {}
for kind in (optim.Adam, optim.AdamW):
    p, rng = mg.Tensor(np.ones(2), requires_grad=True), np.random.default_rng(0)
    optimizer = kind([p], lr=0.003, weight_decay=0.3)
    path = []
    for _ in range(1500):
        p.grad = rng.standard_normal(2) * np.array([0.1, 10.0])
        optimizer.step()
        path.append(p.numpy().copy())
    paths[kind.__name__] = np.array(path)  # (steps, 2)

_, axes = plt.subplots(1, 2, figsize=(7.6, 2.2), sharey=True)
for ax, (name, path) in zip(axes, paths.items()):
    ax.plot(path[::25], label=["small gradients", "large gradients"])
    ax.set(title=name, xlabel="step / 25")
    print(f"{name:<6} after 1500 steps: {path[-1].round(2)}")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# In Adam the decay goes through the division by $\sqrt v$ like any other gradient: where gradients are large, hardly anything is
# left of it. The `W` in AdamW, *decoupled* weight decay, treats all alike. GPTs are trained with AdamW, and only matrices and
# tables decay: a bias or the scale of a norm isn't better for being small.
# </details>
#
# ## The learning rate goes up, then down
#
# *Up:* Adam's first steps move *every* parameter by the whole learning rate, on the word of a single batch: `m / √v` is
# exactly ±1. Later, when gradients disagree from batch to batch, they partly cancel. **Predict:** how long is a typical
# step after some time, in learning rates?


# %%
def step_lengths(lr=0.003, steps=60):
    model, rng = new_model(), np.random.default_rng(0)
    optimizer, weight, lengths = optim.Adam(model.parameters(), lr), model.h[0].mlp.c_fc.weight, []
    for _ in range(steps):
        before = weight.numpy().copy()
        optimizer.zero_grad()
        model(*game(rng))[1].backward()
        optimizer.step()
        lengths.append(rms(weight.numpy() - before) / lr)
    return lengths


lengths = step_lengths()
for step in (1, 2, 5, 10, 30, 60):
    print(f"step {step:>2}: {lengths[step - 1]:.2f} learning rates")

# %% [markdown]
# So the first steps are the longest and the least well founded. *Warm-up* makes them short: the rate rises from almost 0 to its full
# value over some steps.
#
# *Down:* near the lowest point a step that is too long jumps over it, again and again, the more so as each batch says something
# slightly different. A rate that falls lets it settle. The usual shape is half a cosine:

# %%
_, axes = plt.subplots(1, 2, figsize=(7.6, 2.2))
steps = np.arange(1000)
cosine = [optim.cosine_warmup(s, 100, 1000, lr=3e-3, min_lr=3e-4) for s in steps]
noam = [optim.noam(s, 100, d_model=1000) for s in steps]  # of the first transformer
axes[0].plot(cosine, label="cosine_warmup")
axes[0].plot(noam, label="noam")
axes[0].set(title="learning rate", xlabel="step")
axes[0].legend(frameon=False, fontsize=8)
for name, falls in {"constant": False, "falling": True}.items():
    p, rng = mg.Tensor(np.array([3.0]), requires_grad=True), np.random.default_rng(0)
    optimizer, path = optim.SGD([p], lr=0.3), []
    for step in range(150):
        optimizer.lr = optim.cosine_warmup(step, 0, 150, 0.3, 0.0) if falls else 0.3
        p.grad = p.numpy() + rng.standard_normal(1)  # the slope of x²/2, and noise
        optimizer.step()
        path.append(p.item())
    axes[1].plot(path[::2], label=name, lw=1)
    print(f"{name:<9} rms of the last 20 points: {rms(path[-20:]):.3f}")
axes[1].set(title="x²/2, noisy gradients", xlabel="every other step")
axes[1].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# Both paths are down after a few steps. The one with the constant rate goes on dancing around the lowest point; how widely depends
# on the rate alone, more steps don't help. The other comes to rest. In a training the last, falling third of the schedule is
# often where the loss drops once more.
# </details>
#
# ## What next
#
# - **Try this:** `learn(lambda p: optim.AdamW(p, 0.03), plan=lambda s: optim.cosine_warmup(s, 30, 90, 0.03, 0.001))`, with and
#   without the warm-up. (Small models with norms before each part forgive much.)
# - In the valley, give Adam `betas=(0.0, 0.999)`: what is left of it? And `betas=(0.9, 0.0)`: the step is then the *sign* of what?
# - Exercise: `python -m minigpt.classroom start ex_adam`, Adam as an optimizer class of your own.
# - Next: [10 Training](10_training.ipynb), where all of this works together on real text.

# %% [markdown]
# ## In your own words
#
# 1. What limits the learning rate of SGD in a narrow valley, and who pays for it?
# 2. What does Adam divide by, and why does the unit of the loss not matter to it?
# 3. Why does the learning rate rise at first, and why does it fall in the end?
