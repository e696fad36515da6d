"""ex_bpe_merge: join neighbouring tokens by a list of merges, the first of the list first."""

from itertools import pairwise

from ...tokenizers.bpe_merge import merge
from ..exercise import Case, Exercise

exercise = Exercise("bpe_merge", outputs=("tokens",))


@exercise.reference
def bpe_merge(tokens, merges):
    """The library merges ids, so each string gets a number."""
    products = [a + b for a, b in merges]
    strings = sorted({*tokens, *products, *(side for pair in merges for side in pair)})
    number = {string: i for i, string in enumerate(strings)}
    ranks = {(number[a], number[b]): rank for rank, (a, b) in enumerate(merges)}
    ids = merge([number[token] for token in tokens], ranks, [number[product] for product in products])
    return [strings[i] for i in ids]


LOW = [("l", "o"), ("lo", "w"), ("e", "r"), ("low", "er")]
HUG = [("u", "g"), ("u", "n"), ("h", "ug"), ("p", "ug")]
ABC = [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc"), ("abc", "abc")]


@exercise.part("one merge", points=2)
def one_merge(rng):
    yield Case("one pair", list("abc"), [("b", "c")])
    yield Case("three places", list("abcabxab"), [("a", "b")])
    yield Case("nothing fits", list("abc"), [("b", "a"), ("c", "b")])


@exercise.part("merges of what was merged", points=2)
def chains(rng):
    yield Case("three in a row", list("low"), LOW)
    yield Case("a long word", list("lower"), LOW)
    yield Case("two words", list("slowerlow"), LOW)


@exercise.part("the first merge of the list first", points=3)
def order(rng):
    yield Case("two merges that want the same letter", list("abc"), [("b", "c"), ("a", "b")])
    yield Case("the same two in the other order", list("abc"), [("a", "b"), ("b", "c")])
    yield Case("the second one is more frequent here", list("abcabab"), [("b", "c"), ("a", "b")])
    yield Case("the first one of the list comes last in the text", list("hugpunpug"), HUG)
    yield Case("one string in two ways", list("abc"), ABC[:3])
    letters = "".join(rng.choice(list("abc"), 12))
    yield Case("random letters", list(f"{letters}abcab"), ABC)


@exercise.part("one letter again and again")
def repeated(rng):
    yield Case("three", list("aaa"), [("a", "a")])
    yield Case("seven, and pairs of pairs", list("aaaaaaa"), [("a", "a"), ("aa", "aa")])
    yield Case("pairs of pairs, then one more", list("aaaaab"), [("a", "a"), ("aa", "aa"), ("a", "b")])


@exercise.part("edges")
def edges(rng):
    yield Case("one token", ["a"], [("a", "a")])
    yield Case("no merges", list("ab"), [])
    yield Case("tokens of several letters", ["lo", "w", "l", "o", "we"], LOW)
    yield Case("no tokens", [], LOW)


def _join(tokens, pair):
    """All places of one pair, from the left; a new list."""
    joined, i = [], 0
    while i < len(tokens):
        fits = tuple(tokens[i : i + 2]) == pair
        joined.append("".join(pair) if fits else tokens[i])
        i += 1 + fits
    return joined


def _merged(tokens, merges, choose, join=_join):
    """choose(present pairs in the order of the text) -> the pair to join next, until none is present."""
    tokens, merges = list(tokens), [tuple(pair) for pair in merges]
    while present := [pair for pair in pairwise(tokens) if pair in merges]:
        after = join(tokens, choose(present))
        if after == tokens:
            break
        tokens = after
    return tokens


@exercise.mistake(
    "You join the leftmost pair that is in the list at all. The list is an order: of the pairs that are there, the one "
    "that comes first in the list goes first, wherever it stands in the text."
)
def leftmost_first(tokens, merges):
    return _merged(tokens, merges, lambda present: present[0])


@exercise.mistake(
    "You begin at the end of the list. The merge that was learned first, at the top of the list, has the first go."
)
def last_rank_first(tokens, merges):
    return _merged(tokens, merges, lambda present: max(present, key=merges.index))


@exercise.mistake(
    "You join the pair that is most frequent in this text. Counting belongs to training; encoding goes by the list, or "
    "the same word would be cut differently in every text."
)
def most_frequent_first(tokens, merges):
    def choose(present):
        return min(present, key=lambda pair: (-present.count(pair), merges.index(pair)))

    return _merged(tokens, merges, choose)


@exercise.mistake(
    "You look for the longest token that fits at each place, from the left (as WordPiece does). BPE knows no longest "
    "match: it joins pairs, in the order of the list, and what it ends with may be shorter."
)
def longest_match(tokens, merges):
    text, known = "".join(tokens), {*tokens, *(a + b for a, b in merges)}
    found, i = [], 0
    while i < len(text):
        end = next(end for end in range(len(text), i, -1) if text[i:end] in known or end == i + 1)
        found.append(text[i:end])
        i = end
    return found


@exercise.mistake(
    "You stop after one merge. What it made may be half of the next pair: go on until no two neighbours are a pair of "
    "the list."
)
def one_merge_only(tokens, merges):
    present = [pair for pair in pairwise(tokens) if pair in merges]
    return _join(tokens, min(present, key=merges.index)) if present else list(tokens)


@exercise.mistake(
    "Each merge of the list joins one place only in your function. A pair that stands in the text three times is "
    "joined three times."
)
def first_place_only(tokens, merges):
    tokens = list(tokens)
    for pair in merges:
        places = [i for i, found in enumerate(pairwise(tokens)) if found == tuple(pair)]
        if places:
            tokens[places[0] : places[0] + 2] = ["".join(pair)]
    return tokens


@exercise.mistake(
    "The right half of a joined pair is still there. Two tokens have become one: go on behind both of them."
)
def right_half_stays(tokens, merges):
    def join(tokens, pair):
        joined = ["".join(pair) if (a, b) == pair else a for a, b in pairwise(tokens)]
        return joined + tokens[-1:]

    tokens = list(tokens)
    for pair in merges:
        tokens = join(tokens, tuple(pair))
    return tokens


@exercise.mistake(
    "You compare the joined strings: neighbours that read like the result of a merge are joined, even where they are "
    'not its two halves. ("a", "bc") is not the pair ("ab", "c").'
)
def by_the_string(tokens, merges):
    rank = {a + b: i for i, (a, b) in reversed(list(enumerate(merges)))}
    tokens = list(tokens)
    while places := [(rank[a + b], i) for i, (a, b) in enumerate(pairwise(tokens)) if a + b in rank]:
        _, i = min(places)
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
    return tokens


@exercise.mistake(
    "A pair at the very end of the text is not joined: your loop stops one place too early. n tokens have n - 1 pairs."
)
def end_forgotten(tokens, merges):
    tokens = list(tokens)
    for pair in merges:
        tokens = _join(tokens[:-1], tuple(pair)) + tokens[-1:] if len(tokens) > 1 else tokens
    return tokens


@exercise.mistake(
    "The halves are in the wrong order in your function: the pair (a, b) is an a with a b to the right of it."
)
def halves_exchanged(tokens, merges):
    return bpe_merge(tokens, [(b, a) for a, b in merges])


@exercise.mistake(
    "Where a pair overlaps itself, as in a a a, you began at the right. Pairs are joined from the left: aa a, not a aa."
)
def from_the_right(tokens, merges):
    mirrored = bpe_merge([token[::-1] for token in reversed(tokens)], [(b[::-1], a[::-1]) for a, b in merges])
    return [token[::-1] for token in reversed(mirrored)]


@exercise.mistake("You returned the text as one string; wanted is the list of its tokens.")
def one_string(tokens, merges):
    return " ".join(bpe_merge(tokens, merges))


@exercise.mistake(
    'You replace in one long string with spaces between the tokens. There "a b" is also found in "a bc" and in "xa '
    'b", where the tokens are others. Compare whole tokens, two neighbours at a time.'
)
def replaced_in_a_string(tokens, merges):
    text = " ".join(tokens)
    for a, b in merges:
        text = text.replace(f"{a} {b}", a + b)
    return text.split(" ")
