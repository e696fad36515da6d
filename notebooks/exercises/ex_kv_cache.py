# ---
# title: The key-value cache
# level: 3
# minutes: 45
# points: 10
# notebook: 11_sampling
# ---

# %% [markdown]
# A model writes one token at a time. To write the hundredth it needs attention over all hundred, and the simple way
# runs all hundred through the model again, although 99 of them are the same as before. What of them can have changed?
# Causal attention never lets an old token see a new one: so nothing. The keys and values of old tokens can be kept, and
# a step computes one query, one key and one value.
#
# ```text
# without a cache    1 + 2 + 3 + … + 100 = 5050 tokens through the model
# with one           1 + 1 + 1 + … + 1   =  100
# ```
#
# The room for them is reserved at once, for `block_size` tokens; slots 0 … length - 1 are in use:
#
# ```text
# slot     0   1   2   3   4   5   6   7
# prompt   a   b   c   ·   ·   ·   ·   ·       length 3
# then     a   b   c   d   ·   ·   ·   ·       length 4: d is written into slot 3
# ```
#
# Write the two methods of the class below.
#
# - `append(k, v)`: k, v (B, H, T, D) are the keys and values of the next T tokens. Write them behind what is there,
#   raise `self.length`, and return the pair of all keys and all values so far, (B, H, length, D) each.
# - `attend(q, k, v)`: the same T tokens with their queries. Append, then return what each query collects, (B, H, T, D).
#
# T is 1 for each new token, and more for the prompt. Then a mask is needed, for which token of the piece may see which:
# the queries are the *last* Tq of Tk tokens, so query i is token i + Tk - Tq, and it sees the keys j <= i + Tk - Tq.
# For a prompt of two, and then two more (1 for True):
#
# ```text
# first call    1 0          second call    1 1 1 0
# (Tk = 2)      1 1          (Tk = 4)       1 1 1 1
# ```
#
# The attention itself is given: `attention(q, k, v, mask)`, with a boolean mask (Tq, Tk).

# %% [markdown]
# <details><summary>Hint 1: the slots</summary>
#
# `self.k[:, :, start:end]` are slots start … end - 1 of all sequences and heads; such a slice can be assigned to. start
# is the length before, end the one after.
# </details>
#
# <details><summary>Hint 2: what comes back</summary>
#
# A slice up to the new length. Not the whole array: a key of zeros is a key like any other, its score is 0, and exp(0)
# is 1.
# </details>
#
# <details><summary>Hint 3: the mask</summary>
#
# Compare a column of query numbers, np.arange(Tq)[:, None] + Tk - Tq, with a row of key numbers, np.arange(Tk).
# </details>

# %%
import numpy as np

import minigpt as mg


def attention(q, k, v, mask):
    """softmax(q k^T / sqrt(D)) v, as in the exercise on attention"""
    q, k, v = mg.Tensor(q), mg.Tensor(k), mg.Tensor(v)
    return mg.functional.scaled_dot_product_attention(q, k, v, mask=mask).numpy()


# %% nbgrader={"solution": true, "grade_id": "kv_cache"}
class KVCache:
    """Keys and values of the tokens so far: self.k, self.v (B, H, block_size, D); `length` slots of them are used."""

    def __init__(self, B, H, block_size, D, dtype=np.float64):
        self.k = np.zeros((B, H, block_size, D), dtype)
        self.v = np.zeros((B, H, block_size, D), dtype)
        self.length = 0

    def append(self, k, v):
        """Store k, v (B, H, T, D) -> (all keys, all values), (B, H, length, D) each"""
        ### BEGIN SOLUTION: write behind what is there, raise the length, give back the slots in use
        end = self.length + k.shape[2]
        self.k[:, :, self.length : end] = k
        self.v[:, :, self.length : end] = v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]
        ### END SOLUTION

    def attend(self, q, k, v):
        """What the queries of T new tokens collect. q, k, v (B, H, T, D) -> (B, H, T, D)"""
        ### BEGIN SOLUTION: append, make the mask for the last Tq of Tk tokens, attend
        keys, values = self.append(k, v)  # (B, H, Tk, D)
        Tq, Tk = q.shape[2], keys.shape[2]
        mask = np.arange(Tk) <= np.arange(Tq)[:, None] + Tk - Tq  # (Tq, Tk)
        return attention(q, keys, values, mask)
        ### END SOLUTION


# %% [markdown]
# Try it: six tokens at once, and the same as a prompt of three and three single ones. What must the difference be?

# %%
rng = np.random.default_rng(0)
q, k, v = rng.normal(size=(3, 1, 2, 6, 4))
at_once = KVCache(1, 2, 8, 4).attend(q, k, v)
cache = KVCache(1, 2, 8, 4)
in_pieces = [cache.attend(q[:, :, a:b], k[:, :, a:b], v[:, :, a:b]) for a, b in ((0, 3), (3, 4), (4, 5), (5, 6))]
print("largest difference", np.abs(np.concatenate(in_pieces, axis=2) - at_once).max().round(12))
print("tokens in the cache", cache.length)

# %% nbgrader={"grade": true, "grade_id": "kv_cache-check"}
mg.classroom.check("kv_cache", KVCache)
### BEGIN HIDDEN TESTS
mg.classroom.check("kv_cache", KVCache, seed=20)
### END HIDDEN TESTS
