# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Sampling: from probabilities to text
#
# **Aim** See how a model's probabilities become text: what temperature, top-k and top-p do to each token's candidates, why
# "always the likeliest" is not the best, what a text's probability is, and why a key–value cache writes the same, faster.
#
# **Time** 40 minutes
#
# **Prerequisites** [03 Softmax and cross entropy](03_softmax_cross_entropy.ipynb), [08 The whole GPT](08_gpt.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

from time import process_time

import matplotlib.pyplot as plt
import numpy as np

from minigpt import functional as F
from minigpt.data import TokenData, load_corpus
from minigpt.decoding import filter_logits, sample
from minigpt.generation import microscope, next_tokens
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer
from minigpt.viz import TokenScores

# %% [markdown]
# ## A model to play with
#
# As in [10](10_training.ipynb): characters of Python's own documentation, this time a few dozen pages of it, a small model, some
# seconds. It will not write well; what is shown here is the same with a large one.

# %%
text = load_corpus("python").text[:40_000]
tok = CharTokenizer.train(text)
model = GPT(GPTConfig(tok.vocab_size, block_size=64, n_layer=2, n_head=2, n_embd=64), seed=0)
data = TokenData(np.array(tok.encode(text)))
config = TrainConfig(750, 12, 5e-3, warmup=20, progress=False, workers=1)
Trainer(model, data, config).fit()

prompt = "The value of the "
print(repr(mg.generate(model, tok, prompt, 45, temperature=0.5, seed=0)[0]))

# %% [markdown]
# ## One token
#
# A model never gives "the next token". It gives a number for every token, the logits at the last position. Here are the
# likeliest ones after a prompt; `next_tokens` does softmax and sorting.
#
# **Predict:** which letters can follow `"The expressio"`? And how sure should the model be?

# %%
for start in ["The expressio", "The ", "x"]:
    likely = next_tokens(model, tok, start, 6)
    print(f"{start!r:<16}", "  ".join(f"{t.text!r} {t.probability:.3f}" for t in likely))

# %% [markdown]
# Somebody has to *choose*, and that is no longer the model. All of generating is this loop: choose, append, ask again.

# %%
ids, rng = tok.encode(prompt), np.random.default_rng(0)
with model.evaluating():  # no dropout, no gradients
    for _ in range(30):
        logits = model([ids])[0].numpy()[:, -1]  # (1, V), of the last position
        ids.append(int(sample(logits, rng, temperature=0.5)[0]))
print("by hand:", repr(tok.decode(ids)))
print("library:", repr(prompt + mg.generate(model, tok, prompt, 30, temperature=0.5, seed=0)[0]))

# %% [markdown]
# ## Temperature
#
# Divide the logits by a number before softmax. **Predict:** what do the bars look like for a temperature of `0.3`, of 1, of 3? And
# in the limits 0 and infinity?

# %%
with model.evaluating():
    logits = model([tok.encode(prompt)])[0].numpy()[:, -1]  # (1, V)
order = np.argsort(-logits[0])[:14]
names = [repr(tok.decode([i]))[1:-1].replace(" ", "␣") for i in order]

_, axes = plt.subplots(1, 4, figsize=(9, 2), sharey=True)
for ax, temperature in zip(axes, (0.3, 1.0, 3.0, 100.0)):
    p = F.softmax(logits / temperature).numpy()[0]
    ax.bar(names, p[order])
    ax.set_title(f"temperature {temperature:g}", fontsize=9)
    ax.tick_params(labelsize=7)
plt.show()
for temperature in (0, 0.3, 0.7, 1.0, 3.0):
    written = mg.generate(model, tok, prompt, 40, temperature=temperature, seed=1)[0]
    print(f"T {temperature:<4}{written!r}")

# %% [markdown]
# <details><summary>What to see</summary>
#
# Towards 0 the likeliest takes all: *greedy*, nothing is left to chance. Towards infinity all become equal: noise. At 1 the
# model's own probabilities hold. Greedy text often runs in circles: what it wrote makes the same words likelier still.
# </details>
#
# ## Cutting off the tail
#
# At temperature 1 one character in many is a bad one, from the long tail of tokens that are each unlikely, but many. One bad
# token, and the model has to go on from a text that makes no sense. Two ways to cut the tail:
#
# - **top-k**: only the `k` likeliest;
# - **top-p**: the fewest likeliest that have probability `p` together; few when the model is sure, many when it isn't.
#
# **Predict:** how many tokens does top-p `0.9` leave where the model is sure, and where it is not?

# %%
print(f"{'prompt':<16} {'no filter':>10} {'top-k 5':>8} {'top-p 0.9':>10}")
for start in ["The expressio", "The ", "x"]:
    with model.evaluating():
        z = model([tok.encode(start)])[0].numpy()[:, -1]  # (1, V)
    filtered = [filter_logits(z, 1.0, k, p) for k, p in [(None, None), (5, None), (None, 0.9)]]
    kept = [np.isfinite(z).sum() for z in filtered]
    print(f"{start!r:<16} {kept[0]:>10} {kept[1]:>8} {kept[2]:>10}")

# %% [markdown]
# ## Under the microscope
#
# The same for a whole text, token by token: the candidates on top of each other, the stages side by side, the one that was drawn in a
# frame. Run the cell and move along the tokens. **Predict**, before you look closely: is the framed one always the likeliest?

# %% tags=["picture"]
how = {"temperature": 0.8, "top_k": 8, "top_p": 0.9, "seed": 3}
view = microscope(model, tok, prompt, max_new_tokens=16, show=8, **how)
view

# %%
likeliest = view.probabilities[:, 0].argmax(axis=1) == view.drawn  # (T,)
print(f"{view.text!r}: {likeliest.sum()} of {len(view.drawn)} tokens drawn are the likeliest")
left = (view.probabilities[:, -1] > 0).sum(axis=1)
print("candidates left after all filters:", left)
print("`generate` says the same:", mg.generate(model, tok, prompt, 16, **how)[0] == view.text)

# %% [markdown]
# <details><summary>What to see</summary>
#
# Inside of a word there are often few candidates left, and chance has little to say. At the beginning of a word there are many.
# That is where a text is decided.
# </details>
#
# ## Going in circles
#
# Count how many groups of four characters a text has more than once. **Predict:** which of the settings repeats itself most?


# %%
def repeated(text, n=4):
    """The share of groups of n characters that have occurred before in the text"""
    groups = [text[k : k + n] for k in range(len(text) - n + 1)]
    return 1 - len(set(groups)) / len(groups)


settings = {
    "greedy": {"temperature": 0},
    "T 0.5": {"temperature": 0.5},
    "T 1": {"temperature": 1.0},
    "top-p 0.9": {"temperature": 1.0, "top_p": 0.9},
    "greedy, penalty 1.3": {"temperature": 0, "repetition_penalty": 1.3},
}
for name, how in settings.items():
    written = mg.generate(model, tok, "The ", 60, seed=0, **how)[0]
    print(f"{name:<20} {repeated(written):>4.0%} repeated: {written[:42]!r}")
print(f"{'people':<20} {repeated(text[5000:5060]):>4.0%} repeated")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The likeliest text is not a typical one. People do not always say the likeliest word; if they did, they would say nothing new.
# The penalty makes tokens less likely that have occurred already. For characters that is a rough cure, since every `e` is
# punished; with whole words as tokens it does better.
# </details>
#
# ## How likely is a text?
#
# The probability of a text is the product of its tokens' probabilities; its logarithm the sum. `Completion` gives these *log
# probabilities* (in nats, of the model itself, before temperature and filters); the loss in training is their mean with the sign
# turned round.
#
# **Predict:** where in `"The statement"` is the model most surprised: inside the word, or where it begins? And what about a
# spelling mistake?


# %%
def surprise(sentence):
    reply = mg.Completion.create(model, sentence, 1, tokenizer=tok, logprobs=0, echo=True, seed=0)
    found = reply.choices[0].logprobs.token_logprobs  # of the sentence, and one new token
    return np.array(found[1 : len(sentence)])  # nothing comes before the first


for sentence in ["The statement", "The statemnet", "eht tnemetats"]:
    found = surprise(sentence)
    print(f"{sentence!r}: log probability {found.sum():.2f}, loss {-found.mean():.2f}")
sentence = "The statemnet is executed"
scores = {"log probability": surprise(sentence)}
TokenScores(list(sentence[1:]), scores, title="Where is it surprised?")

# %%
ids = np.array([tok.encode(sentence)])
with model.evaluating():
    _, loss = model(ids[:, :-1], ids[:, 1:])
print(f"loss of the model           {loss.item():.4f}")
print(f"from the log probabilities  {-surprise(sentence).mean():.4f}")

# %% [markdown]
# ## The same text, faster: the key–value cache
#
# Each new token is written after reading *all* tokens before it again. But in a causal model, old tokens never see the new one:
# their keys and values stay as they are. Keep them, and each step reads a single token.
#
# **Predict:** to write 40 tokens after 20, how many tokens does the model read without a cache? And with one?


# %%
def count_tokens_read(use_cache):
    start = np.array([tok.encode("The statement is use")])  # (1, 20)
    with mg.trace(model=model) as trace:
        out = model.generate(start, 40, temperature=0.8, seed=0, use_cache=use_cache)
    # each token that is read goes through the first linear layer once
    read = sum(op.inputs[0][1] for op in trace.rows if op.module == "h.0.attn.c_attn")
    return out, read, trace.flops


without, with_cache = count_tokens_read(False), count_tokens_read(True)
print("same ids:", np.array_equal(without[0], with_cache[0]))
for name, (_, read, flops) in {"without": without, "with": with_cache}.items():
    print(f"{name:<8} {read:>5} tokens read, {flops:>13,} operations")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Without: $20 + 21 + \dots + 59 = 1580$. With: the 20 of the prompt once, and then one a step, 59. The cost of a token no
# longer grows with the length of the text, but for the attention over the keys kept. The price is memory: keys and values of each
# token, in each layer.
# </details>
#
# And in time? That depends on your computer, so only the answer to "is it faster" is kept here; **try** printing the seconds.


# %%
def seconds(use_cache):
    begin = process_time()
    model.generate([tok.encode("The ")], 55, seed=0, use_cache=use_cache)
    return process_time() - begin


ratio = min(seconds(False) for _ in range(3)) / min(seconds(True) for _ in range(3))
print("faster with the cache:", ratio > 1)

# %% [markdown]
# ## What next
#
# - **Try this:** `microscope(…, temperature=0)`, or `repetition_penalty=1.5`: there is one stage more.
# - `mg.generate(…, beams=4)` looks for the likeliest *text*, not the likeliest next token. Compare its log probability with greedy's,
#   and read both.
# - `for piece in mg.stream(model, tok, prompt): print(piece, end="")` writes while it thinks.
# - Exercises: `python -m minigpt.classroom start ex_top_p`, the filter, and `ex_kv_cache`, the cache of your own.
# - Next: [12 Tokenizers](12_tokenizers.ipynb), so that a step writes more than a letter, and
#   [17 Fine-tuning and chat](17_finetuning_chat.ipynb).

# %% [markdown]
# ## In your own words
#
# 1. What does a temperature of `0.5` do to the logits, and what to the text?
# 2. Where does top-p leave more candidates than top-k, and where fewer?
# 3. Why may old keys and values be kept? What in the model would have to be different for that to be wrong?
