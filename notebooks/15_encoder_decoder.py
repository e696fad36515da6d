# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Encoder and decoder: one text becomes another
#
# **Aim** Build the model of "Attention is all you need": an encoder that reads, a decoder that writes, and *cross-attention*
# between them. Know its three masks, train it to rewrite dates, see which letters it reads for which digit, and search for
# the best answer instead of taking the next best step.
#
# **Time** 50 minutes
#
# **Prerequisites** [06 Multi-head](06_multi_head.ipynb), [08 GPT](08_gpt.ipynb); [11 Sampling](11_sampling.ipynb) for
# the last part

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import numpy as np

from minigpt import functional as F
from minigpt import inspect, nn, viz
from minigpt.data import PairData
from minigpt.data.pair_tasks import dates
from minigpt.decoding import Reader, beam_search
from minigpt.generation.translate import exact_match, translate
from minigpt.models import EncoderDecoder, EncoderDecoderConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer

# %% [markdown]
# ## Pairs
#
# A GPT goes on with one text. Translating, summing up, rewriting are of another kind: there are *two* texts, one is given
# as a whole, and the other is to be written. Ours are dates, as people write them and as the standard does:

# %%
train, test = list(dates("train", 12000, 0)), list(dates("test", 200, 1))
for pair in train[:4]:
    print(f"{pair.source:>18}  ->  {pair.target}")

# %% [markdown]
# **Predict:** the model is about to write the two digits of the month. Which letters of the source must it read? And where
# do they stand?
#
# Somewhere, and that is the point: the order of the parts changes, and a month has between three and nine letters. "Look
# five places back" will not do here, as it did in [00](00_start_here.ipynb).
#
# ## What the decoder reads and what it should write
#
# The decoder writes from left to right like a GPT. In training it reads the *right* target, one place behind what it is
# to write ("teacher forcing"). `<start>` stands before the first token, `<end>` is what it should write after the last.
#
# **Predict** the shapes of a batch of two: the source has up to 18 characters, a date in digits has 10.

# %%
text = "".join(pair.source + pair.target for pair in train)
tok = CharTokenizer.train(text, special_tokens=("<pad>", "<start>", "<end>"))
data = PairData.of_texts(tok, train)
batch = data.batch(np.random.default_rng(4), 2)
print({name: array.shape for name, array in batch.items()})
for name in ("src", "tgt", "targets"):
    print(f"{name:<8}", [tok.decode([i]) for i in batch[name][0]])
print("src_mask", batch["src_mask"].astype(int).tolist())

# %% [markdown]
# <details><summary>Why 11?</summary>
#
# Ten characters and one more: `<start>` on the side that is read, `<end>` on the side that is written. The shorter source
# is filled up with `<pad>`, and `src_mask` says where the real letters are.
# </details>
#
# ## Cross-attention: the question from one text, the answer from the other
#
# In self-attention q, k and v come from the same tokens. In cross-attention the *queries* come from the decoder, and *keys
# and values* from what the encoder made of the source, its *memory*. Nothing else changes.
#
# **Predict:** five target tokens read seven source tokens, with two heads. What shape have the weights?

# %%
rng = np.random.default_rng(0)
B, T, S, C, H = 1, 5, 7, 8, 2
layer = nn.MultiHeadAttention(C, H, rng=0)
x, memory = (mg.Tensor(rng.standard_normal((B, n, C)).astype(np.float32)) for n in (T, S))
y, weights = layer(x, context=memory, return_weights=True)
print("x", x.shape, " memory", memory.shape, " weights", weights.shape, " y", y.shape)
print("rows sum to", weights.sum(axis=-1).numpy().round(3).ravel())

# %% [markdown]
# By hand, with the same parameters: the first third of `c_attn` makes q from `x`, the rest k and v from `memory`.

# %%
w, b = layer.c_attn.weight, layer.c_attn.bias  # (C, 3C), (3C,)
q = F.linear(x, w[:, :C], b[:C])  # (B, T, C)
k, v = (F.linear(memory, w[:, i : i + C], b[i : i + C]) for i in (C, 2 * C))  # (B, S, C)
q, k, v = (t.reshape(B, t.shape[1], H, C // H).swapaxes(1, 2) for t in (q, k, v))  # (B, H, ., D)
heads = F.softmax(q @ k.swapaxes(-1, -2) / (C // H) ** 0.5) @ v  # (B, H, T, D)
by_hand = layer.c_proj(heads.swapaxes(1, 2).reshape(B, T, C))  # (B, T, C)
print("the same:", np.allclose(by_hand.numpy(), y.numpy(), atol=1e-6))

# %% [markdown]
# ## Three masks
#
# | who looks | at what | may not see |
# | --- | --- | --- |
# | encoder, self-attention | source | padding |
# | decoder, self-attention | target | what comes later (causal) |
# | decoder, cross-attention | source | padding |
#
# The encoder may look *both ways*: the source is there as a whole. Here is the model, not trained yet. We change one token
# and see which places of memory and logits change. **Predict** each of the four cases:

# %%
config = EncoderDecoderConfig(
    vocab_size=tok.vocab_size, block_size=24, n_layer=1, n_head=2, n_embd=64,
    start_id=data.start_id, end_id=data.end_id,
)  # fmt: skip
model = EncoderDecoder(config, seed=0)
model.tokenizer = tok
print(f"{model.num_parameters():,} parameters")
src, tgt, mask = batch["src"], batch["tgt"], batch["src_mask"]
row = int(mask.sum(axis=1).argmin())  # the one that was filled up
n = int(mask[row].sum())  # its real letters
print("memory", model.encode(src, mask).shape, " the first", n, "places are letters")


# %%
def both(src, tgt, src_mask):
    """memory (S, C) and logits (T, V) of that row."""
    with model.evaluating():
        memory = model.encode(src, src_mask)
        logits = model.decode(tgt, memory, src_mask)
    return memory.numpy()[row][:n], logits.numpy()[row]


def another(ids, place):
    changed = ids.copy()
    changed[row, place] = (changed[row, place] + 1) % 20
    return changed


for what, (new_src, new_tgt, m) in {
    "last letter of the source": (another(src, n - 1), tgt, mask),
    "target token 6": (src, another(tgt, 6), mask),
    "padding, with the mask": (another(src, n), tgt, mask),
    "padding, without it": (another(src, n), tgt, None),
}.items():
    pairs = zip(both(src, tgt, m), both(new_src, new_tgt, m), strict=True)
    places = [np.flatnonzero(abs(a - b).max(axis=-1) > 1e-6).tolist() for a, b in pairs]
    print(f"{what}\n    changes memory {places[0]}\n    changes logits {places[1]}")

# %% [markdown]
# <details><summary>What this says</summary>
#
# - A letter of the source changes *all* of the memory, also before it, and all that is written.
# - A target token changes only what is written from there on. If it changed earlier places, the decoder could
#   see in training what it is to write, and learn nothing.
# - Padding changes nothing *if* there is a mask. Without it, the same date would mean something else in another batch:
#   a mistake that gives no error, and only somewhat worse answers.
# </details>
#
# ## Training
#
# The loss is the same cross entropy as ever, at all target places. The trainer needs to know nothing of two texts.

# %%
recipe = {"steps": 500, "batch_size": 32, "lr": 4e-3, "warmup": 50, "betas": (0.9, 0.98)}
trainer = Trainer(model, data, TrainConfig(**recipe, weight_decay=0.01, workers=1, progress=False))
loss = trainer.fit()["loss"]
run = {"train": {"steps": range(1, len(loss) + 1), "losses": loss}}
viz.LossCurve({"dates": run}, unit="nats/character")

# %% [markdown]
# The curve falls fast, then slowly, and bends down once more. A guess: first the decoder learns what dates look like at all
# (`19` or `20`, two hyphens, `<end>`), and only then to look things up. (How would you test that? See the `Recorder` in
# [13](13_attention_of_a_trained_model.ipynb).) Now days that it has never seen:

# %%
sources, wanted = [pair.source for pair in test], [pair.target for pair in test]
answers = translate(model, tok, sources)
for source, answer, right in list(zip(sources, answers, wanted, strict=True))[:6]:
    print(f"{source:>18}  ->  {answer}  {'right' if answer == right else 'wrong: ' + right}")
print(f"{exact_match(answers, wanted):.0%} of {len(test)} unseen days right")

# %% [markdown]
# ## What it reads while it writes
#
# `capture` knows the cross-attention by name. **Predict** two things before you run the cell: which letters are read while
# the month's digits are written? And where do the bright spots run for a date that begins with the month?


# %%
def cross(source):
    """Cross-attention (layers, heads, T, S) while the model writes, and what it wrote."""
    src = np.array([tok.encode(source)])
    written = model.generate(src, max_new_tokens=10)[0]  # (10,)
    tgt = np.array([[data.start_id, *written]])  # (1, 11)
    with model.evaluating(), inspect.capture(model, "decoder.*.cross.weights") as acts:
        model(src, tgt)
    weights = [acts[f"decoder.{i}.cross.weights"][0] for i in range(len(model.decoder))]
    return np.stack(weights), [*tok.decode(written), "<end>"]


# %% tags=["picture"]
source = "3 March 2021"
weights, target = cross(source)
print("shape", weights.shape)
viz.CrossAttention(weights, target, list(source), title=f"{source}: what each digit reads")

# %%
source = "March 3, 2021"
weights, target = cross(source)
viz.CrossAttention(weights, target, list(source), title=source).lines()

# %% [markdown]
# <details><summary>What to see</summary>
#
# A row is the character that is *written* there. Those of the year look at the year, wherever it stands; those of the month
# look into the month's name; those of the day at the day. The hyphens need nothing, and look at anything. The other
# way of writing the date moves the spots, not the answer: the model looks for *what* it needs, not for a place.
# </details>
#
# **Is it needed?** ([13](13_attention_of_a_trained_model.ipynb): a picture alone proves nothing.) We take the cross-attention
# out. **Predict:** what does a decoder write that sees nothing of the source?

# %%
heads = [("decoder.0.cross", head) for head in range(config.n_head)]
with inspect.ablate(model, heads=heads):
    blind = translate(model, tok, sources)
print(f"{exact_match(blind, wanted):.0%} right; it writes", sorted(set(blind)))
for head in range(config.n_head):
    with inspect.ablate(model, heads=heads[head : head + 1]):
        share = exact_match(translate(model, tok, sources), wanted)
    print(f"without head {head} alone: {share:.0%} right")

# %% [markdown]
# A blind decoder is a language model of dates: it writes what looks like a date, the same one whatever was asked.
#
# ## The memory is all that passes over
#
# The encoder runs *once*, and the decoder never sees the source itself. Here is the decoder with
# nothing but a memory:

# %%
with model.evaluating():
    memory = model.encode(np.array([tok.encode("17 May 1999")]))  # (1, S, C)
    ids = [data.start_id]
    while ids[-1] != data.end_id and len(ids) < 12:
        logits = model.decode(np.array([ids]), memory).numpy()[0, -1]  # (V,)
        ids.append(int(logits.argmax()))
print("memory", memory.shape, "->", tok.decode(ids[1:-1]))

# %% [markdown]
# That is the whole loop of generation, greedy: always the likeliest next token. (`generate` does the same with a cache, so
# that nothing is computed twice.)
#
# ## Beam search: the best answer, not the best next step
#
# Greedy choice can walk into a trap. Here is a language of six words, as a table of what may follow what. **Predict** the
# greedy sentence of two words and its probability. Is there a likelier one?

# %%
words = ["<start>", "a", "the", "cat", "dog", "sun"]
follows = {
    "<start>": {"a": 0.55, "the": 0.45},
    "a": {"cat": 0.4, "dog": 0.35, "sun": 0.25},
    "the": {"sun": 0.9, "cat": 0.1},
}
table = np.full((6, 6), -50.0)  # logits of what never follows
for first, nexts in follows.items():
    for second, p in nexts.items():
        table[words.index(first), words.index(second)] = np.log(p)


def next_logits(ids, cache):
    return table[ids[:, -1]]  # (B, V)


for beams in (1, 2):
    reader = Reader(next_logits, None, [[0]], block_size=8, vocab_size=6)
    for best in beam_search(reader, max_new_tokens=2, beams=beams, n=beams):
        said = " ".join(words[i] for i in best.ids)
        print(f"beams {beams}: {said:<8} probability {np.exp(best.log_probability):.3f}")

# %% [markdown]
# <details><summary>What happened</summary>
#
# `a` is the likelier first word, and whoever takes it can get `0.55 * 0.4` at best. `the` looks worse and leads to
# `0.45 * 0.9`. With one beam `the` is thrown away in the first step; with two it is still there in the second.
# </details>
#
# Does it help our model? **Predict:** more of the days right, fewer, or the same?

# %%
for beams in (1, 4):
    found = translate(model, tok, sources[:100], beams=beams) if beams > 1 else answers[:100]
    print(f"beams {beams}: {exact_match(found, wanted[:100]):.0%} of 100 right")
rows = zip(sources, answers, found, wanted, strict=False)
other = [row for row in rows if row[1] != row[2]]
for source, greedy, beam, right in other[:4]:
    print(f"{source:>18}: greedy {greedy}, beams {beam}, right {right}")
print(len(other), "answers differ")

# %% [markdown]
# <details><summary>What to think of it</summary>
#
# Beam search finds answers that the *model* thinks likelier. If the model is wrong, it finds the wrong one more surely. Where
# a model is nearly always sure, as here, it changes next to nothing; for stories it does harm, since the likeliest text is
# a dull one ([11](11_sampling.ipynb)).
# </details>
#
# ## Encoder, decoder, or both?
#
# | | reads | is used for | in this library |
# | --- | --- | --- | --- |
# | both | source both ways, target from left to right | one text becomes another | `EncoderDecoder` |
# | decoder alone | from left to right | going on, chat; and all the rest, put as text | `GPT` |
# | encoder alone | both ways | labels, filling blanks | `MaskedLM`, `EncoderClassifier` |
#
# A GPT can do this task too: `3 March 2021>2021-03-03` as one text, as in [00](00_start_here.ipynb). Its causal attention
# then does what cross-attention does here.
#
# **Try this**
#
# - Half of the steps. Which mistakes are left, and what do beams do now?
# - `n_layer=2`: fewer steps or more? And what do the two layers of cross-attention share out among them?
# - Ask for a day without its year: `translate(model, tok, ["3 March"])`. What is made up, and where does it look?
# - `from minigpt.data.pair_tasks import reverse`: the picture becomes a line against the diagonal. The same steps do not
#   suffice: why is this harder than it looks?
#
# **Exercise:** `python -m minigpt.classroom start ex_cross_attention`

# %% [markdown]
# ## In your own words
#
# 1. Where do queries, keys and values of cross-attention come from, and which shape have its weights?
# 2. Which of the three masks would you forget most easily, and how would you notice?
# 3. What does beam search promise, and what does it not?
