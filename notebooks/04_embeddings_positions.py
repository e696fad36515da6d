# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Embeddings and positions: what a token is, and where it stands
#
# **Aim** See that an embedding is nothing but a table whose rows are looked up, that its gradient *adds up* where a token
# occurs twice, and that letters of a kind find each other by themselves. Then give tokens a place: by waves, or learned.
#
# **Time** 40 minutes
#
# **Prerequisites** [03 Softmax and cross entropy](03_softmax_cross_entropy.ipynb)

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
from minigpt.data import TokenData, python_prose
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer
from minigpt.viz import EmbeddingPCA, LossCurve, PositionCosine

# %% [markdown]
# ## A row for each token
#
# Token ids are names, not quantities: token 6 is not twice token 3. So nothing may be computed with an id. Instead each
# token gets a row of `C` numbers of its own, in a table `(V, C)`, and the id says which row.
#
# **Predict** the shape of `x`.

# %%
V, C = 6, 4
rng = np.random.default_rng(0)
table = Tensor(rng.standard_normal((V, C)).round(1), requires_grad=True, name="table")  # (V, C)
ids = np.array([[3, 1, 3], [0, 5, 3]])  # (B, T)
x = F.embedding(ids, table)  # (B, T, C)
print("ids", ids.shape, "into table", table.shape, "give x", x.shape)
print("all three places with id 3 are equal:", (x.numpy()[ids == 3] == table.numpy()[3]).all())

# %% [markdown]
# The same as a matrix product: write id 3 as a *one-hot* row `0 0 0 1 0 0`. Multiplied by the table, it takes out row 3.
#
# **Predict** the shape of `one_hot`.

# %%
one_hot = np.eye(V)[ids]  # (B, T, V)
print(one_hot[0])
print(one_hot.shape, "@", table.shape)
print("the same as looking up:", (one_hot @ table.numpy() == x.numpy()).all())

# %% [markdown]
# So an embedding *is* a linear layer without bias, whose input is one-hot. Only nobody computes it like that.
#
# **Predict:** GPT-2 has `V = 50257` and `C = 768`. How many multiplications would one token cost, and how many of them are
# by something else than 0?

# %%
print(f"one-hot: {50257 * 768:,} multiplications for a token, {768} of them by 1, all others by 0")
print(f"looked up: none; {768} numbers are copied")

# %% [markdown]
# ## Backward: gradients add up
#
# Token 3 occurs three times. A change of its row changes `x` in three places, so its gradient is the *sum* of the three
# ([02](02_backward.ipynb): used twice, gradients add up).
#
# **Predict** the table of gradients, if every number of `x` gets the gradient 1. Which rows are 0?

# %%
x.backward(np.ones(x.shape))
print(table.grad)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Row 3 has 3, rows 0, 1 and 5 have 1, and rows 2 and 4 have 0: those tokens were not there. In one step a model learns only
# about tokens that it has seen in this step. Rare tokens learn rarely.
# </details>
#
# Here is the mistake that nearly everybody makes once. To add the gradients to their rows in NumPy one writes
# `grad[ids] += dy`. **Predict** row 3.

# %%
dy = np.ones((2, 3, C))
wrong, right = np.zeros((V, C)), np.zeros((V, C))
wrong[ids] += dy
np.add.at(right, ids, dy)
print("grad[ids] += dy   row 3:", wrong[3])
print("np.add.at         row 3:", right[3])

# %% [markdown]
# `grad[ids] += dy` reads all rows, adds, and writes all rows back: of three results for row 3 the last one stays. No error,
# and the model learns, only worst about the tokens that are most frequent. `mg.gradcheck` finds it:


# %%
class WrongEmbedding(mg.Op):
    @staticmethod
    def forward(ctx, table):
        ctx.shape = table.shape
        return table[ids]

    @staticmethod
    def backward(ctx, dy):
        grad = np.zeros(ctx.shape)
        grad[ids] += dy
        return grad


print("right:", mg.gradcheck(lambda table: F.embedding(ids, table), [table]))
try:
    mg.gradcheck(WrongEmbedding.apply, [table])
except mg.GradcheckError as error:
    print("wrong:", error)

# %% [markdown]
# ## Rows that are alike
#
# At first all rows are random. Let us learn them: from one letter, predict the next. It is the table of the last notebook,
# but each letter has to go through 16 numbers.

# %%
kept = (c if "a" <= c <= "z" else " " for c in python_prose().lower())
text = " ".join("".join(kept).split())  # small letters and single spaces
letters = sorted(set(text))
token_ids = np.array([letters.index(c) for c in text])
print(f"{len(text):,} letters; {text[:58]} …")


class NextLetter(nn.Module):
    def __init__(self):
        self.embedding = nn.Embedding(len(letters), 16, rng=0)
        self.out = nn.Linear(16, len(letters), rng=1)

    def forward(self, ids):  # (N,)
        return self.out(self.embedding(ids))  # (N, V)


# %%
model = NextLetter()
before = model.embedding.weight.numpy().copy()  # (V, 16)
optimizer = optim.Adam(model.parameters(), lr=0.01)
rng = np.random.default_rng(0)
for step in range(301):
    at = rng.integers(0, len(token_ids) - 1, 512)
    model.zero_grad()
    loss = F.cross_entropy(model(token_ids[at]), token_ids[at + 1])
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:>3}: loss {loss.item():.2f}")
after = model.embedding.weight.numpy()

# %% [markdown]
# Sixteen numbers cannot be drawn. *Principal components* are the two directions in which the rows differ most; the picture
# shows these, and says how much it does not show.
#
# **Predict:** which letters will be near to each other? Nobody has told the model what a vowel is.

# %%
kinds = {**dict.fromkeys("aeiou", "vowel"), " ": "space"}
groups = [kinds.get(c, "consonant") for c in letters]
EmbeddingPCA(before, letters, groups, title="Before training: chance")

# %% tags=["picture"]
EmbeddingPCA(after, letters, groups, title="After training: vowels apart from consonants")

# %% [markdown]
# <details><summary>Why?</summary>
#
# After a vowel there mostly comes a consonant, after many consonants a vowel. Letters that are followed by similar letters
# need similar logits, and get similar rows. "Alike" means: *may be replaced by one another in what comes next*. With words
# in place of letters it is the same: Monday is found beside Tuesday.
# </details>
#
# In numbers: the *cosine* of two rows is 1 for the same direction and 0 for a right angle.

# %%
centred = after - after.mean(axis=0)
unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
cosine = unit @ unit.T  # (V, V)
for letter in "aeot":
    row = cosine[letters.index(letter)]
    nearest = [f"{letters[j]} {row[j]:.2f}" for j in np.argsort(-row)[1:5]]
    print(f"nearest to {letter}: {',  '.join(nearest)}")

# %% [markdown]
# ## Where does it stand?
#
# **Predict:** a model adds up the rows of all its tokens. Can it tell "dog bites man" from "man bites dog"?

# %%
words = nn.Embedding(3, 4, rng=0)
dog, bites, man = 0, 1, 2
one = words(np.array([dog, bites, man])).sum(axis=0).numpy()
other = words(np.array([man, bites, dog])).sum(axis=0).numpy()
print("the same:", np.allclose(one, other))

# %% [markdown]
# No. And attention, the subject of the [next notebook](05_attention.ipynb), is such a sum, with weights. So where a token
# stands has to be written *into its vector*. GPT-2 adds a second row, from a table of positions:
#
# $$x_t = \text{wte}[\text{id}_t] + \text{wpe}[t]$$
#
# **Predict** the shapes, and what broadcasting does. Is `x` of token 3 the same at both places now?

# %%
B, T, C = 2, 3, 4
wte, wpe = nn.Embedding(6, C, rng=0), nn.LearnedPositions(8, C, rng=1)
x = wte(ids) + wpe(np.arange(T))  # (B, T, C) + (T, C)
print(wte(ids).shape, "+", wpe(np.arange(T)).shape, "->", x.shape)
print("id 3 at place 0 and at place 2 the same:", np.allclose(x.numpy()[0, 0], x.numpy()[0, 2]))

# %% [markdown]
# `wpe` is looked up by *place*, `np.arange(T)`, never by token id. `wpe(ids)` would fit, and would say nothing new.
#
# ## Does it matter? Take it away
#
# The game of [00](00_start_here.ipynb): a word, `>`, the word backwards. Once as it was, once with position 0 for all
# tokens. **Predict** both losses. (Guessing among 26 letters is $\ln 26$; knowing the five letters but not their order is
# about $\ln 5$.)


# %%
class Backwards:
    def __init__(self, positions):
        self.positions = positions

    def batch(self, rng, n):
        words = rng.integers(0, 26, (n, 5))
        rows = np.concatenate([words, np.full((n, 1), 26), words[:, ::-1]], axis=1)  # (n, 11)
        read, next_id = rows[:, :-1], rows[:, 1:].copy()  # (n, 10) each
        next_id[:, :5] = -100  # letters of the question do not count
        return {"ids": read, "targets": next_id, "positions": self.positions}


recipe = TrainConfig(steps=120, batch_size=32, lr=5e-3, warmup=20, workers=1, progress=False)
runs = {}
for name, positions in {"with positions": np.arange(10), "without": np.zeros(10, int)}.items():
    model = GPT(GPTConfig(vocab_size=27, block_size=11, n_layer=1, n_head=2, n_embd=64), seed=0)
    loss = Trainer(model, Backwards(np.tile(positions, (32, 1))), recipe).fit()["loss"]
    runs[name] = {"train": {"steps": range(1, 121), "losses": loss}}
guesses = {"ln 26": np.log(26), "ln 5": np.log(5)}
LossCurve(runs, unit="nats/letter", references=guesses)

# %% [markdown]
# ## Waves: positions that nobody has to learn
#
# How to write a place into 32 numbers? As on a clock: the second hand turns fast, the minute hand slowly, the hour hand
# more slowly yet. Together they say the time. Each pair of channels is one hand, a sine and a cosine, and each hand is
# slower than the one before:
#
# $$\text{pe}[t, 2i] = \sin\!\left(t / 10000^{2i/C}\right) \qquad \text{pe}[t, 2i+1] = \cos\!\left(t / 10000^{2i/C}\right)$$

# %%
pe = nn.sinusoids(64, 32)  # (T, C)
_, axes = plt.subplots(1, 2, figsize=(9, 3))
axes[0].imshow(pe.T, aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
axes[0].set(xlabel="position", ylabel="channel", title="nn.sinusoids(64, 32)")
for channel in (0, 4, 8, 16):
    axes[1].plot(pe[:, channel], label=f"channel {channel}")
axes[1].set(xlabel="position", title="four of the channels")
axes[1].legend(loc="upper right", fontsize=8)
plt.show()

# %% [markdown]
# How alike are two places? **Predict:** what does the map look like, along the diagonal and away from it?

# %%
PositionCosine(nn.sinusoids(32, 32), title="Sinusoidal positions: how alike are two places?")

# %% [markdown]
# <details><summary>What to see</summary>
#
# Stripes: the cosine depends only on the *distance*, not on where you are. Near places are alike.
# </details>
#
# Why stripes: to go `k` places on is to turn every hand by an angle that does not depend on `t`. A turn is a matrix
# product, which a model can learn as "look three places back". Let us find the matrix for `k = 3` from the first half of
# the places, and try it on the second half, which it has not seen.

# %%
k = 3
shift = np.linalg.lstsq(pe[:29], pe[k : 29 + k], rcond=None)[0]  # (C, C)
error = abs(pe[32:-k] @ shift - pe[32 + k :]).max()
print(f"places that were not used to find the matrix: largest error {error:.0e}")

# %% [markdown]
# ## Learned positions
#
# GPT-2 lets training find the rows of `wpe`. At first they are random. **Predict** what the map of cosines looks like before
# the training, and after a short training on text.

# %%
model = GPT(GPTConfig(len(letters), block_size=32, n_layer=2, n_head=2, n_embd=32), seed=0)
PositionCosine(model.wpe.weight.numpy(), title="Learned positions, before training")

# %%
recipe = TrainConfig(steps=400, batch_size=32, lr=3e-3, warmup=50, workers=1, progress=False)
loss = Trainer(model, TokenData(token_ids), recipe).fit()["loss"]
print(f"loss {loss[0]:.2f} -> {np.mean(loss[-20:]):.2f}")
PositionCosine(model.wpe.weight.numpy(), title="Learned positions, after training")

# %% [markdown]
# <details><summary>What to see</summary>
#
# Neighbours have become alike, as with the waves, and early places differ from late ones. Nobody asked for it. It is a
# coarse map after so short a training: at the start it matters most whether there is much text before a token or little.
# And look at the last place: nobody stands after it, so no other token ever looks at it.
# </details>
#
# What learned positions cannot do: stand where nobody ever stood. There is no row for it. **Predict** what happens to a
# text of 33 tokens. And to waves?

# %%
try:
    model(token_ids[None, :33])
except mg.ShapeError as error:
    print("GPT:", error)
print("waves:", nn.sinusoids(33, 32)[32, :4].round(2), "…")

# %% [markdown]
# Waves go on forever; whether a model that was trained on 32 places makes sense of place 33 is another question.
#
# ## Try this
#
# - Give the next-letter model 2 channels in place of 16. What does the picture of components look like, and what is the loss?
# - `table.grad` with `ids = np.zeros((4, 5), int)`: predict it.
# - `PositionCosine(nn.sinusoids(200, 32))`: how far away are places that are alike again?
# - In "take it away" give each letter of the answer the position of the letter that it should copy:
#   `np.array([0, 1, 2, 3, 4, 4, 3, 2, 1, 0])`. Is the game easier or harder than with `np.arange(10)`?
# - Write it yourself, with checks: `python -m minigpt.classroom start ex_embedding_backward`
#
# The output of a GPT uses the same table once more: the logits are the products of the last vector with every row of `wte`
# (`start ex_weight_tying`; see [08 GPT](08_gpt.ipynb)).

# %% [markdown]
# ## In your own words
#
# 1. Why is an embedding a linear layer, and why is it not computed as one?
# 2. What goes wrong with `grad[ids] += dy`, for which tokens, and why does nothing complain?
# 3. What do sinusoidal and learned positions have in common, and what can only one of them do?
