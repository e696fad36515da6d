# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Recurrent networks: one state to remember everything
#
# **Aim** See how language models remembered before attention: a state that is handed from token to token. Watch the gates
# of an LSTM open and close, measure how far a gradient reaches back, and understand from that why transformers won, and
# what they pay for it.
#
# **Time** 50 minutes
#
# **Prerequisites** [02 Backward](02_backward.ipynb), [05 Attention](05_attention.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import matplotlib.pyplot as plt
import numpy as np

from minigpt import inspect, nn, viz
from minigpt.bench.compare_gradient import gradient_through_time
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM
from minigpt.training import TrainConfig, Trainer

# %% [markdown]
# ## A state that is handed on
#
# A transformer keeps every token it has read and looks back at all of them. A recurrent network keeps *one vector*, the
# state $h$. Each token changes it a little, and then the token is gone:
#
# $$h_t = \tanh(W_{ih}\,x_t + b_{ih} + W_{hh}\,h_{t-1} + b_{hh})$$
#
# **Predict:** the text becomes ten times as long. What happens to the shape of the state?

# %%
rng = np.random.default_rng(0)
layer = nn.RNN(input_size=3, hidden_size=4, rng=0)
for T in (5, 50):
    x = mg.Tensor(rng.standard_normal((1, T, 3)).astype(np.float32))  # (B, T, C)
    y, state = layer(x)
    print(f"x {x.shape}: y {y.shape}, one h for each step; state {state.shape}, the last one")

# %% [markdown]
# The formula as a loop, and then compared with the layer:

# %%
w_ih, w_hh = layer.weight_ih_l0, layer.weight_hh_l0  # (hidden, input), (hidden, hidden)
h = mg.Tensor(np.zeros((1, 4), np.float32))
for t in range(T):
    h = (x[:, t] @ w_ih.T + layer.bias_ih_l0 + h @ w_hh.T + layer.bias_hh_l0).tanh()  # (B, hidden)
print("loop ", h.numpy().round(4))
print("layer", state.numpy()[0].round(4))

# %% [markdown]
# The state is all there is: a text can be cut anywhere, and reading goes on from the state. **Predict:** what does a GPT have
# to keep to go on from the middle of a text? (It is called the key–value cache, and it grows.)

# %%
whole, _ = layer(x)
_, half = layer(x[:, :20])
rest, _ = layer(x[:, 20:], half)
print("the same:", np.allclose(whole.numpy()[:, 20:], rest.numpy()))

# %% [markdown]
# ## How far back does blame reach?
#
# To learn that the end of a text depends on its beginning, the gradient must come back all the way
# ([02](02_backward.ipynb)). In each step it is multiplied by the same $W_{hh}^T$, and by the slope of the $\tanh$, which is
# at most 1. **Predict:** what happens to a number that is multiplied fifty times by `0.8`? By `1.2`?

# %%
print(f"0.8 ** 50 = {0.8**50:.1e}     1.2 ** 50 = {1.2**50:.1e}")

# %% [markdown]
# So we measure. A game for all models of this notebook: a letter `A` to `D`, then noise, then a question mark. The answer
# is the first letter, however much noise came in between.


# %%
class FirstLetter:
    """Rows: one of A-D, k letters of noise, and ?; only the answer after the ? counts."""

    names = "ABCDefghijkl?"

    def __init__(self, longest):
        self.longest = longest

    def rows(self, rng, n, k):
        first, noise = rng.integers(0, 4, (n, 1)), rng.integers(4, 12, (n, k))
        ids = np.concatenate([first, noise, np.full((n, 1), 12)], axis=1)  # (n, k + 2)
        targets = np.full(ids.shape, -100)
        targets[:, -1] = ids[:, 0]
        return {"ids": ids, "targets": targets}

    def batch(self, rng, n):
        k = int(np.exp(rng.uniform(0, np.log(self.longest + 1))))  # 1 … longest, short ones often
        return self.rows(rng, n, k)


task = FirstLetter(longest=24)
ids = task.batch(np.random.default_rng(0), 3)["ids"]
print([f"{''.join(task.names[i] for i in row)} -> {task.names[row[0]]}" for row in ids])

# %% [markdown]
# Four models of the same width: the plain network from above (`rnn`), an LSTM and a GRU, which have *gates* and will be
# explained in a moment, and a GPT of one layer. First their gradients, *before training*.

# %%
C, V = 24, len(task.names)


def make(kind):
    if kind == "gpt":
        return GPT(GPTConfig(V, block_size=26, n_layer=1, n_head=2, n_embd=C), seed=0)
    return RecurrentLM(RecurrentConfig(V, n_layer=1, n_embd=C, cell=kind), seed=0)


models = {kind: make(kind) for kind in ("rnn", "lstm", "gru", "gpt")}
for kind, model in models.items():
    print(f"{kind:<5}{model.num_parameters():>6,} parameters")

# %% [markdown]
# `gradient_through_time` gives the size of the gradient of the last answer's loss at the token `k` steps before. The axis
# is logarithmic: a straight line down means "multiplied by the same number at each step".
#
# **Predict** the four curves.


# %%
def draw_gradients(models, title):
    rows = task.rows(np.random.default_rng(1), 64, 24)
    _, ax = plt.subplots(figsize=(6, 3))
    for kind, model in models.items():
        norm = gradient_through_time(model, rows["ids"], rows["targets"])  # (T,), k = 0 first
        ax.semilogy(norm / norm[0], label=kind)
        print(f"{kind:<5}24 steps back {norm[24] / norm[0]:.0e} of what it is at the end")
    ax.set(xlabel="steps back", ylabel="gradient, relative", title=title, ylim=(1e-8, 10))
    ax.legend()
    plt.show()


draw_gradients(models, "before training")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The recurrent ones fall on straight lines, the plain one fastest: what happened 24 steps ago gets next to no blame, so it
# cannot be learned from. The GPT's curve is flat. From the last token to the first it is *one step* of attention, at
# any distance.
# </details>
#
# ## The LSTM: a memory that is added to
#
# The cure (Hochreiter and Schmidhuber 1997) is a second state, the *cell* $c$, which is not multiplied by a matrix in each
# step, but kept or forgotten channel by channel, by *gates* between 0 and 1:
#
# $$c_t = f_t \odot c_{t-1} + i_t \odot g_t \qquad h_t = o_t \odot \tanh(c_t)$$
#
# | gate | asks |
# | --- | --- |
# | $f$, forget | how much of the old cell is kept? |
# | $i$, input | how much of the new $g$ is let in? |
# | $o$, output | how much of the cell is shown? |
#
# If $f = 1$ and $i = 0$, then $c_t = c_{t-1}$: memory without end, and a gradient that is multiplied by 1. At the beginning
# gates are half open. **Predict:** by what is the gradient multiplied in each step then? So one starts with the forget
# gate open, by its bias (Gers, Schmidhuber and Cummins 2000):

# %%
lstm = make("lstm")
lstm.rnn.bias_ih_l0.data[C : 2 * C] += 2.0  # gates in the order i, f, g, o
for name, model in {"as it was": models["lstm"], "bias + 2": lstm}.items():
    with inspect.capture(model, "rnn.l0.f") as acts:
        model(task.rows(np.random.default_rng(1), 8, 24)["ids"])
    print(f"{name}: forget gates are {acts['rnn.l0.f'].mean():.2f} open on average")
models["lstm"] = lstm
draw_gradients(models, "with the forget gate open")

# %% [markdown]
# ## Training
#
# The same data, the same number of steps for all four. **Predict:** who learns it? Guessing gets a quarter right, a loss of
# $\ln 4$.

# %%
RATES = {"rnn": 2e-3, "lstm": 1e-2, "gru": 1e-2, "gpt": 5e-3}
losses = {}
for kind, model in models.items():
    recipe = {"steps": 400, "batch_size": 32, "lr": RATES[kind], "warmup": 20, "weight_decay": 0.01}
    trainer = Trainer(model, task, TrainConfig(**recipe, workers=1, progress=False))
    loss = trainer.fit()["loss"]
    losses[kind] = {"train": {"steps": range(1, 401), "losses": loss}}
viz.LossCurve(losses, unit="nats/answer", references={"guessing": np.log(4)})

# %% [markdown]
# By distance, on new rows:


# %%
def right(model, k, n=500):
    rows = task.rows(np.random.default_rng(10 + k), n, k)
    with model.evaluating():
        logits = model(rows["ids"])[0].numpy()[:, -1]  # (n, V)
    return (logits.argmax(axis=-1) == rows["targets"][:, -1]).mean()


distances = (1, 2, 4, 8, 16, 24)
print("noise between ", "".join(f"{k:>7}" for k in distances))
for kind, model in models.items():
    print(f"{kind:<14}", "".join(f"{right(model, k):>7.0%}" for k in distances))

# %% [markdown]
# ## Look at the gates
#
# Whoever remembers must do it by the gates. We let the trained LSTM read one row, and record them. `capture` knows them by
# name: `rnn.l0.f` is the forget gate of layer 0, for all steps at once.
#
# **Predict:** at which step is the input gate to be open? And the forget gate during the noise?

# %%
rows = task.rows(np.random.default_rng(5), 1, 24)
text = "".join(task.names[i] for i in rows["ids"][0])
with lstm.evaluating(), inspect.capture(lstm, "rnn.l0.?", copy=True) as gates:
    logits, _ = lstm(rows["ids"])
print(*(f"{name} {array.shape}" for name, array in gates.items()), sep="\n")
print(text, "->", task.names[logits.numpy()[0, -1].argmax()])

# %%
parts = {name: gates[f"rnn.l0.{key}"][0].T for name, key in {"input": "i", "forget": "f"}.items()}
viz.HeatMaps(
    parts, columns=list(text), row="channel", column="step", tokens=True, high=1,
    words="how far the gate is open", title="Two gates of a trained LSTM",
)  # fmt: skip

# %% [markdown]
# <details><summary>What to see</summary>
#
# The forget gates are as expected: open from the first letter to the last, in nearly all channels. The input gates are
# *not*. A careful designer would close them after the first letter; a few are, most are wide open while the noise comes.
# What do they let in? Look at the cell:
# </details>

# %% tags=["picture"]
viz.HeatMaps(
    {"cell": gates["rnn.l0.c"][0].T}, columns=list(text), row="channel", column="step", tokens=True,
    words="value of the cell", title="The cell while it waits",
)  # fmt: skip

# %% [markdown]
# <details><summary>What to see</summary>
#
# Each channel takes its sign at the first letter, and then grows in that direction, step by step. What is let in
# is not the noise, it is *the same answer again*: the state $h$, which shows the letter, goes into $g$, and $g$ into the
# cell. The network does not only keep its memory, it writes it anew at each step. Nobody told it to.
# </details>
#
# Where exactly does it keep *which* letter? The cell after 24 letters of noise, averaged over many rows for each first
# letter:

# %%
rows = task.rows(np.random.default_rng(6), 400, 24)
with lstm.evaluating(), inspect.capture(lstm, "rnn.l0.c", copy=True) as acts:
    lstm(rows["ids"])
kept = acts["rnn.l0.c"][:, -2]  # (n, hidden): before the question mark
by_letter = np.stack([kept[rows["ids"][:, 0] == letter].mean(axis=0) for letter in range(4)])
viz.HeatMaps(
    {"cell": by_letter}, rows=list("ABCD"), row="first letter", column="channel",
    words="mean of the cell", title="How the cell remembers A, B, C and D",
)  # fmt: skip

# %% [markdown]
# Each letter has a pattern over the channels; none has a channel of its own.
#
# **Is that really where the memory is?** At step 12, in the middle of the noise, we close all forget gates, so that the cell
# loses what it held; or all input gates, so that nothing is written; or both. **Predict** the three results.


# %%
def nothing(value, name):
    return value * 0.0


print(f"{'as it is':<28}{right(lstm, 24):.0%} right")
for gates_closed in (["f"], ["i"], ["f", "i"]):
    with inspect.hooked(lstm, {f"rnn.l0.{gate}.12": nothing for gate in gates_closed}):
        print(f"{' and '.join(gates_closed) + ' closed at step 12':<28}{right(lstm, 24):.0%} right")

# %% [markdown]
# <details><summary>What this says</summary>
#
# Either way alone is enough: without the old cell, the letter comes back from $h$ through the input gate; without the input
# gate, it stays in the cell. Only when both are closed in the same step is it lost. "The cell is where an LSTM remembers"
# is what the formula allows; what a trained one does, one has to ask it.
# </details>
#
# ## The GRU: the same idea with one state
#
# $$h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}$$
#
# A single gate $z$ says how much is kept, and what is not kept is replaced by the new $n$. (A second gate, $r$, says how much
# of the old state is used to make $n$.) **Predict:** a channel that remembers the first letter: what is its $z$ during
# the noise?

# %%
gru = models["gru"]
one = task.rows(np.random.default_rng(5), 1, 24)
with gru.evaluating(), inspect.capture(gru, ["rnn.l0.z", "rnn.l0.h"], copy=True) as acts:
    gru(one["ids"])
z, h = acts["rnn.l0.z"][0], acts["rnn.l0.h"][0]  # (T, hidden)
most = np.argsort(-z[1:-1].mean(axis=0))[:3]
for channel in most:
    low, high = h[1:-1, channel].min(), h[1:-1, channel].max()
    mean = z[1:-1, channel].mean()
    print(f"channel {channel:>2}: z is {mean:.2f} on average; h {low:+.2f} … {high:+.2f}")

# %% [markdown]
# ## All of it on one page
#
# The gradients once more, now of the *trained* models, beside the losses and the memory. **Predict:** whose curve has become
# flat?

# %%
rows = task.rows(np.random.default_rng(1), 64, 24)
gradient, recall = {}, {}
for kind, model in models.items():
    norm = gradient_through_time(model, rows["ids"], rows["targets"])
    gradient[kind] = norm / norm[0]
    recall[kind] = distances, [right(model, k) for k in distances]
loss = {kind: run["train"]["losses"] for kind, run in losses.items()}
viz.Comparison(loss, gradient, recall, title="The first letter, after k letters of noise")

# %% [markdown]
# <details><summary>What to see</summary>
#
# LSTM and GRU have learned to hand the gradient on: their curves fall in the first steps and then stay where they are. The
# plain network's falls off the page. It could not learn, because the blame did not arrive; and since it did not
# learn, the blame still does not arrive.
# </details>
#
# ## Why transformers, then?
#
# On this game LSTM and GPT are equals. What differs is the price, and what each must hold:

# %%
for T in (26, 1000, 100_000):
    state, cache = 2 * C, 2 * C * T  # h and c; a key and a value for each token, one layer
    print(f"after {T:>7,} tokens: state of the LSTM {state} numbers, cache of the GPT {cache:>9,}")

# %% [markdown]
# | | recurrent | transformer |
# | --- | --- | --- |
# | what it keeps of the text | one state, of fixed size | every token |
# | cost of the next token | always the same | grows with the text |
# | from token 1 to token 1000 | 999 steps, for memory and gradient | one step of attention |
# | training | one step after the other | all tokens at once |
#
# The state has to hold whatever *may* be asked later; attention can wait for the question and then look it up. And all
# tokens of a text at once is what makes matrix products large and processors busy. The other line of the table is why
# recurrence never went away: a state does not grow.
#
# **Try this**
#
# - Train the LSTM with its forget gate as it was (leave out the `+= 2.0`). How many more steps does it need, if it
#   gets there?
# - Train with `FirstLetter(longest=8)`, ask with 24. Which recurrent model still knows, and what does the GPT say to
#   places that it never saw in training?
# - `lr` for the `rnn` ten times as large, or as small: is there one with which it learns to remember eight letters?
# - Two letters to remember: `AB` + noise + `??`.
# - In a terminal, `minigpt compare --quick` trains all four on real text, and on a harder memory game.
#
# **Exercise:** `python -m minigpt.classroom start ex_lstm_cell`
#
# How attention entered recurrent networks, before it replaced them, is the story of
# [15 Encoder and decoder](15_encoder_decoder.ipynb).

# %% [markdown]
# ## In your own words
#
# 1. Why does the gradient of a plain recurrent network fall along a straight line on a logarithmic axis?
# 2. By which two ways did the trained LSTM carry the letter from step to step, and which experiment showed it?
# 3. Name one thing that a state does better than attention, and one that it cannot do.
