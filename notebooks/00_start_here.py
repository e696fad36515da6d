# %% [markdown]
# # Start here: a GPT in five minutes
#
# **Aim** Train a small GPT in a few seconds, ask it things, and *see* how it finds the answer. You need to know some
# Python and nothing about neural networks; every word that falls here is explained in a later notebook.
#
# **Time** 10 minutes
#
# **Prerequisites** none
#
# Run a cell with Shift + Enter. Change anything you like and run it again: nothing can break.

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import numpy as np

from minigpt.inspect import ablate, attention_weights
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer
from minigpt.viz import AttentionGrid, HeadView, LossCurve

# %% [markdown]
# ## A game
#
# A language model does one thing: it reads the beginning of a text and says what comes next. Whatever we want it to do
# has to be a text that goes on. Here is a game of that kind: a word, the sign `>`, and the same word backwards. Nobody
# will tell the model the rule. All it gets is examples.

# %%
rng = np.random.default_rng(0)
letters = list("abcdefghijklmnopqrstuvwxyz")


def example():
    word = "".join(rng.choice(letters, 5))
    return f"{word}>{word[::-1]}"


examples = [example() for _ in range(4000)]
print("\n".join(examples[:4]))

# %% [markdown]
# The "words" are letters drawn at random, so that they cannot be known by heart.
#
# **Predict:** how many words of five letters are there, and which share of them is among our examples?

# %%
possible = 26**5
print(f"{possible:,} words are possible; we have {len(examples):,}")
print(f"one in {possible // len(examples):,}")

# %% [markdown]
# ## Text becomes numbers
#
# A model computes with numbers, so each character gets one, its *token id*. The tokenizer keeps the list.

# %%
tok = CharTokenizer.train("".join(examples))
ids = np.array([tok.encode(text) for text in examples])
print("hello>  becomes ", tok.encode("hello>"))
print("and back again: ", tok.decode(tok.encode("hello>")))
print("vocabulary:     ", tok.vocab_size, "tokens")
print("all examples:    shape", ids.shape)

# %% [markdown]
# ## The model, before it has learned anything
#
# One layer with two *attention heads*: the parts that look back at what was read before. GPT-2 is built in the same
# way, with more of everything.
#
# **Predict:** what will it answer now?

# %%
config = GPTConfig(vocab_size=tok.vocab_size, block_size=11, n_layer=1, n_head=2, n_embd=64)
model = GPT(config, seed=0)
print(f"{model.num_parameters():,} numbers that can be learned, all of them random so far")
print("hello>" + mg.generate(model, tok, "hello>", max_new_tokens=5, temperature=0)[0])

# %% [markdown]
# ## Training
#
# In each step the model gets a few examples, guesses every letter after the `>`, and each of its numbers is moved a
# little to where the guesses would have been better. How bad the guesses were is the *loss*; 0 would be perfect.
#
# The trainer asks for `batch(rng, n)`: what to read, and the right next token at each place. The letters of the
# question are random and nobody could guess them, so they get the mark `-100`, which means "does not count".


# %%
class Examples:
    def batch(self, rng, n):
        rows = ids[rng.integers(0, len(ids), n)]  # (n, 11)
        read, next_token = rows[:, :-1], rows[:, 1:].copy()  # (n, 10), (n, 10)
        next_token[:, :5] = -100
        return {"ids": read, "targets": next_token}


recipe = TrainConfig(steps=120, batch_size=32, lr=5e-3, warmup=20, workers=1, progress=False)
loss = Trainer(model, Examples(), recipe).fit()["loss"]
run = {"train": {"steps": range(1, len(loss) + 1), "losses": loss}}
LossCurve({"GPT": run}, unit="nats/letter")

# %% [markdown]
# ## Ask it

# %%
for word in ["hello", "world", "tiger", "zzzzz", "qwxyz"]:
    print(word + ">" + mg.generate(model, tok, word + ">", max_new_tokens=5, temperature=0)[0])

# %% [markdown]
# A few questions prove little. Two hundred new words, none of which was among the examples:

# %%
known = {text[:5] for text in examples}
words = [word for word in (example()[:5] for _ in range(250)) if word not in known][:200]


def share_right():
    questions = np.array([tok.encode(word + ">") for word in words])  # (200, 6)
    answers = model.generate(questions, 5, temperature=0)[:, 6:]  # (200, 5)
    pairs = zip(words, answers, strict=True)
    return np.mean([tok.decode(answer) == word[::-1] for word, answer in pairs])


print(f"{share_right():.0%} of {len(words)} new words right")

# %% [markdown]
# ## How does it do that? Look inside
#
# To write a letter, each head looks back at everything read so far and decides how much to take from where. These
# shares, the *attention weights*, can be looked at. In the map below a row is the token that was just read, a column is
# a token that it looks at; bright means much, and a row adds up to 1.
#
# **Predict:** `>` has just been read, and the next letter is to be written. Which letter must the model look at?
# And one row further down?

# %% tags=["picture"]
text = "hello>olle"
weights = attention_weights(model, tok.encode(text))  # (layers, heads, tokens, tokens)
print("shape", weights.shape)
AttentionGrid(weights, list(text), title="Where each token looks, after training")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The last letter of the word, then the one before it, and so on: a bright line that runs *against* the diagonal, from
# `>` down. Nobody programmed it. The rows above `>` are the question, whose guesses did not count: what they look at is
# of no use for anything.
# </details>
#
# The same weights as lines, from the token that looks (left) to what it looks at (right). They cross like a word
# that is turned around. Run the cell, and point at a token.

# %%
HeadView(weights, list(text), title="The same, as lines")

# %% [markdown]
# ## Is that really how it does it?
#
# A picture is only a guess about causes. The test: take heads away and ask again.
#
# **Predict:** what is left without the first head? Without both?

# %%
for heads in [[], [(0, 0)], [(0, 1)], [(0, 0), (0, 1)]]:
    with ablate(model, heads=heads):
        print(f"without {len(heads)} of the heads {heads!s:<18} {share_right():>5.0%} right")

# %% [markdown]
# <details><summary>What this says</summary>
#
# Both maps show the same line, so each head can stand in for the other. Only when both are gone is there no way from
# the question to the answer. "This head is the one that does it" would have been wrong, although the
# picture was right.
# </details>

# %% [markdown]
# ## What you have seen
#
# Text became ids, ids went through a model, a loss said how wrong it was, training made the loss small, and attention
# was what found the answer. GPT-2 differs in size and in what it read. The rest of the course takes these steps apart,
# one by one, until nothing is left that you could not write yourself:
#
# - from the bottom up: [01 Tensors](01_tensors.ipynb), [02 Backward](02_backward.ipynb),
#   [03 Softmax and cross entropy](03_softmax_cross_entropy.ipynb) …
# - straight to the heart: [05 Attention](05_attention.ipynb)
# - a model of real text: [10 Training](10_training.ipynb), or `make demo` in a terminal
#
# **Try this:** words of eight letters (change the `5`s, and `block_size` to 17). One head in place of two. An
# alphabet of three letters. What happens to the number of steps that are needed?

# %% [markdown]
# ## In your own words
#
# 1. What does a language model do, and how does a question become a case of that?
# 2. What does one row of the attention map say?
# 3. Why was it not enough to look at the map, why did we also take the heads away?
