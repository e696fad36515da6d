# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # From formula to code: eight mistakes that run
#
# **Aim** Explanations of GPT are copied from page to page, and so are their mistakes. None of the eight below raises an
# error; most even learn something. See each one fail *by a measurement*, mend it, and take away a habit: before you
# believe a piece of code, yours or a web page's, ask what must hold if it is right, and measure that.
#
# **Time** 60 minutes
#
# **Prerequisites** [08 GPT](08_gpt.ipynb); for two of the mistakes also [15 Encoder and decoder](15_encoder_decoder.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import matplotlib.pyplot as plt
import numpy as np

from minigpt import Tensor, nn
from minigpt import functional as F
from minigpt.inspect import capture
from minigpt.models import GPT, EncoderConfig, EncoderDecoder, GPTConfig, MaskedLM
from minigpt.training import TrainConfig, Trainer
from minigpt.viz import AttentionGrid, LossCurve, PositionCosine

# %% [markdown]
# ## The patient and the instruments
#
# A GPT small enough for all experiments. Its weights are drawn larger than those of a new model, so that attention is
# sharp and every mistake has something to spoil. `patient()` gives the same model each time; below we replace one part
# of it by a wrong one, and compare.

# %%
V, T = 12, 8
config = GPTConfig(vocab_size=V, block_size=T, n_layer=2, n_head=2, n_embd=24)


def patient(config=config):
    model = GPT(config, seed=0)
    rng = np.random.default_rng(1)
    for _, p in model.named_parameters():
        if p.ndim == 2:
            p.data[...] = 0.4 * rng.standard_normal(p.shape)
    return model


right = patient()
text = np.random.default_rng(2).integers(0, V, (3, T + 1))
ids, targets = text[:, :-1], text[:, 1:]  # (B, T) each
print("ids", ids.shape, "targets", targets.shape)

# %% [markdown]
# Three instruments come with the library ([docs/debugging.md](../docs/debugging.md) has more):
#
# - `mg.debug.check_model` knows what every causal language model must do, whatever is inside it
# - `mg.debug.diff_runs` runs two models side by side and names the first place where they part
# - `mg.gradcheck` compares a gradient with finite differences
#
# **Predict:** what must hold for a causal language model? Think of two things before you run the cell.

# %%
print(mg.debug.check_model(right, ids, targets))
print()
print(mg.debug.diff_runs(right, patient(), ids, targets))

# %% [markdown]
# A fourth is worth building by hand: *which token has influence on which*? Put another token at place `s`, and see at
# which places `t` the logits change. That takes no knowledge of what is inside. `T` runs give a map of `(T, T)`.


# %%
def influence(model, ids=ids[:1]):
    """(T, T): how far the logits at t move when the token at s is another one."""
    moved = np.zeros((T, T))
    before = model(ids)[0].numpy()  # (1, T, V)
    for s in range(T):
        other = ids.copy()
        other[:, s] = (ids[:, s] + 1) % V
        moved[:, s] = abs(model(other)[0].numpy() - before).max(axis=(0, 2))  # (T,)
    return moved


def show(**models):
    _, axes = plt.subplots(1, len(models), figsize=(3 * len(models), 3), squeeze=False)
    for ax, (name, model) in zip(axes[0], models.items()):
        ax.imshow(influence(model) > 1e-5, cmap="Greens", vmin=0, vmax=1.3)
        ax.set_title(name.replace("_", " "), fontsize=10)
        ax.set_xlabel("token changed")
    axes[0, 0].set_ylabel("logits that move")
    plt.show()


show(a_causal_model=right)

# %% [markdown]
# <details><summary>How to read it</summary>
#
# Row $t$: what the prediction at $t$ depends on. All tokens up to $t$ have influence and none after it: a full triangle.
# A hole in the triangle means that something cannot be seen that should be; green above the diagonal means cheating.
# </details>
#
# ## 1. Layer norm without the mean
#
# The formula has two parts, and in many a listing the first one has got lost:
#
# $$y = \frac{x - \text{mean}(x)}{\sqrt{\text{var}(x) + \varepsilon}}\, w + b$$


# %%
class NormWithoutMean(nn.Module):
    def __init__(self, theirs):
        self.weight, self.bias, self.eps = theirs.weight, theirs.bias, theirs.eps

    def forward(self, x):
        var = x.var(axis=-1, keepdims=True)  # (..., 1)
        return x / (var + self.eps).sqrt() * self.weight + self.bias


x = Tensor(np.random.default_rng(0).standard_normal((100, 768)))
theirs, mine = nn.LayerNorm(768), NormWithoutMean(nn.LayerNorm(768))
apart = abs(theirs(x).numpy() - mine(x).numpy()).mean()
print(f"on x of mean 0 and variance 1 they differ by {apart:.3f} in the mean")

# %% [markdown]
# The rows of `x` come from a normal distribution, so each row's mean is small, and the two hardly differ: a test on such
# numbers tells you little. **Predict:** what must *not* change if the same number is added to all channels of a token?

# %%
for shift in [0.0, 1.0, 10.0]:
    for name, norm in {"library": theirs, "without the mean": mine}.items():
        y = norm(x + shift).numpy()
        size = (y**2).mean() ** 0.5
        print(f"x + {shift:<5}{name:<17} mean {abs(y.mean()):7.4f}, size {size:6.3f}")

# %% [markdown]
# Layer norm promises mean 0 and variance 1 over the channels whatever comes in. Without the mean the promise is broken as
# soon as the residual stream drifts, and the output grows with the drift. In the model `diff_runs` finds it at once:

# %%
wrong = patient()
wrong.h[0].ln_1 = NormWithoutMean(wrong.h[0].ln_1)
print(mg.debug.diff_runs(right, wrong, ids, targets, by="module").first)

# %% [markdown]
# Mended:


# %%
class NormMended(NormWithoutMean):
    def forward(self, x):
        return super().forward(x - x.mean(axis=-1, keepdims=True))


mended = patient()
mended.h[0].ln_1 = NormMended(mended.h[0].ln_1)
print(mg.debug.diff_runs(right, mended, ids, targets, by="module"))

# %% [markdown]
# <details><summary>But is there not a norm without the mean?</summary>
#
# There is, and it works well: *RMSNorm* (Zhang & Sennrich 2019), $x / \sqrt{\text{mean}(x^2) + \varepsilon}$. It leaves out
# the mean in *both* places: the variance becomes the mean square. The wrong code above mixes the two. Try it: replace
# `x.var(axis=-1, keepdims=True)` by `(x * x).mean(axis=-1, keepdims=True)` and look at the column "size".
# </details>
#
# The backward pass has the same trap. Someone writes the op by hand and treats mean and variance as constants:


# %%
class NormConstantStatistics(mg.Op):
    @staticmethod
    def forward(ctx, x):
        off = x - x.mean(-1, keepdims=True)
        std = np.sqrt((off**2).mean(-1, keepdims=True) + 1e-5)  # (..., 1)
        ctx.save(std)
        return off / std

    @staticmethod
    def backward(ctx, dy):
        (std,) = ctx.saved
        return (dy / std,)  # as if mean and std did not depend on x


small = np.random.default_rng(0).standard_normal((2, 4))
try:
    mg.gradcheck(NormConstantStatistics.apply, [small])
except mg.GradcheckError as error:
    print(error)

# %% [markdown]
# The loss may fall all the same, so it will not tell you. Never trust a hand-written backward that has not been through
# `gradcheck`. Mended it has two terms more, one for the mean and one for the deviation
# ([07 Layer norm](07_layernorm_residual.ipynb) derives them):


# %%
class NormGradientMended(NormConstantStatistics):
    @staticmethod
    def forward(ctx, x):
        y = NormConstantStatistics.forward(ctx, x)
        ctx.save(*ctx.saved, y)
        return y

    @staticmethod
    def backward(ctx, dy):
        std, y = ctx.saved
        through_mean, through_std = dy.mean(-1, keepdims=True), (dy * y).mean(-1, keepdims=True)
        return ((dy - through_mean - y * through_std) / std,)


print(mg.gradcheck(NormGradientMended.apply, [small]))

# %% [markdown]
# And when *not* to believe an instrument: $\text{relu}(x) = \max(x, 0)$ has a corner at 0. **Predict:** what does gradcheck
# say at the corner, and who is right?

# %%
for x in ([-1.0, 0.0, 2.0], [-1.0, 0.5, 2.0]):
    try:
        print(x, mg.gradcheck(F.relu, [np.array(x)]))
    except mg.GradcheckError as error:
        print(x, error)

# %% [markdown]
# <details><summary>Who is right?</summary>
#
# Both. At a corner there is no slope: the finite difference averages the two sides, backward takes one of them (0, as
# all libraries do). Check functions with corners at other points.
# </details>
#
#
# ## 2. Positional encodings with the wrong exponent
#
# Channels $2i$ and $2i+1$ share one wavelength, one has the sine and one the cosine:
#
# $$p_{t,2i} = \sin\left(t / 10000^{2i/d}\right) \qquad p_{t,2i+1} = \cos\left(t / 10000^{2i/d}\right)$$
#
# The loop below is found in very many tutorials. Its `i` already runs in steps of two. **Find the two mistakes** before
# you open the fold.


# %%
def waves_from_a_tutorial(n, d):
    pe = np.zeros((n, d))
    for t in range(n):
        for i in range(0, d, 2):
            pe[t, i] = np.sin(t / 10000 ** ((2 * i) / d))
            pe[t, i + 1] = np.cos(t / 10000 ** ((2 * (i + 1)) / d))
    return pe


n, d = 64, 32
good, bad = nn.sinusoids(n, d), waves_from_a_tutorial(n, d)
print("shapes", good.shape, bad.shape, "  first rows equal:", np.allclose(good[0], bad[0]))

# %% [markdown]
# <details><summary>The two mistakes</summary>
#
# `2 * i` doubles what is doubled already: exponents run from 0 to nearly 2, wavelengths up to $10000^2$ in place of
# $10000$. And `i + 1` in the cosine gives each cosine a wavelength of its own, so that sine and cosine are no pair any
# more. The first row is no help: at $t = 0$ every wavelength gives 0 and 1.
# </details>
#
# What must hold? A pair is a point on a circle, $\sin^2 + \cos^2 = 1$. And the reason to take waves at all: "k places
# on" is *one matrix* for all places. Whether there is such a matrix, least squares can tell.

# %%
k = 3
for name, pe in {"right": good, "tutorial": bad}.items():
    radius = pe[:, 0::2] ** 2 + pe[:, 1::2] ** 2  # (n, d / 2)
    shift, *_ = np.linalg.lstsq(pe[:-k], pe[k:], rcond=None)  # (d, d), the best matrix for "3 on"
    error = abs(pe[:-k] @ shift - pe[k:]).max()
    still = (abs(pe - pe[0]).max(axis=0) < 0.01).sum()
    print(f"{name:<9} sin²+cos² from {radius.min():.2f} to {radius.max():.2f}; ", end="")
    print(f"shift by {k}: error {error:.0e}; {still} of {d} channels stand still")

# %% [markdown]
# Twice the exponent means that many of the channels hardly move within the whole text: they carry nothing. And in the
# picture?

# %%
PositionCosine(good, title="Right: how alike two places are depends on their distance only")

# %%
PositionCosine(bad, title="Tutorial: the same distance looks different from place to place")

# %% [markdown]
# The stripes along the diagonals are gone, and places far apart may look like neighbours. But all rows are still
# different, so a model can tell places apart, and nobody notices: that is why the loop has lived so long.
#
# Mended: in steps of two, `i` *is* the $2i$ of the formula, and the cosine has the exponent of its sine.


# %%
def waves(n, d):
    pe = np.zeros((n, d))
    for t in range(n):
        for i in range(0, d, 2):
            pe[t, i] = np.sin(t / 10000 ** (i / d))
            pe[t, i + 1] = np.cos(t / 10000 ** (i / d))
    return pe


print("equal to nn.sinusoids:", np.allclose(waves(n, d), good))

# %% [markdown]
#
# ## 3. Heads that are cut across the wrong axis
#
# `(B, T, C)` must become `(B, H, T, D)`. Reshape does that in one step, and the shape is right:

# %%
x = np.arange(4).repeat(2).reshape(1, 4, 2)  # (B, T, C): each channel holds its token's number
one_step = x.reshape(1, 2, 4, 1)  # (B, H, T, D)
two_steps = x.reshape(1, 4, 2, 1).swapaxes(1, 2)  # (B, T, H, D) -> (B, H, T, D)
print("tokens in head 0, one step: ", one_step[0, 0, :, 0], "  two steps:", two_steps[0, 0, :, 0])
print("tokens in head 1, one step: ", one_step[0, 1, :, 0], "  two steps:", two_steps[0, 1, :, 0])

# %% [markdown]
# Reshape never moves a number, it only sets new fences. In one step each head gets all channels of *some tokens*, where it
# should get some channels of *all tokens*. Here is attention in plain steps, with a switch for this mistake and for the
# next one. (`F.label` gives intermediate results a name that `diff_runs` can compare.)


# %%
class MyAttention(nn.Module):
    def __init__(self, theirs, one_step, axis):
        self.c_attn, self.c_proj, self.n_head = theirs.c_attn, theirs.c_proj, theirs.n_head
        self.one_step, self.axis = one_step, axis

    def split(self, x):
        B, T, C = x.shape
        if self.one_step:
            return x.reshape(B, self.n_head, T, C // self.n_head)  # right shape, wrong numbers
        return x.reshape(B, T, self.n_head, C // self.n_head).swapaxes(1, 2)  # (B, H, T, D)

    def forward(self, x, mask=None, cache=None, residual=None):
        B, T, C = x.shape
        qkv = self.c_attn(x)  # (B, T, 3C)
        q, k, v = (self.split(qkv[..., i * C : (i + 1) * C]) for i in range(3))  # (B, H, T, D)
        scores = F.label(q, "q") @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5  # (B, H, T, T)
        scores = F.where(np.tri(T, dtype=bool), scores, -np.inf)
        weights = F.label(F.softmax(scores, axis=self.axis), "weights")  # (B, H, T, T)
        y = weights @ v  # (B, H, T, D)
        y = y.reshape(B, T, C) if self.one_step else y.swapaxes(1, 2).reshape(B, T, C)
        return self.c_proj(y, residual)


# %%
def with_attention(one_step=False, axis=-1):
    model = patient()
    for block in model.h:
        block.attn = MyAttention(block.attn, one_step, axis)
    return model


print(mg.debug.diff_runs(right, with_attention(), ids, targets, by="module"))

# %% [markdown]
# Without a switch the plain steps are the library's attention: first make sure that the comparison itself is sound.
# Now the mistake. **Predict:** $T = 8$ tokens, two heads cut the wrong way. What can the last token see? Does the model
# still look causal?

# %% tags=["picture"]
mixed = with_attention(one_step=True)
print(mg.debug.check_model(mixed, ids, targets, new_cache=False))
show(right=right, heads_cut_in_one_step=mixed)

# %% [markdown]
# <details><summary>What to see</summary>
#
# The triangle has fallen into two. The first head has got the first half of the text, the second the second half, and
# no token of the second half ever sees one of the first, however many layers there are. Nothing looks ahead, so the loss
# will not be suspiciously good; it will only never become as good as it should. `check_model` finds it since it asks
# whether the last place depends on the first token *at all*.
# </details>
#
# And where does it begin? `diff_runs` names the queries, `q`, of the first block: what went in was still right.

# %%
print(mg.debug.diff_runs(right, mixed, ids, targets, by="module"))

# %% [markdown]
# ## 4. Softmax over the wrong axis
#
# `F.softmax(scores, axis=-2)`, or in another library a forgotten `dim`. Each *column* now adds up to 1: all queries
# share one key, where one query should share itself out over all keys. **Predict:** the mask is still applied, before
# the softmax, as it should be. Can a token see the future now?

# %%
columns = with_attention(axis=-2)
seen = {}
for name, model in {"right": with_attention(), "wrong axis": columns}.items():
    with capture(model) as acts:
        model(ids)
    seen[name] = acts["h.0.attn.weights"][0]  # (H, T, T) of the first text
    print(f"{name:<11} rows add up to    ", seen[name][0].sum(axis=-1).round(2) + 0.0)
    print(f"{name:<11} columns add up to ", seen[name][0].sum(axis=-2).round(2) + 0.0)
tokens = [str(i) for i in ids[0]]
AttentionGrid(seen["right"][None], tokens, title="The right axis: rows add up to 1")

# %% [markdown]
# The view of the wrong weights? It refuses to draw them, since weights whose rows do not add up to 1 are no attention:

# %%
try:
    AttentionGrid(seen["wrong axis"][None], tokens)
except mg.ArgumentError as error:
    print(error)

# %%
print(mg.debug.check_model(columns, ids, targets, new_cache=False))
show(right=right, softmax_down_the_columns=columns)

# %% [markdown]
# <details><summary>How does the future get in, past the mask?</summary>
#
# Through the denominator. The weight with which token 2 reads token 0 is divided by a sum over *all queries* that read
# token 0, also those of tokens 3, 4, 5 …, which come later. The values that a token reads are all from the past, but
# *how much* it reads is decided by the future. In training that leaks information; in generation, token by token, the
# sums are others, and the model meets weights that it has never seen.
# </details>
#
# ## 5. The position looked up by the token's id
#
# `wte(ids) + wpe(ids)`: one word too few, and the line looks symmetrical and pretty. It should be `wpe(np.arange(T))`.
# **Predict:** what does the model know then about where a token stands?


# %%
class PositionById(GPT):
    def hidden(self, ids, cache=None, mask=None, positions=None):
        return super().hidden(ids, cache, mask, positions=np.asarray(ids))


one_layer = GPTConfig(vocab_size=V, block_size=V, n_layer=1, n_head=2, n_embd=16)
sound, by_id = patient(one_layer), PositionById(one_layer, seed=0)
by_id.load_state_dict(sound.state_dict())

ids_1 = np.array([[3, 1, 4, 7, 5]])
ids_2 = np.array([[4, 3, 7, 1, 5]])  # the same tokens before the last, in another order
for name, model in {"right": sound, "by id": by_id}.items():
    a, b = (model(i)[0].numpy()[0, -1] for i in (ids_1, ids_2))  # logits of the last place
    print(f"{name:<6} another order moves the last logits by {abs(a - b).max():.6f}")

# %% [markdown]
# A bag of words: the order of what was read makes no difference (but for rounding). Both tables are looked up by the
# same number, so that they are one table, the sum. With more layers the causal mask alone says a little about order,
# so such a model may even learn something.
#
# Does `check_model` notice?

# %%
print(mg.debug.check_model(by_id, ids, new_cache=False))
print()
print(mg.debug.diff_runs(sound, by_id, ids, targets, by="module").first)

# %% [markdown]
# It does not: all that *every* causal model must do, this one does. Being sensitive to order is what *we* want from it,
# and a check for that is one we have to write. `diff_runs`, which has a right model beside it, finds it at once.
#
# In a real model it announces itself in another way, for there are more tokens than places:

# %%
usual = PositionById(GPTConfig(vocab_size=65, block_size=16, n_layer=1, n_head=2, n_embd=16))
try:
    usual(np.array([[5, 20, 64]]))
except mg.MiniGPTError as error:
    print(error)

# %% [markdown]
# (The "cure" that some pages give, a position table as large as the vocabulary, silences the message and keeps the
# mistake.)
#
# ## 6. The decoder is shown its own target
#
# An encoder–decoder learns to reverse words of five letters. In training the decoder reads the target *so far*, and is to
# say the next token. So its input is the target moved by one place, with `<start>` in front. Forget to move it, and at
# each place it reads the very token that it is asked for.

# %%
START, END, letters = 0, 1, 10
sizes = dict(vocab_size=letters + 2, block_size=6, n_layer=1, n_head=2, n_embd=32)
rng = np.random.default_rng(0)
words = rng.integers(2, letters + 2, (3000, 5))


class Reversing:
    def __init__(self, moved):
        self.moved = moved

    def batch(self, rng, n):
        src = words[rng.integers(0, len(words), n)]  # (n, 5)
        target = np.pad(src[:, ::-1], ((0, 0), (0, 1)), constant_values=END)  # (n, 6)
        before = np.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=START)  # (n, 6)
        return {"src": src, "tgt": before if self.moved else target, "targets": target}


# %% [markdown]
# **Predict:** which of the two will have the lower loss? Which will get more words right?

# %%
recipe = TrainConfig(steps=200, batch_size=32, lr=5e-3, warmup=20, workers=1, progress=False)
runs, new_words = {}, rng.integers(2, letters + 2, (200, 5))
for name, moved in {"moved by one": True, "shown its target": False}.items():
    model = EncoderDecoder(EncoderDecoder.config_class(**sizes, start_id=START, end_id=END), seed=0)
    losses = Trainer(model, Reversing(moved), recipe).fit()["loss"]
    runs[name] = {"train": {"steps": range(1, len(losses) + 1), "losses": losses}}
    answers = model.generate(new_words)[:, :5]  # (200, 5)
    share = (answers == new_words[:, ::-1]).all(axis=1).mean()
    print(f"{name:<17} last loss {losses[-1]:.4f}, {share:.0%} of new words right")

# %%
LossCurve(runs, unit="nats/token")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The wrong one has by far the better curve. It copies what it is shown, for which it does not need the source at all, and
# hardly any learning: the head is tied to the token table, so that a token's own logit is large from the start. But in
# generation nobody shows it the answer. *A loss that is too good is a symptom*, like one that is too bad.
# </details>
#
# One line looks at a batch before any training. It compares the decoder's input with its targets:

# %%
for moved in (True, False):
    batch = Reversing(moved).batch(np.random.default_rng(0), 4)
    print(mg.debug.check_batch(batch["tgt"], batch["targets"]))

# %% [markdown]
# ## 7. "GPT is a masked auto-encoder"
#
# It is not, though two things are called *mask*. A masked language model (BERT) *replaces tokens* by a blank, looks to
# both sides, and fills the blanks. GPT replaces nothing; its mask is one *in the attention*, which hides what comes later,
# and its target is the next token at every place. In this library the two have exactly the same parameters:

# %%
gpt = patient()
masked = MaskedLM(EncoderConfig(**config.to_dict()), seed=0)
masked.load_state_dict({f"encoder.{name}": p for name, p in gpt.state_dict().items()})
print(f"parameters: {gpt.num_parameters():,} and {masked.num_parameters():,}")
show(GPT=gpt, the_same_weights_as_masked_LM=masked)

# %% [markdown]
# **Predict:** both are trained to say the *next* token of texts drawn at random, in which nothing can be known about the
# next token. What is the best loss that an honest model can have?


# %%
class RandomText:
    def batch(self, rng, n):
        text = rng.integers(0, V, (n, T + 1))
        return {"ids": text[:, :-1], "targets": text[:, 1:]}


causal, both_ways = GPT(config, seed=0), MaskedLM(EncoderConfig(**config.to_dict()), seed=0)
recipe = TrainConfig(steps=400, batch_size=16, lr=1e-2, warmup=20, workers=1, progress=False)
for name, model in {"causal (GPT)": causal, "looks both ways": both_ways}.items():
    losses = Trainer(model, RandomText(), recipe).fit()["loss"]
    print(f"{name:<16} loss {np.mean(losses[-50:]):.3f}")
print(f"guessing: log {V} = {np.log(V):.3f}; only the last place has to guess: {np.log(V) / T:.3f}")

# %% [markdown]
# <details><summary>What this says</summary>
#
# Nobody can predict random tokens: an honest model stays at $\log V$. The one that looks both ways goes below it, since
# the next token stands right there in its input, everywhere but at the last place. It is not a better language model; it
# is none. So: next-token targets need the causal mask, and a model without it needs blanks. Either is fine, and half of
# each is not.
# </details>
#
# Another difference that "masked" hides: how many tokens of a text teach something?

# %%
masking = mg.data.Masking(mask_id=V - 1, vocab_size=V)
_, blanks = masking.apply(0, np.random.default_rng(1).integers(0, V - 1, (200, 64)))
print(f"masked LM: {(blanks != -100).mean():.0%} of the places count;  GPT: all of them")
print(mg.debug.check_model(both_ways, ids, new_cache=False).problems[0][:150], "…")

# %% [markdown]
# ## 8. Parameter counts that are off by ten
#
# "A model with 6 layers of 384 channels, about 100 million parameters." Can that be? Count once, and you can check such
# sentences in your head. A block has four matrices:
#
# | matrix | shape | numbers |
# | --- | --- | --- |
# | `attn.c_attn`: q, k and v | `(C, 3C)` | $3C^2$ |
# | `attn.c_proj` | `(C, C)` | $C^2$ |
# | `mlp.c_fc` | `(C, 4C)` | $4C^2$ |
# | `mlp.c_proj` | `(4C, C)` | $4C^2$ |
#
# Together $12\,C^2$ a layer. To that come the tables, $(V + T)\,C$; biases and norms are small change. The number of heads
# is not in the formula: heads *share* the channels. **Predict**, in your head: 6 layers, $C = 384$?


# %%
def in_the_head(L, C):
    return 12 * L * C**2


configs = {
    "6 layers of 384": GPTConfig(vocab_size=65, block_size=256, n_layer=6, n_head=6, n_embd=384),
    "GPT-2": GPTConfig.named("gpt2"),
    "GPT-2 XL": GPTConfig.named("gpt2-xl"),
    "GPT-3": GPTConfig.named("gpt3-175b"),
}
print(" " * 16 + f"{'12 L C^2':>16}{'exact':>18}{'tables':>8}")
for name, c in configs.items():
    exact, tables = c.n_parameters(), (c.vocab_size + c.block_size) * c.n_embd
    print(f"{name:<16}{in_the_head(c.n_layer, c.n_embd) / 1e6:>14,.1f} M", end="")
    print(f"{exact / 1e6:>16,.1f} M{tables / exact:>8.0%}")

# %% [markdown]
# Ten million, not a hundred. `exact` is a formula as well; the model itself has the last word, as long as it is one that
# fits into memory. And here is what the usual slips make of GPT-2:

# %%
small = configs["6 layers of 384"]
print("the formula and the model agree:", small.n_parameters() == GPT(small).num_parameters())
c = configs["GPT-2"]
L, C, V2 = c.n_layer, c.n_embd, c.vocab_size
slips = {
    "as it is": c.n_parameters(),
    "head counted, though it is wte": c.n_parameters() + V2 * C,
    "each of 12 heads C wide": c.n_parameters() + 11 * 4 * C * C * L,
    "MLP without its factor 4": c.n_parameters() - 6 * C * C * L,
    "tables forgotten": c.n_parameters() - (V2 + c.block_size) * C,
}
for slip, n in slips.items():
    print(f"{slip:<32}{n / 1e6:8.1f} M  {n / c.n_parameters():5.2f} of it")

# %% [markdown]
# Where do the parameters of a model lie? `summary()` counts them module by module, and a number that surprises you there
# is worth a look:

# %%
print("\n".join(GPT(small).summary().splitlines()[:12]))

# %% [markdown]
# ## What found what
#
# | mistake | what must hold | who noticed |
# | --- | --- | --- |
# | layer norm without the mean | mean 0 whatever comes in | a shifted input; `diff_runs` |
# | its backward with constants | the slope of the forward | `gradcheck` |
# | wrong exponents | $\sin^2 + \cos^2 = 1$; a shift is one matrix | two lines of NumPy |
# | heads cut in one step | the last token can see the first | `check_model`, influence map |
# | softmax down the columns | rows add up to 1; no future | `check_model`, a sum |
# | position by token id | order matters | another order; `diff_runs` |
# | decoder shown its target | targets are one place on | `check_batch`; a loss too good to be true |
# | both ways and next token | random text costs $\log V$ | training on noise |
# | count off by ten | $12\,L\,C^2$ | arithmetic |
#
# No single instrument found them all; and none of the mistakes was found by looking at shapes.
#
# **Try this:**
#
# - Leave out only one of the two terms in `NormGradientMended.backward`. Does gradcheck see it?
# - Give `MyAttention` a third switch: the mask *after* the softmax. Which instrument finds it?
# - Train `right` and `with_attention(one_step=True)` on the game of [00](00_start_here.ipynb). How much does it cost?
# - Take a tutorial on GPT that you like, and put its layer norm, its positions and its attention in here.
#
# Exercises: `python -m minigpt.classroom start ex_layernorm_forward`, `ex_multi_head`, `ex_mask`.

# %% [markdown]
# ## In your own words
#
# 1. Why is "the shapes fit, and the loss falls" no proof that the code is right?
# 2. Which of the eight mistakes would show as a loss that is too *good*, and why is that worse than one that is too bad?
# 3. You copied a piece of code and have no right model to compare it with. What would you measure first?
