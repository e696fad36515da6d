"""Small scenes in Chinese, made by a grammar: who did what, where the thing is now, and a question about it.

    早上，爷爷在市场上买了一个大西瓜。爷爷把大西瓜放在桌子上。问：爷爷买了什么？答：一个大西瓜。
    In the morning grandfather bought a big melon at the market. Grandfather put the big melon on the table.
    Question: what did grandfather buy? Answer: a big melon.

What there is to learn, besides the characters:

- Measure words. Between a number and a noun stands a word that the noun chooses: 一只猫 (one-zhi cat), 一条鱼 (one-tiao
  fish), 一本书 (one-ben book). It comes *before* the noun, and adjectives may stand between, so that whoever writes the
  noun has to look back at it.
- Who and what. Later sentences name the person and the thing again; a question asks for one of them.
- 把 (ba) moves the object in front of the verb: 爷爷把大西瓜放在桌子上, grandfather BA big-melon put on the table.

The sentences are nobody's: people are called by what they are to each other. The same seed gives the same text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from ..randomness import as_generator

PEOPLE = "爷爷 奶奶 爸爸 妈妈 哥哥 姐姐 弟弟 妹妹 叔叔 阿姨 老师 同学 医生 司机 画家 农民 工人 邻居".split()
TIMES = "早上 中午 下午 晚上 昨天 今天 春天 夏天 秋天 冬天 星期天 下雨的时候".split()
NUMBERS = "一 两 三 四 五 十".split()


@dataclass(frozen=True)
class Kind:
    """Things that are handled alike."""

    actions: tuple[tuple[str, str], ...]  # where, and the verb for what is done there
    adjectives: tuple[str, ...]
    ends: tuple[str, ...]  # what is said of the thing afterwards, of {who}, {whom} and {thing}
    nouns: dict[str, str]  # noun -> measure word


def _kind(actions: str, adjectives: str, ends: str, nouns: str) -> Kind:
    """actions: "在家里/找到 …"; nouns: "只 猫 狗 / 条 鱼", a measure word, then the nouns that take it."""
    pairs = [(group.split()[0], noun) for group in nouns.split("/") for noun in group.split()[1:]]
    places = [action.split("/") for action in actions.split()]
    return Kind(
        tuple((place, verb) for place, verb in places), tuple(adjectives.split()), tuple(ends.split()),
        {noun: measure for measure, noun in pairs},
    )  # fmt: skip


KINDS = (
    _kind(  # animals
        "在公园里/看见 在河边/看见 在山上/找到 在路上/遇见 在花园里/画 在学校门口/遇见",
        "小 大 白色的 黑色的 可爱的 安静的 胖胖的",
        "{thing}在树下睡觉。 {thing}慢慢地走过来。 {who}很喜欢{thing}。 {thing}一看见{who}就跑了。",
        "只 猫 狗 鸟 兔子 羊 鸡 鸭子 / 条 鱼 蛇 / 匹 马 / 头 牛 猪",
    ),
    _kind(  # to read and to write with
        "在书店里/买 在图书馆里/借 在教室里/找到",
        "新 旧 漂亮的 便宜的",
        "{who}把{thing}放在桌子上。 {who}把{thing}送给了{whom}。 {who}把{thing}放在书包里。 {whom}也想要{thing}。",
        "本 书 词典 画册 / 张 照片 地图 邮票 / 支 铅笔 毛笔",
    ),
    _kind(  # cooked
        "在厨房里/准备 在家里/准备 在饭馆里/点",
        "热 好看的 香香的",
        "{who}把{thing}分给了{whom}。 {who}把{thing}放在桌子上。 {who}和{whom}都很高兴。 {who}觉得{thing}很好。",
        "杯 茶 咖啡 / 碗 米饭 面条 汤 / 块 蛋糕 / 盘 饺子 菜",
    ),
    _kind(  # from the market
        "在市场上/买 在商店里/买 在厨房里/找到",
        "新鲜的 便宜的 大",
        "{who}把{thing}分给了{whom}。 {who}把{thing}放在桌子上。 {who}把{thing}送给了{whom}。 {whom}也想要{thing}。",
        "个 苹果 西瓜 鸡蛋 面包 / 根 香蕉 黄瓜 / 瓶 牛奶 果汁 / 块 豆腐",
    ),
    _kind(  # to wear
        "在商店里/买 在院子里/洗 在家里/找到",
        "新 旧 红色的 蓝色的 漂亮的 干净的",
        "{who}把{thing}放在椅子上。 {who}把{thing}送给了{whom}。 {who}把{thing}放在床上。 {whom}说{thing}很漂亮。",
        "件 毛衣 衬衫 大衣 / 条 裤子 裙子 围巾 / 双 鞋 袜子 / 顶 帽子",
    ),
    _kind(  # for the house
        "在商店里/买 在院子里/找到 在门口/看见",
        "新 旧 红色的 干净的 好看的",
        "{who}把{thing}放在院子里。 {who}把{thing}送给了{whom}。 {who}把{thing}放在门口。 {whom}说{thing}很漂亮。",
        "把 伞 椅子 扇子 / 张 桌子 床 / 辆 自行车 汽车",
    ),
    _kind(  # out of doors
        "在城外/看见 在河边/画 在路上/看见 在村子里/画",
        "美丽的 大 小 好看的",
        "{who}在那里坐了很久。 {whom}也去看{thing}。 {thing}让{who}很高兴。 {who}把{thing}画在纸上。",
        "棵 松树 苹果树 柳树 / 朵 荷花 玫瑰 菊花 / 座 山 桥 塔 / 家 书店 饭馆",
    ),
)
MEASURES = {noun: measure for kind in KINDS for noun, measure in kind.nouns.items()}  # noun -> measure word


def random_scene(rng: np.random.Generator) -> str:
    """Two sentences and a question with its answer: about 45 characters."""
    kind = _pick(rng, KINDS)
    noun = _pick(rng, tuple(kind.nouns))
    number = "一" if rng.random() < 0.6 else _pick(rng, NUMBERS)
    adjective = _pick(rng, kind.adjectives) if rng.random() < 0.7 else ""
    first, second = rng.choice(len(PEOPLE), size=2, replace=False)
    who, whom, time = PEOPLE[first], PEOPLE[second], _pick(rng, TIMES)
    place, verb = _pick(rng, kind.actions)
    thing = adjective + noun
    counted = number + kind.nouns[noun] + thing
    end = _pick(rng, kind.ends).format(who=who, whom=whom, thing=thing)
    questions = [
        f"{who}{verb}了什么？答：{counted}。",
        f"谁{verb}了{thing}？答：{who}。",
        f"{who}什么时候{verb}了{thing}？答：{time}。",
    ]
    if "放在" in end:
        questions.append(f"{thing}在哪里？答：在{end.partition('放在')[2]}")
    return f"{time}，{who}{place}{verb}了{counted}。{end}问：{_pick(rng, questions)}"


def chinese_scenes(n: int = 1200, seed: int | np.random.Generator = 0) -> str:
    """n scenes, one a line. 1,200 have about 57,000 characters, 253 of them different.

    Raises: ArgumentError if n is no integer of at least 1.
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ArgumentError(f"n, the number of scenes, needs an integer of at least 1, got {n!r}")
    rng = as_generator(seed)
    return "".join(random_scene(rng) + "\n" for _ in range(n))


def _pick(rng: np.random.Generator, choices: tuple | list):
    return choices[int(rng.integers(len(choices)))]
