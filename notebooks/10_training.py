# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Training on real text
#
# **Aim** Train a GPT on text that people wrote and watch the loss fall while it does; see what a learning rate that is too
# high or too low does, what clipping is for, how learning differs from learning by heart, and how to stop and go on.
#
# **Time** 45 minutes
#
# **Prerequisites** [08 The whole GPT](08_gpt.ipynb), [09 Adam](09_adam.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from minigpt import optim
from minigpt.data import TokenData, load_corpus, split_by_position
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer, ngram_baselines
from minigpt.viz import LossCurve

# %% [markdown]
# ## The text
#
# Every Python brings some hundred pages of English along, those that `help("topics")` shows. That is enough for a small model,
# and needs no download. Here a token is a character; [12 Tokenizers](12_tokenizers.ipynb) has larger ones.

# %%
corpus = load_corpus("python")
text = corpus.text
tok = CharTokenizer.train(text)
ids = np.array(tok.encode(text))
print(f"{len(text):,} characters, {tok.vocab_size} different ones, from the {corpus.source}\n")
middle = text.index("The simple form")
print(text[middle : middle + 300])

# %% [markdown]
# ## What an example is
#
# A window of the text is the input; the same window, moved by one, is the answer. **Predict:** how many predictions does
# the model make, and learn from, in one window of 12 characters?

# %%
example = TokenData(ids, block_size=12).batch(rng=3, n=2)
for row, targets in zip(example["ids"], example["targets"]):
    print(f"ids {tok.decode(row)!r:<18} targets {tok.decode(targets)!r}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# 12: at each position the next character, from what has been read up to there. The causal mask is what makes this possible:
# all twelve are answered in one pass, and none has seen its answer.
# </details>
#
# ## Keep some of it secret
#
# The last tenth of the text is never trained on. It is the *validation part*: the loss there says what the model has learned
# about the language; the loss on the rest may also be memory.
#
# Two yardsticks before we start: a model that knows nothing, and tables of counts.

# %%
train_ids, val_ids = split_by_position(ids, val_fraction=0.1)
data = TokenData(train_ids, val_ids[:4000])
yardsticks = {"guessing": np.log(tok.vocab_size)}
yardsticks |= ngram_baselines(train_ids, val_ids, tok.vocab_size)
for name, loss in yardsticks.items():
    print(f"{name:<9} {loss:.3f} nats a character")

# %% [markdown]
# The *bigram* knows the character before, the *trigram* two of them, both by counting the whole text. **Predict:** a GPT that has
# learned only how frequent each character is: which of the yardsticks does it reach?
#
# ## The loop
#
# All of training is a few lines, as in [08](08_gpt.ipynb): gradients to zero, forward, backward, clip, step.


# %%
def new_model(n_embd=64, block_size=64):
    return GPT(GPTConfig(tok.vocab_size, block_size, n_layer=2, n_head=2, n_embd=n_embd), seed=0)


model = new_model()
optimizer = optim.AdamW(model.parameters(), lr=3e-3)
rng = np.random.default_rng(0)
for step in range(4):
    batch = data.with_block_size(64).batch(rng, 16)  # ids and targets, (B, T) each
    model.zero_grad()
    _, loss = model(batch["ids"], batch["targets"])
    loss.backward()
    norm = optim.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    print(f"step {step}: loss {loss.item():.3f}, norm of the gradient {norm:.2f}")

# %% [markdown]
# The `Trainer` does just this, with a schedule for the learning rate, evaluations, checkpoints, and Numba's kernels where they
# are installed. `trainer.step()` is one pass of the loop. `trainer.fit()` makes all steps.
#
# Watch it: the picture below is drawn anew while the model learns. In between the model is asked to write. **Predict:** what will it
# get right first: words, spaces, or grammar?

# %% tags=["picture"]
model = new_model()
config = TrainConfig(steps=360, batch_size=12, lr=4e-3, warmup=20, progress=False, workers=1)
trainer = Trainer(model, data, config)


def picture(history, title):
    runs = {"train": {"steps": np.arange(len(history["loss"])), "losses": history["loss"]}}
    runs["val"] = {"steps": history["val_step"], "losses": history["val_loss"]}
    return LossCurve({"GPT": runs}, title=title, references=yardsticks)


written = {0: mg.generate(model, tok, "The ", 60, 0.7, seed=1)[0]}
trainer.evaluate()
trainer.step()
live = display(picture(trainer.history, "Loss while it learns"), display_id=True)
while trainer.step_number < config.steps:
    trainer.step()
    if trainer.step_number % 60 == 0:
        trainer.evaluate()
        live.update(picture(trainer.history, "Loss while it learns"))
        written[trainer.step_number] = mg.generate(model, tok, "The ", 60, 0.7, seed=1)[0]

# %%
for step, words in written.items():
    print(f"step {step:>3}: The {words!r}")

# %% [markdown]
# <details><summary>What to see</summary>
#
# First a steep fall, down to the unigram: which characters are frequent. That is learned in a few dozen steps, and the text
# has letters and spaces in the right mixture. Then which letter follows which, the bigram; then pieces of words. Meaning would
# come much later, if at all: this model is small, and it has read for a few seconds.
#
# Training and validation loss lie together: it has seen each part of the text about once, there was nothing to
# learn by heart.
# </details>
#
# **Try this:** `steps=3000` (minutes). `make demo` in a terminal does the same with a larger model and more time.
#
# ## The learning rate
#
# The most important number of all. Four short runs of a smaller model, all with the same batches; only `lr` differs.
#
# **Predict** the four curves: `1e-5`, `3e-4`, `3e-3`, `0.3`.


# %%
def run(lr, steps=120, **settings):
    settings = {"batch_size": 8, "warmup": 0, "grad_clip": 0.0, "eval_interval": 0, **settings}
    plan = TrainConfig(steps, lr=lr, progress=False, workers=1, **settings)
    trainer = Trainer(new_model(32, 32), TokenData(train_ids), plan)
    losses = trainer.fit()["loss"]
    return {"train": {"steps": np.arange(steps), "losses": losses}}


LossCurve({f"lr {lr:g}": run(lr) for lr in (1e-5, 3e-4, 3e-3, 0.3)}, title="Four learning rates")

# %% [markdown]
# <details><summary>What to see</summary>
#
# *Too low*: nothing is wrong with the curve, it just goes nowhere, or it goes slowly. *Too high*: the loss rises at first, the
# weights are thrown far away; then it falls to the unigram, for which hardly any of the model is needed, and stays there.
# That does not look like an explosion, it looks like a model that is "not learning". *In between* there is room: a factor of
# two matters little, a factor of ten much. So try powers of ten first.
# </details>
#
# Warm-up and the falling end of the schedule are in [09](09_adam.ipynb).
#
# ## One bad batch: what clipping is for
#
# Somewhere in every large data set there is rubbish. Here, at step 100, a damaged batch says that every next character is a
# `ß`. The optimizer is SGD with momentum, which walks as far as the gradient is long.
#
# **Predict:** how much longer than usual will the gradient be? And what happens afterwards, with and without clipping?


# %%
def train_with_rubbish(max_norm, steps=140, bad=100):
    model, rng = new_model(32, 32), np.random.default_rng(0)
    optimizer = optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    losses, norms = [], []
    for step in range(steps):
        batch = TokenData(train_ids, block_size=32).batch(rng, 16)
        if step == bad:
            batch["targets"][:] = tok.encode("ß")[0]
        model.zero_grad()
        _, loss = model(**batch)
        loss.backward()
        norms.append(optim.clip_grad_norm_(model.parameters(), max_norm))
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


runs = {"clipped at 0.5": train_with_rubbish(0.5), "not clipped": train_with_rubbish(1e9)}

# %%
_, axes = plt.subplots(1, 2, figsize=(9, 2.8))
for name, (losses, norms) in runs.items():
    axes[0].plot(losses, label=name)
    axes[1].semilogy(norms, label=name)
    before, after = np.mean(losses[90:100]), np.mean(losses[101:111])
    print(f"{name:<15} mean of ten steps before {before:.2f}, after {after:.2f}", end="")
    print(f", at the end {np.mean(losses[-10:]):.2f}")
axes[0].set(title="loss", xlabel="step")
axes[1].set(title="norm of the gradient, before clipping", xlabel="step")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# The rubbish gives a gradient that is many times longer, and it points somewhere wrong. Clipping shortens it to the length that is
# allowed and keeps its direction: a wrong step, but a small one. Without, the model is thrown back behind what it
# knew, momentum carries it on in that direction for some steps more, and it has to learn again.
#
# Adam is less easily thrown, its steps have about the same length whatever the gradient's, but its memory of squares is
# spoiled for a while. So everybody clips.
# </details>
#
# ## Learning by heart
#
# Now only the first 1500 characters, a page, and a model that has many more parameters than the page has characters.
#
# **Predict:** how do training and validation loss go on? At which step would you want to stop?

# %%
page = TokenData(train_ids[:1500], val_ids[:1000])
config = TrainConfig(200, 8, 6e-3, 6e-3, warmup=10, eval_interval=25, progress=False, workers=1)
overfit = Trainer(new_model(64, 32), page, config)
overfit.evaluate()
history = overfit.fit()
picture(history, "One page, again and again")

# %%
best = int(history["val_loss"].argmin())
lowest, last = history["val_loss"][[best, -1]]
print(f"lowest validation loss {lowest:.3f}, at step {history['val_step'][best]}")
print(f"at the end {last:.3f}, while the training loss is {history['loss'][-1]:.3f}")
for part in [text, tok.decode(val_ids)]:
    goes_on = mg.generate(overfit.model, tok, part[:12], 20, temperature=0)[0]
    print(f"{part[:12]!r}: it says {goes_on!r}, there stands {part[12:32]!r}")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The two curves part. The training loss says "better and better"; on text that it has not seen the model gets worse from
# some step on, since it is more and more sure of what stands on *its* page. The lowest point of the validation loss is where to stop:
# `TrainConfig(patience=3)` does that, and goes back to the best weights.
#
# Remedies: more text (best), a smaller model, dropout, weight decay, or stopping in time.
# </details>
#
# ## Stop and go on
#
# A training of days gets interrupted. What has to be kept so that it goes on *as if nothing had happened*? **Predict**
# before you look at the files: the weights are not enough. What else?

# %%
plan = TrainConfig(20, 8, lr=3e-3, warmup=5, eval_interval=0, progress=False, workers=1)
straight = Trainer(new_model(32, 32), data, plan)
straight.fit()

with tempfile.TemporaryDirectory() as folder:
    first = Trainer(new_model(32, 32), data, plan)
    for _ in range(10):
        first.step()
    first.save(folder)  # the computer is switched off here
    print(sorted(file.name for file in Path(folder).iterdir()))
    second = Trainer.resume(folder)
    second.fit()

pairs = zip(straight.model.parameters(), second.model.parameters(), strict=True)
print("losses equal: ", np.array_equal(straight.history["loss"], second.history["loss"]))
print("weights equal, bit for bit:", all(np.array_equal(a.data, b.data) for a, b in pairs))

# %% [markdown]
# <details><summary>Answer</summary>
#
# Adam's two running averages (each as large as the model), the number of the step for the schedule and the bias correction, and
# the state of the random numbers, or other batches would come. All of it is in `trainer.json` and `trainer.safetensors`; the text
# is in `data.safetensors`.
# </details>
#
# ## What next
#
# - **Try this:** in the first run, `n_embd=128`, or `n_layer=4` in `new_model`: which falls faster, by step? By second?
# - `accumulate=4, batch_size=4` in place of `batch_size=16`: the same loss, in a quarter of the memory. Compare the histories.
# - Train on a text of your own: `load_corpus("my.txt")`, or in a terminal
#   `python -m minigpt train --data my.txt --out runs/mine`.
# - Exercises: `python -m minigpt.classroom start ex_cross_entropy`, the loss, and `ex_adam`, the step.
# - Next: [11 Sampling](11_sampling.ipynb), how text is drawn from what was learned, and
#   [13 Attention of a trained model](13_attention_of_a_trained_model.ipynb), what the heads have become.

# %% [markdown]
# ## In your own words
#
# 1. Your loss stands at that of the unigram. What does the model know, and what would you change first?
# 2. Why is the validation part cut off at the end of the text, and not drawn at random from all windows?
# 3. What does clipping change in a gradient, and what does it leave as it is?
