# ---
# title: Byte-pair encoding: merge
# level: 2
# minutes: 35
# points: 9
# notebook: 12_tokenizers
# ---

# %% [markdown]
# GPT-2 reads neither letters nor words, but what lies between: *tokens*, pieces of words that are frequent enough. Its
# tokenizer is a list of merges (Sennrich et al. 2016). Training wrote it: again and again the most frequent pair of
# neighbours in a large text was joined to a new token, and the pair put at the end of the list. Encoding replays it.
#
# ```text
# begin with single letters
# of all neighbours that are a pair of the list, take the pair that stands first in the list
# join it wherever it occurs, from left to right
# go on until no two neighbours are a pair of the list
# ```
#
# An example with the list l+o, lo+w, e+r, low+er (so l+o has the highest priority):
#
# ```text
# l o w e r      present: l+o (number 0), e+r (number 2). The first of the list is l+o
# lo w e r       present: lo+w (1), e+r (2)
# low e r        present: e+r (2)
# low er         present: low+er (3)
# lower
# ```
#
# The order matters. With the list b+c, a+b the text a b c becomes a bc, and not ab c: b+c was learned first.
#
# Write `bpe_merge(tokens, merges)`:
#
# ```text
# tokens   list of strings                     ["l", "o", "w", "e", "r"]
# merges   list of pairs of strings            [("l", "o"), ("lo", "w"), ("e", "r"), ("low", "er")]
# returns  a new list of strings               ["lower"]
# ```
#
# The tokens may be longer than a letter from the start. A pair is two neighbours that are exactly its two halves.

# %% [markdown]
# <details><summary>Hint 1: joining one pair</summary>
#
# Make a new list. Go through the tokens with a counter i: if tokens[i] and tokens[i + 1] are the pair, append the
# joined string and go on by 2; else append tokens[i] and go on by 1. Mind the last token, which has no right neighbour.
# </details>
#
# <details><summary>Hint 2: which pair</summary>
#
# `rank = {pair: i for i, pair in enumerate(merges)}` says where in the list a pair stands. `min(pairs, key=rank.get)`
# is the one with the lowest number.
# </details>
#
# <details><summary>Hint 3: when to stop</summary>
#
# When no pair of neighbours is in `rank`; also when there is only one token, or none.
# </details>

# %%
from itertools import pairwise

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "bpe_merge"}
def bpe_merge(tokens, merges):
    """The tokens that are left when all merges are done. tokens: list of str; merges: list of pairs, first one first"""
    ### BEGIN SOLUTION: while a pair of the list is there, join the one that stands first in the list, at every place
    rank = {tuple(pair): i for i, pair in enumerate(merges)}
    while present := [pair for pair in pairwise(tokens) if pair in rank]:
        best = min(present, key=rank.get)
        joined, i = [], 0
        while i < len(tokens):
            if tuple(tokens[i : i + 2]) == best:
                joined.append(tokens[i] + tokens[i + 1])
                i += 2
            else:
                joined.append(tokens[i])
                i += 1
        tokens = joined
    return list(tokens)
    ### END SOLUTION


# %% [markdown]
# Try it: the two examples. (`pairwise("abc")` gives a, b and b, c: all neighbours.)

# %%
print(bpe_merge(list("lower"), [("l", "o"), ("lo", "w"), ("e", "r"), ("low", "er")]))
print(bpe_merge(list("abc"), [("b", "c"), ("a", "b")]))

# %% nbgrader={"grade": true, "grade_id": "bpe_merge-check"}
mg.classroom.check("bpe_merge", bpe_merge)
### BEGIN HIDDEN TESTS
mg.classroom.check("bpe_merge", bpe_merge, seed=20)
### END HIDDEN TESTS
