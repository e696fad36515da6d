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

from minigpt import Tensor, inspect, nn, viz
from minigpt import functional as F
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
x, memory = (Tensor(rng.standard_normal((B, n, C)).astype(np.float32)) for n in (T, S))
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
print("largest difference:", f"{abs((by_hand - y).numpy()).max():.0e}" if False else np.allclose(by_hand.numpy(), y.numpy(), atol=1e-6))

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
# and see which numbers change. **Predict** each of the four lines:

# %%
config = EncoderDecoderConfig(
    vocab_size=tok.vocab_size, block_size=24, n_layer=1, n_head=4, n_embd=64,
    start_id=data.start_id, end_id=data.end_id,
)  # fmt: skip
model = EncoderDecoder(config, seed=0)
model.tokenizer = tok
src, tgt, mask = (batch[name].copy() for name in ("src", "tgt", "src_mask"))
print(f"{model.num_parameters():,} parameters; memory", model.encode(src, mask).shape)


def change(part, row, at, src_mask):
    """(number of memory places, of logit places) that differ when one token of a row is another."""
    runs = []
    for ids in ({}, {part: 7}):
        s, t = src.copy(), tgt.copy()
        if ids:
            (s if part == "src" else t)[row, at] = 7
        with model.evaluating():
            seen = model.encode(s, src_mask)
            runs.append((seen.numpy()[row], model.decode(t, seen, src_mask).numpy()[row]))
    (m0, l0), (m1, l1) = runs
    return [np.flatnonzero(abs(a - b).max(axis=-1) > 1e-5).tolist() for a, b in ((m0, m1), (l0, l1))]


# %%
short = int(mask.sum(axis=1).argmin())  # the row that was filled up
n = int(mask[short].sum())
for what, args in {
    "last letter of the source": ("src", short, n - 1, mask),
    "target token 6": ("tgt", short, 6, mask),
    "padding, with the mask": ("src", short, n, mask),
    "padding, without it": ("src", short, n, None),
}.items():
    in_memory, in_logits = change(*args)
    print(f"{what:<26} memory places {in_memory}\n{'':<26} logit places  {in_logits}")
