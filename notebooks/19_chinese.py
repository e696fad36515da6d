# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Chinese: another script, the same model
#
# **Aim** Tokenize Chinese by characters and by bytes, train a small GPT on it, let it write and answer questions, and watch it
# look back at the one character that decides which noun may follow. No Chinese is needed; everything is explained.
#
# **Time** 40 minutes
#
# **Prerequisites** [08 GPT](08_gpt.ipynb), [12 Tokenizers](12_tokenizers.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import re
from collections import Counter

import numpy as np

from minigpt.data import load_corpus
from minigpt.data.chinese import MEASURES
from minigpt.inspect import ablate, attention_weights
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import BPETokenizer, CharTokenizer
from minigpt.tokenizers.bpe_explain import visible
from minigpt.training import TrainConfig, Trainer
from minigpt.viz import AttentionGrid, HeadView, LossCurve

# %% [markdown]
# If a picture below shows `\u732b` where a Chinese character should be, Matplotlib knows of no Chinese font on your
# machine. Everything works all the same. To see the characters, install one (Noto Sans CJK, WenQuanYi Micro Hei …),
# delete the list of fonts that Matplotlib keeps, `fontlist-….json` in the folder `matplotlib.get_cachedir()`, and
# start the notebook again.
#
# ## The text
#
# Twelve hundred small scenes come with the library. A grammar wrote them (`minigpt/data/chinese.py`), so we know
# exactly what there is to learn.

# %%
text = load_corpus("chinese").text
scenes = text.splitlines()
print(f"{len(scenes)} scenes, {len(text):,} characters\n")
print("\n".join(scenes[14:18]))

# %% [markdown]
# The second of them, part by part:
#
# | | | |
# | --- | --- | --- |
# | 秋天， | *qiūtiān* | in autumn |
# | 同学在厨房里 | *tóngxué zài chúfáng lǐ* | the classmate, in the kitchen |
# | 准备了一碗汤。 | *zhǔnbèi le yì wǎn tāng* | prepared a bowl of soup. |
# | 同学和爷爷都很高兴。 | *tóngxué hé yéye dōu hěn gāoxìng* | Classmate and grandfather were both glad. |
# | 问：谁准备了汤？ | *wèn: shéi zhǔnbèi le tāng* | Question: who prepared soup? |
# | 答：同学。 | *dá: tóngxué* | Answer: the classmate. |
#
# No spaces, no endings, no capital letters: *who* (谁) stands where the person would stand, 了 says that it is done.
# And between a number and a noun stands a **measure word** that the noun chooses: 一**碗**汤 (a *bowl* soup), 一**只**猫 (a
# *zhī* cat), 一**条**鱼 (a *tiáo* fish, for long things), 一**本**书 (a *běn* book). English has a few ("two *sheets* of
# paper"), Chinese needs one always.
#
# ## Characters or bytes?
#
# **Predict:** how many different characters does the text have? (English needs some eighty.) And how many bytes does
# one take in UTF-8?

# %%
chars = CharTokenizer.train(text)
print("different characters:", chars.vocab_size)
frequent = Counter(text.replace("\n", "")).most_common(12)
print("most frequent: ", "  ".join(f"{c} {n}" for c, n in frequent))
for character in "猫A，":
    print(character, "is the bytes", character.encode().hex(" "))

# %% [markdown]
# A Chinese dictionary has tens of thousands of characters, and one that is not in the list cannot be encoded at all.
# Real Chinese models therefore use bytes and BPE. **Predict:** how many tokens does BPE make of 一只猫 with no merges,
# with those learned from English, and with some learned from this text?

# %%
english = BPETokenizer.train(load_corpus("python").text, vocab_size=2048)
byte_pairs = BPETokenizer.train(text, vocab_size=1024)
for name, tok in {"from English": english, "from this text": byte_pairs}.items():
    shown = [visible(tok.decode_bytes([i])) for i in tok.encode("一只猫")]
    print(f"{name:<15} {len(shown)} tokens: {' | '.join(shown)}")

# %% [markdown]
# `<E4>` is a byte that is no text on its own, a third of a character. Even with this text 猫 (cat) may be left in two
# parts: BPE gives a token to what is frequent, and there are not many cats. How does it get from thirds to words?
# Watch it:

# %%
byte_pairs.explain("看见了")

# %% [markdown]
# First bytes become characters, then characters become words: 看见了 (*kànjiàn le*, saw) is three characters and one
# token. Nobody told it where Chinese words begin, and there are no spaces that could have. The longest tokens that it
# found:

# %%
tokens = [(left + right).decode(errors="ignore") for left, right in byte_pairs.merges]
print("  ".join(sorted(tokens, key=len, reverse=True)[:18]))

# %% [markdown]
# Whole sentences: in English a token ends at the next space at the latest, here only at the next mark. A grammar
# repeats itself much more than people do, so on real text tokens would be shorter.
#
# **Predict:** how large must the vocabulary be for BPE to make fewer tokens than there are characters?

# %%
print(f"{'characters':<22}{chars.vocab_size:>6} ids {len(chars.encode(text)):>8,} tokens")
for size in [256, 300, 400, 512, 768, 1024, 2048]:
    tok = BPETokenizer.train(text, vocab_size=size)
    n = len(tok.encode(text))
    per_character = f"{n / len(text):.2f} per character"
    print(f"{'BPE on bytes':<22}{tok.vocab_size:>6} ids {n:>8,} tokens, {per_character}")

# %% [markdown]
# <details><summary>What to see</summary>
#
# Bytes alone need three tokens for each character. BPE spends its first few hundred merges on what characters give
# away for free, namely the characters. From then on it wins, because it learns words.
# </details>
#
# We train on characters: the model is small, and each token can be read.
#
# ## Training
#
# One row for each scene, filled up at the end; places that are filled up get `-100`, "does not count", as in
# [00](00_start_here.ipynb). The last hundred scenes are kept back.

# %%
encoded = [chars.encode(scene + "\n") for scene in scenes]
T = max(map(len, encoded))
ids = np.zeros((len(scenes), T), int)
targets = np.full((len(scenes), T), -100)
for row, one in enumerate(encoded):
    ids[row, : len(one)] = targets[row, : len(one)] = one
seen, kept_back = ids[:-100], scenes[-100:]


class Scenes:
    def batch(self, rng, n):
        rows = rng.integers(0, len(seen), n)
        return {"ids": ids[rows, :-1], "targets": targets[rows, 1:]}  # (n, T - 1) each


print("rows", seen.shape, "- a scene has at most", T, "tokens")

# %% [markdown]
# **Predict:** with which loss does it begin? (See [03](03_softmax_cross_entropy.ipynb).)

# %%
config = GPTConfig(vocab_size=chars.vocab_size, block_size=T, n_layer=2, n_head=2, n_embd=64)
model = GPT(config, seed=0)
recipe = TrainConfig(steps=360, batch_size=16, lr=1e-2, warmup=20, workers=1, progress=False)
loss = Trainer(model, Scenes(), recipe).fit()["loss"]
print(f"{model.num_parameters():,} parameters; log V = {np.log(chars.vocab_size):.2f}")
run = {"train": {"steps": range(1, len(loss) + 1), "losses": loss}}
LossCurve({"GPT": run}, unit="nats/character")

# %% [markdown]
# It can't get to 0: which animal somebody will meet, nobody can know.
#
# ## Let it write

# %%
for seed in range(5):
    print(mg.generate(model, chars, "今天，", T - 3, temperature=0.8, stop="\n", seed=seed)[0])

# %% [markdown]
# 今天 is *today*. Characters, words, word order and marks are in place. Is the *meaning* too? Two things can be
# counted: does the measure word fit its noun, and are questions answered correctly?

# %%
counted = re.compile("[一两三四五十](.)([^。]*)。")


def fits(scene):
    found = counted.search(scene)
    nouns = [noun for noun in MEASURES if found and found[2].endswith(noun)]
    return any(MEASURES[noun] == found[1] for noun in nouns)


# %%
start = chars.encode("今天，")
written = model.generate(np.tile(start, (100, 1)), T - len(start), temperature=0.8, seed=0)
written = [chars.decode(row).split("\n")[0] for row in written]
share = np.mean([fits(scene) for scene in written])
print(f"measure word fits the noun: {share:.0%} of what it wrote")


def with_noun_of(other, scene):
    mine, its = counted.search(scene), counted.search(other)
    return scene[: mine.start(2)] + its[2] + "。"


mixed = [with_noun_of(other, scene) for other, scene in zip(scenes, kept_back, strict=False)]
print(f"a noun of another scene in its place: {np.mean([fits(scene) for scene in mixed]):.0%}")

# %% [markdown]
# **Predict:** which kind of question will it answer best: 谁 (who), 什么 (what), 什么时候 (when), 哪里 (where)? The answer
# always stands in the scene.

# %%
kinds = {"谁": "who", "什么时候": "when", "哪里": "where", "什么": "what"}
right = {kind: [] for kind in kinds}
for scene in kept_back:
    question, answer = scene.split("答：")
    kind = next(kind for kind in kinds if kind in question.split("问：")[1])
    said = mg.generate(model, chars, question + "答：", len(answer), temperature=0)[0]
    right[kind].append(said == answer)
for kind, results in right.items():
    print(f"{kinds[kind]:<6} {np.mean(results):>5.0%} of {len(results):>2} right   {kind}")

# %% [markdown]
# <details><summary>Why they differ</summary>
#
# *Where* has a handful of possible answers, most of which follow from the thing. For *who* the name has to be found
# in the scene, and for *when* and *what* something that was said only once, or has many parts. A larger model, or
# more training, gets better at all of them: try it.
# </details>
#
# ## Where does it look?
#
# Here somebody is about to name an animal. 只 is the measure word of cats, dogs and birds, 条 that of fish and snakes,
# 匹 that of horses. **Predict:** which nouns does the model expect, and what changes with the measure word?


# %%
def next_characters(prompt, n=4):
    with mg.no_grad():
        logits, _ = model(np.array([chars.encode(prompt)]))  # (1, T, V)
    p = mg.functional.softmax(logits[0, -1]).numpy()  # (V,)
    return [(chars.decode([i]), p[i]) for i in p.argsort()[::-1][:n]]


for measure in "只条匹头":
    likely = next_characters(f"今天，妈妈在公园里看见了一{measure}可爱的")
    print(f"一{measure}可爱的 …  ", "  ".join(f"{c} {p:.0%}" for c, p in likely))

# %% [markdown]
# 猫 cat, 狗 dog, 鸟 bird, 鸡 hen, 羊 sheep, 兔 rabbit, 鸭 duck; 鱼 fish, 蛇 snake; 马 horse; 牛 cow, 猪 pig. (可爱的 is *lovely*,
# and stands in between, so the character just before does not tell.) One character, three places back, decides.
# Something has to look at it:

# %% tags=["picture"]
prompt = "今天，妈妈在公园里看见了一只可爱的"
weights = attention_weights(model, chars.encode(prompt))  # (layers, heads, T, T)
AttentionGrid(weights, list(prompt), title="Which head looks at 只 (zhī) when the noun is due?")

# %% [markdown]
# Look at the last row, that of 的, whose task it is to guess the noun. One picture is one case; so the same for all
# the scenes that were kept back, the row before the noun, the column of the measure word:

# %%
shares = []
for scene in kept_back:
    found = counted.search(scene)
    noun = next((noun for noun in MEASURES if found[2].endswith(noun)), "")
    before = found.end(2) - len(noun)  # the noun begins here
    if before > found.end(1):  # an adjective stands between
        w = attention_weights(model, chars.encode(scene[:before]))
        shares.append(w[:, :, -1, found.start(1)])  # (layers, heads)
mean = np.mean(shares, axis=0)
print(f"{len(shares)} scenes; share of its attention that goes to the measure word:")
for layer, head in np.ndindex(mean.shape):
    print(f"layer {layer} head {head}: {mean[layer, head]:.0%}")

# %% [markdown]
# ## Is that how it knows?
#
# Take heads away, one at a time, and see how much of the probability still goes to nouns that fit.


# %%
def share_that_fits():
    total = []
    for measure in "只条匹头":
        nouns = {noun[0] for noun, its in MEASURES.items() if its == measure}
        likely = next_characters(f"今天，妈妈在公园里看见了一{measure}可爱的", chars.vocab_size)
        total.append(sum(p for c, p in likely if c in nouns))
    return np.mean(total)


print(f"whole model:          {share_that_fits():.0%}")
for layer, head in np.ndindex(mean.shape):
    with ablate(model, heads=[(layer, head)]):
        print(f"without layer {layer} head {head}: {share_that_fits():.0%}")

# %% [markdown]
# <details><summary>What this says</summary>
#
# Compare the two lists. If the head that looks at the measure word most is also the one without which the nouns no
# longer fit, picture and test agree. They need not: in [00](00_start_here.ipynb) each of two heads could do the work
# of the other. And what one head has read may be mixed into a token at which another one looks later.
# </details>
#
# ## Answering
#
# And this is a question with its answer due: 谁 (who)? **Predict** where the last `：` has to look.

# %%
scene = "早上，奶奶买了一只鸭子。问：谁买了鸭子？答："
print("next:", "  ".join(f"{c} {p:.0%}" for c, p in next_characters(scene)))
weights = attention_weights(model, chars.encode(scene))  # (layers, heads, T, T)
to_name = weights[:, :, -1, 3:5].sum(axis=-1)  # (layers, heads)
layer, head = (int(k) for k in np.unravel_index(to_name.argmax(), to_name.shape))
print(f"most of it to the name: layer {layer} head {head}, {to_name.max():.0%}")
HeadView(weights, list(scene), title="Who bought the duck?", layer=layer, heads=[head])

# %% [markdown]
# ## What to try
#
# - Ask it about somebody that no scene has, 猫买了一只鸭子 (the cat bought a duck). What is the answer to 谁?
# - Train on BPE tokens: put `byte_pairs` in place of `chars`. Fewer tokens, a larger table. Compare the losses per
#   *character* (see the end of [12](12_tokenizers.ipynb)), and look for a `�` in what it writes: half a character.
# - Your own sentences: `text = load_corpus("my_text.txt").text`, one a line. Which characters has the tokenizer never
#   seen?
# - In a terminal: `python -m minigpt train --data chinese`.
#
# **Exercises** `python -m minigpt.classroom start ex_induction_head` (how a model copies a name from earlier in the text), and
# `ex_bpe_merge`, which works on Chinese bytes as on English ones.

# %% [markdown]
# ## In your own words
#
# 1. Why does BPE that was trained on English need three tokens for most Chinese characters, and none is ever unknown?
# 2. What does a model have to do to get a measure word and its noun right when an adjective stands between?
# 3. A head looks at the measure word. What would you do before you say "this head is for measure words"?
