# %% [markdown]
# # Tokenizers: where text is cut
#
# **Aim** See what a model is really given to read: do byte-pair encoding (BPE) by hand, merge by merge, and find out why a
# model miscounts letters, stumbles over sums, and charges more for some languages than for others.
#
# **Time** 45 minutes
#
# **Prerequisites** [00 Start here](00_start_here.ipynb); no mathematics

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import unicodedata
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt

from minigpt.data import load_corpus
from minigpt.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer
from minigpt.tokenizers.bpe_explain import visible
from minigpt.training import bits_per_byte
from minigpt.viz import TokenScores

# %% [markdown]
# ## Three ways to cut
#
# A model has a table with one row for every token that it can ever meet. So a text has to be cut into pieces from a
# fixed list, the *vocabulary*. What should the pieces be? Characters, words, or bytes? We have a text to make the
# lists from: the prose of Python's own documentation.

# %%
corpus = load_corpus("python").text
print(f"{len(corpus):,} characters; an excerpt:\n")
print(corpus[100_000:100_300])

# %% [markdown]
# **Predict:** which of the two has the larger vocabulary, characters or words? Which makes the longer sequence of the
# same sentence?

# %%
chars = CharTokenizer.train(corpus)
words = WordTokenizer.train(corpus)
sentence = "The iterator returns itself."
for name, tok in {"characters": chars, "words": words}.items():
    ids = tok.encode(sentence)
    print(f"{name:<11} vocabulary {tok.vocab_size:>6,}   tokens {len(ids):>3}   {ids[:8]} …")
print(f"{'bytes':<11} vocabulary {256:>6,}   tokens {len(sentence.encode()):>3}")

# %% [markdown]
# Words give short sequences and an endless vocabulary, characters the reverse. And both have a hole.
#
# **Predict:** what does each make of a text with something that its list does not have?

# %%
new = "The llama iterates 🦙"
print("words:     ", words.decode(words.encode(new)))
try:
    chars.encode(new)
except mg.TokenizerError as error:
    print("characters:", str(error).split(":")[0])
print("bytes:     ", list(new.encode()))

# %% [markdown]
# `<unk>` is "unknown": the word is lost, and so are the capital letters of the rest, which this tokenizer does not
# keep. The characters have no id for the llama at all. Bytes have no hole: everything that a computer can write down
# is a sequence of numbers from 0 to 255. But they make the longest sequences of the three.
#
# *Byte-pair encoding* has the best of each: begin with bytes, so that nothing is ever unknown, and give frequent runs
# of bytes a token of their own, so that sequences become short.
#
# ## BPE by hand
#
# The whole method is: count neighbours, join the pair that is most frequent, repeat. Here is a text that is short
# enough to do it on paper. The space belongs to the word *after* it; `␣` makes it visible.

# %%
text = "low lower lowest fast faster fastest old older oldest"
pieces = [list(word) for word in text.replace(" ", " ␣").split()]


def count_pairs(pieces):
    return Counter(pair for piece in pieces for pair in pairwise(piece))


for (left, right), n in count_pairs(pieces).most_common(6):
    print(f"{left} + {right}   {n} times")

# %% [markdown]
# `s` + `t` is ahead: it is in *fast* as in *-est*. **Predict:** once the two are joined, how often is the pair `e` +
# `s` there?


# %%
def join(piece, pair):
    joined = []
    for token in piece:
        if joined and (joined[-1], token) == pair:
            joined[-1] += token
        else:
            joined.append(token)
    return joined


pair = ("s", "t")
pieces = [join(piece, pair) for piece in pieces]
print("  ".join("|".join(piece) for piece in pieces))
after = count_pairs(pieces)
print(f"e + s {after['e', 's']} times, e + st {after['e', 'st']} times")

# %% [markdown]
# `e` + `s` is gone, `e` + `st` has taken its place. This is why one counts again after each merge. The rest is a
# loop. **Predict:** after eleven merges, which of these will be *one* token: `low`, `er`, `est`, `lower`, `␣fast`?

# %%
merges = [pair]
for _ in range(10):
    counts = count_pairs(pieces)
    pair = max(counts, key=counts.get)  # the first of equals
    merges.append(pair)
    pieces = [join(piece, pair) for piece in pieces]
    shown = " ".join("|".join(piece) for piece in pieces)
    print(f"{counts[pair]} × {'+'.join(pair):<7} {shown}")

# %% [markdown]
# Nobody told it about stems and endings. It has joined what was frequent, and in a language that is what has a
# meaning of its own.
#
# The library's tokenizer does the same on bytes. **Predict:** how large must `vocab_size` be for eleven merges?

# %%
small = BPETokenizer.train(text, vocab_size=256 + 11)
print("by hand:", "  ".join(left + right for left, right in merges))
print("library:", "  ".join(visible(left + right) for left, right in small.merges))

# %% [markdown]
# <details><summary>Why the order differs</summary>
#
# 256 bytes and eleven merges. Where two pairs are equally frequent, one has to come first. We took the one that
# stands first in the text, the library the one with the smaller ids: it came to `␣fast` by `ast`, we by `␣f`. Any
# rule will do, as long as it is always the same: a model has learned what the ids of *its* tokenizer mean, and is of
# no use with another's.
# </details>
#
# ## Using it: the merges in their order
#
# The list of merges *is* the tokenizer. A new word is cut into bytes, then the merges are done in the order in which
# they were learned. `explain` prints that as stairs. **Predict** the tokens of *lowers* and *coldest*, which were not
# in the text.

# %%
small.explain(" lowers coldest")

# %% [markdown]
# *Coldest* was never seen, and yet it is cut where a person would cut it, nearly. But the same word may be cut in
# other ways elsewhere: only the ranks decide, not the meaning.
#
# ## Learned from a real text
#
# Now from all of the documentation. These are the first merges, and then the longest tokens of all:

# %%
tok = BPETokenizer.train(corpus, vocab_size=2048)
print("first: ", " ".join(visible(left + right) for left, right in tok.merges[:24]))
tokens = sorted({left + right for left, right in tok.merges}, key=len, reverse=True)
print("longest:", "  ".join(visible(token) for token in tokens if token.strip().isalpha())[:170])

# %% [markdown]
# How is a sentence cut? The colour is the number of bytes that a token stands for; run the cell and point at one.

# %% tags=["picture"]
sentence = (
    "The iterator returns itself. Indivisible strawberries, unbelievably, "
    "cost 1234.50 in 2026; the naïve café takes no exceptions."
)


def cut(text, tok=tok):
    return [visible(tok.decode_bytes([i])) for i in tok.encode(text)]


sizes = [len(tok.decode_bytes([i])) for i in tok.encode(sentence)]
TokenScores(cut(sentence), {"bytes in a token": sizes}, title="How BPE cuts a sentence")

# %% [markdown]
# What the documentation says often, is one token; what it never says falls to pieces. A tokenizer is a memory of the
# text that it was trained on.
#
# ## White space counts
#
# **Predict:** how many different ids does the word *the* have here? And what becomes of indented code?

# %%
for text in ["the", " the", "The", " The", " THE"]:
    print(f"{text!r:<8} ids {tok.encode(text)}")
print(cut("    if done:" + "\n        return y\n"))

# %% [markdown]
# To the model these are unrelated numbers; that they mean nearly the same it has to learn from examples. In practice:
# a prompt that ends with a space is a trap. The model has learned that the space comes *with* the next word:

# %%
print(cut("return the"), "  what was trained on")
print(cut("return "), "         a prompt with a space at the end:")
print("the next token would have to be 'the' without a space, which hardly ever followed one")

# %% [markdown]
# ## Tokens per character, in several scripts
#
# The same sentence in several languages, and a little that is no language. **Predict:** which costs most tokens
# per character? (In UTF-8 a letter of English takes one byte, of Greek or Russian two, of Hindi or Chinese three,
# an emoji four.)

# %%
same = {
    "English": "All people are born free.",
    "Deutsch": "Alle Menschen werden frei geboren.",
    "Ελληνικά": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι.",
    "Русский": "Все люди рождаются свободными.",
    "हिन्दी": "सब लोग स्वतंत्र जन्म लेते हैं।",
    "中文": "所有人生来自由。",
    "emoji": "🙂🚀👩‍🚀",
}
print("characters  bytes  tokens  tokens per character")
for name, text in same.items():
    n = len(tok.encode(text))
    print(f"{len(text):>10}{len(text.encode()):>7}{n:>8}{n / len(text):>12.2f}   {name}")

# %% [markdown]
# For scripts that it was not trained on, BPE falls back to bytes. Whoever pays by the token, or has a window of so
# many tokens, gets less of it in Hindi than in English. This has nothing to do with the languages: a tokenizer that
# was trained on Chinese does the reverse, as [19 Chinese](19_chinese.ipynb) shows.
#
# What looks like one character need not be one. **Predict** the number of tokens of these:

# %%
for text in ["é", unicodedata.normalize("NFD", "é"), "🙂", "👩‍🚀"]:
    names = " + ".join(unicodedata.name(c).title() for c in text)
    print(f"{len(text)} characters, {len(tok.encode(text)):>2} tokens: {names}")

# %% [markdown]
# A token may end in the middle of a character. Taken alone it is no text, and decodes to `U+FFFD`, the sign for "no
# character". So a program that shows text while it is being written has to wait for the rest (`mg.stream` does).

# %%
ids = tok.encode("🙂")
for n in range(1, len(ids) + 1):
    print(n, "tokens:", ascii(tok.decode(ids[:n])), tok.decode_bytes(ids[:n]))

# %% [markdown]
# ## Why spelling is hard
#
# How many *r* are there in "strawberry"? **Predict** what the model gets to see of the question:

# %%
for text in [" strawberry", " Strawberry", "s t r a w b e r r y", " exceptions"]:
    print(f"{len(text.strip()):>2} characters, ids {tok.encode(text)}\n   {cut(text)}")

# %% [markdown]
# An id says nothing about letters. That ` exceptions` has ten of them, and which, cannot be read off its number; the
# model knows only what texts have told it. With spaces between them the letters come one by one, and the task becomes
# easy. The game in [00](00_start_here.ipynb), words backwards, was easy for the same reason: characters were its
# tokens.
#
# ## Why arithmetic is hard
#
# To add on paper, one writes units below units. **Predict:** how is each number cut?

# %%
for number in ["7", "42", "100", "101", "1000", "1001", "1234", "2345", "12345", "31415926"]:
    print(f"{number:>9}  {'|'.join(cut(number))}")

# %% [markdown]
# The cuts fall wherever the training text happened to have frequent numbers. Neighbours such as `100` and `101` may
# look quite different, and the same digit is alone here and part of a token there. Later models cut differently
# *before* merging: single digits, or groups of three. BPE stays the same, what changes is the pattern that cuts a
# text into pieces:

# %%
for piece in tok.explain("x1 = 12345+a_b don't\n\n  ok").pieces:
    print(repr(piece.text), end="  ")

# %% [markdown]
# No token ever crosses the border of such a piece. That is why ` dog.` and ` dog!` share the token ` dog`.
#
# ## Special tokens
#
# Some tokens stand for no text: *the document ends here*, *now the assistant speaks*. They are never merged, and get
# ids of their own. **Predict** the number of tokens of `<|end|>` before and after it is added:

# %%
special = BPETokenizer.train(corpus[:50_000], vocab_size=512)
print(len(special.encode("Bye.<|end|>")), "tokens before:", cut("Bye.<|end|>", special))
special.add_special_tokens(["<|end|>"])
ids = special.encode("Bye.<|end|>")
print(len(ids), "tokens after: ", cut("Bye.<|end|>", special))
print("for people:", special.decode(ids, skip_special_tokens=True))
print("vocabulary:", special.vocab_size, "so the model needs model.resize_vocab of that")

# %% [markdown]
# Whoever can write such a token into a text can make a model believe that somebody else is speaking. A chat program
# has to take care of that; [17 Fine-tuning and chat](17_finetuning_chat.ipynb) comes back to it.
#
# ## How large a vocabulary?
#
# More merges: shorter sequences, so that a window holds more text; but a larger table, and rarer tokens. **Predict:**
# if the vocabulary doubles from 4096 to 8192, does the sequence become half as long?

# %%
sizes = [256, 512, 1024, 2048, 4096, 8192]
lengths, rare = [], []
print("vocabulary  tokens  bytes per token  seen under 10 times  table, C = 64")
for size in sizes:
    one = BPETokenizer.train(corpus, vocab_size=size)
    ids = one.encode(corpus)
    seen = Counter(ids)
    lengths.append(len(ids))
    rare.append(sum(seen[i] < 10 for i in range(256, size)))
    per_token = len(corpus.encode()) / len(ids)
    print(f"{size:>10}{len(ids):>8,}{per_token:>17.2f}{rare[-1]:>21,}{size * 64:>15,}")

# %%
_, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8))
names = [str(size) for size in sizes]
left.plot(names, [n / 1000 for n in lengths], "o-")
left.set(xlabel="vocabulary", ylabel="tokens of the corpus, thousands")
left.set_ylim(0)
relative = [(n / lengths[0]) ** 2 for n in lengths]
right.plot(names, [n / lengths[0] for n in lengths], "s--", label="tokens, $T$")
right.plot(names, relative, "o-", label="pairs of tokens, $T^2$")
right.set(xlabel="vocabulary", ylabel="compared with bytes", ylim=(0, None))
right.legend(frameon=False)
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# The first few hundred merges halve the text; after that each doubling helps less. Attention compares every token
# with every other, so for the same text its work falls with the *square*. But the table has a row for each token, and
# a row is trained only when its token turns up: rare tokens stay nearly as random as they began. A small text wants a
# small vocabulary. GPT-2 was trained on forty gigabytes, and has `50257` tokens.
# </details>
#
# One warning. The loss in nats *per token* cannot be compared between tokenizers: longer tokens are harder to guess
# and there are fewer of them. Divide by something that does not depend on the cut, by bytes. Suppose one model reads
# bytes, another the tokens of the fourth row above, and these are their losses. **Predict:** which is the better one?

# %%
n_bytes = len(corpus.encode())
for loss, n, what in [(1.7, lengths[0], "bytes"), (4.5, lengths[3], "V = 2048")]:
    print(f"{loss} nats per token, {what:<9}= {bits_per_byte(loss, n, n_bytes):.2f} bits per byte")

# %% [markdown]
# The second: its loss per token is far larger, but it has far fewer tokens to guess.
#
# **Try this**
#
# - Put a text of your own in place of `corpus` (`load_corpus` takes the path of a file). Which tokens appear that
#   only you   have?
# - Train on `corpus.upper()`. What does ` the` cost now?
# - Train on `" ".join(corpus)`, letters with spaces between. What can BPE do with that? Why?
# - Make the numbers from 0 to 9999 a text, train on it, and look again at how `1234` and `12345` are cut.
#
# **Exercise** `python -m minigpt.classroom start ex_bpe_merge`: write the merging yourself, so that it is
# right for `aaa` too.

# %% [markdown]
# ## In your own words
#
# 1. Why can byte-level BPE encode every text, and what does it cost where its training text had nothing like it?
# 2. Someone asks a model how many letters a word has, and it is wrong. What does the model see, and what would you change?
# 3. What speaks for a larger vocabulary, and what against it?
