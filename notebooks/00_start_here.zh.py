# %% [markdown]
# # 从这里开始：五分钟认识 GPT
#
# **目标** 用几秒钟训练一个小小的 GPT，向它提问，并**亲眼看到**它怎样找到答案。
# 你只需要会一点 Python，不需要懂神经网络；这里出现的每个名词，后面的笔记本都会讲清楚。
#
# **时间** 10 分钟
#
# **先修** 无
#
# 按 Shift + Enter 运行一个单元格。随便改、随便再运行：什么也不会弄坏。

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
# ## 一个游戏
#
# 语言模型只做一件事：读一段文字的开头，说出接下来是什么。我们想让它做的任何事，都要写成一段“可以接着往下写”的文字。
# 这里就是这样一个游戏：一个单词，一个 `>`，然后是倒着写的同一个单词。没有人告诉模型规则，它只能看到例子。

# %%
rng = np.random.default_rng(0)
letters = list("abcdefghijklmnopqrstuvwxyz")


def example():
    word = "".join(rng.choice(letters, 5))
    return f"{word}>{word[::-1]}"


examples = [example() for _ in range(4000)]
print("\n".join(examples[:4]))

# %% [markdown]
# 这些“单词”由随机抽取的字母组成，所以没法靠死记硬背。
#
# **先猜一猜：** 五个字母的单词一共有多少个？我们的例子占了其中多大一部分？

# %%
possible = 26**5
print(f"{possible:,} words are possible; we have {len(examples):,}")
print(f"one in {possible // len(examples):,}")

# %% [markdown]
# ## 文字变成数字
#
# 模型用数字计算，所以每个字符都有一个编号，叫做 **token id**（词元编号）。分词器（tokenizer）保管这张对照表。

# %%
tok = CharTokenizer.train("".join(examples))
ids = np.array([tok.encode(text) for text in examples])
print("hello>  becomes ", tok.encode("hello>"))
print("and back again: ", tok.decode(tok.encode("hello>")))
print("vocabulary:     ", tok.vocab_size, "tokens")
print("all examples:    shape", ids.shape)

# %% [markdown]
# ## 还什么都没学过的模型
#
# 只有一层，里面有两个**注意力头**（attention head）：它们负责回头看前面读过的内容。
# GPT-2 的构造与此相同，只是每样都更多。
#
# **先猜一猜：** 现在它会怎么回答？

# %%
config = GPTConfig(vocab_size=tok.vocab_size, block_size=11, n_layer=1, n_head=2, n_embd=64)
model = GPT(config, seed=0)
print(f"{model.num_parameters():,} numbers that can be learned, all of them random so far")
print("hello>" + mg.generate(model, tok, "hello>", max_new_tokens=5, temperature=0)[0])

# %% [markdown]
# ## 训练
#
# 每一步，模型拿到几个例子，猜 `>` 后面的每个字母；然后它的每个数字都朝“本可以猜得更准”的方向挪动一点点。
# 猜得有多差，就叫**损失**（loss）；0 表示完美。
#
# 训练器会调用 `batch(rng, n)`，它要知道：读什么，以及每个位置上正确的下一个词元是什么。
# 题目里的字母是随机的，谁也猜不到，所以给它们标上 `-100`，意思是“不计分”。


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
# ## 问问它

# %%
for word in ["hello", "world", "tiger", "zzzzz", "qwxyz"]:
    print(word + ">" + mg.generate(model, tok, word + ">", max_new_tokens=5, temperature=0)[0])

# %% [markdown]
# 只问几个，说明不了什么。下面是两百个新单词，没有一个在例子里出现过：

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
# ## 它是怎么做到的？往里看
#
# 为了写出一个字母，每个注意力头都会回头看已经读过的所有内容，并决定从哪里取多少。
# 这些份额叫做**注意力权重**，是可以看见的。
# 下图中，一行是刚刚读到的词元，一列是它所看的词元；越亮表示份额越大，每一行加起来等于 1。
#
# **先猜一猜：** 刚刚读完 `>`，要写下一个字母了。模型必须看哪个字母？再往下一行呢？

# %% tags=["picture"]
text = "hello>olle"
weights = attention_weights(model, tok.encode(text))  # (layers, heads, tokens, tokens)
print("shape", weights.shape)
AttentionGrid(weights, list(text), title="Where each token looks, after training")

# %% [markdown]
# <details><summary>答案</summary>
#
# 先看单词的最后一个字母，再看倒数第二个，依此类推：从 `>` 往下，一条亮线**逆着**对角线走。没有人把这条规则写进程序。
# `>` 上面的几行是题目本身，那里的猜测不计分，所以它们看哪里都无所谓。
# </details>
#
# 同样的权重，也可以画成线：左边是正在看的词元，右边是被看的词元。线条交叉，正像一个被倒过来的单词。
# 运行这个单元格，再用鼠标指向某个词元。

# %%
HeadView(weights, list(text), title="The same, as lines")

# %% [markdown]
# ## 真的是这样做的吗？
#
# 图只是对原因的猜测。要检验，就把注意力头拿掉，再问一遍。
#
# **先猜一猜：** 拿掉第一个头还剩多少？两个都拿掉呢？

# %%
for heads in [[], [(0, 0)], [(0, 1)], [(0, 0), (0, 1)]]:
    with ablate(model, heads=heads):
        print(f"without {len(heads)} of the heads {heads!s:<18} {share_right():>5.0%} right")

# %% [markdown]
# <details><summary>这说明了什么</summary>
#
# 两张图里是同一条线，所以任何一个头都能代替另一个。只有两个都拿掉，题目到答案才没有路可走。
# “就是这个头在起作用”——图没有错，这个结论却是错的。
# </details>

# %% [markdown]
# ## 你看到了什么
#
# 文字变成编号，编号穿过模型，损失说出错得有多远，训练把损失变小，而找到答案的是注意力。
# GPT-2 的不同之处，只在规模和它读过的东西。后面的课程会把这些步骤一个个拆开，直到没有一样是你自己写不出来的：
#
# - 从最底层开始：[01 张量](01_tensors.ipynb)、[02 反向传播](02_backward.ipynb)、
#   [03 softmax 与交叉熵](03_softmax_cross_entropy.ipynb) ……
# - 直奔核心：[05 注意力](05_attention.ipynb)
# - 用真实文字训练的模型：[10 训练](10_training.ipynb)，或者在终端里输入 `make demo`
# - 中文：[19 中文](19_chinese.ipynb)
#
# **试一试：** 八个字母的单词（把各处的 `5` 改掉，`block_size` 改成 17）。只用一个头。只有三个字母的字母表。
# 需要的训练步数会怎样变化？

# %% [markdown]
# ## 用自己的话
#
# 1. 语言模型做的是什么？一个问题怎样变成它要做的事？
# 2. 注意力图的一行说的是什么？
# 3. 为什么只看图还不够，为什么还要把头拿掉？
