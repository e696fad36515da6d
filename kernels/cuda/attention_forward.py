"""Kernels of attention's forward. Formulas: kernels/reference/attention.py.

Scores are T x T, but nothing of that size ever lies in the card's memory (Dao et al. 2022, "FlashAttention"): a block
takes a tile of queries and goes over the keys tile by tile, keeping for each query the largest score so far, the sum of
exp(score - largest) and the weighted sum of values. When a larger score turns up, both sums shrink by
exp(old largest - new largest). With a causal mask, tiles that no query of the block sees are left out.

The kernels of the last rung take any strides, so that neither heads nor the thirds of a packed qkv are copied.
"""

import functools
import math

import numpy as np

from .attention_tiles import LOWEST, ZERO, budget, drop_weights, hide_scores, kernel_name, split, tiles
from .dropout import GOLDEN
from .ladder import rung
from .machine import Bytes, Count, Flag, Float, Floats, Int, Key, cuda, kernel, load4, store4
from .warp import ALL

ONE = np.float32(1)


@rung("attention_forward", 1, "one thread a query: largest score, then sums, each score computed anew")
@kernel(threads=64)
def attention_v1(
    q: Floats, k: Floats, v: Floats, causal: Flag, scale: Float, y: Floats, lse: Floats,
    heads: Int, Tq: Int, Tk: Int, D: Int,
):  # fmt: skip
    """q, y (heads, Tq, D), k, v (heads, Tk, D), lse (heads, Tq), all in one piece."""
    n = cuda.grid(1)
    if n < heads * Tq:
        head, i = n // Tq, n % Tq
        end = max(0, min(Tk, i + 1 + Tk - Tq)) if causal else Tk
        keys = head * Tk
        for d in range(D):
            y[n * D + d] = ZERO
        m = LOWEST
        for j in range(end):
            score = ZERO
            for d in range(D):
                score += scale * q[n * D + d] * k[(keys + j) * D + d]
            m = max(m, score)
        total = ZERO
        for j in range(end):
            score = ZERO
            for d in range(D):
                score += scale * q[n * D + d] * k[(keys + j) * D + d]
            weight = math.exp(score - m)
            total += weight
            for d in range(D):
                y[n * D + d] += weight * v[(keys + j) * D + d]
        lse[n] = ZERO
        if end > 0:
            lse[n] = m + math.log(total)
            for d in range(D):
                y[n * D + d] /= total


@functools.cache
def attention_by_threads(D, QUERIES, KEYS):
    """Rung 2: a block for QUERIES queries; D divisible by 4."""
    size = KEYS * D

    @kernel(threads=QUERIES, registers=200)
    def attention_v2(
        q: Floats, k: Floats, v: Floats, causal: Flag, scale: Float, y: Floats, lse: Floats, Tq: Int, Tk: Int
    ):  # fmt: skip
        """As rung 1; the grid is (tiles of queries, heads)."""
        tile_k = cuda.shared.array(size, np.float32, alignment=16)
        tile_v = cuda.shared.array(size, np.float32, alignment=16)
        query, out = cuda.local.array(D, np.float32), cuda.local.array(D, np.float32)
        t, head = cuda.threadIdx.x, cuda.blockIdx.y
        i0 = cuda.blockIdx.x * QUERIES
        i = min(i0 + t, Tq - 1)  # a thread beyond the last query goes along, since it helps to load
        for d in range(0, D, 4):
            query[d], query[d + 1], query[d + 2], query[d + 3] = load4(q, (head * Tq + i) * D + d)
        for d in range(D):
            query[d] *= scale
            out[d] = ZERO
        m, total = LOWEST, ZERO
        end = max(0, min(Tk, min(i0 + QUERIES, Tq) + Tk - Tq)) if causal else Tk  # of the block
        mine = min(Tk, i + 1 + Tk - Tq) if causal else Tk
        for j0 in range(0, end, KEYS):
            cuda.syncthreads()
            for n in range(4 * t, min(KEYS, Tk - j0) * D, 4 * QUERIES):
                at = (head * Tk + j0) * D + n
                a, b, c, e = load4(k, at)
                store4(tile_k, n, a, b, c, e)
                a, b, c, e = load4(v, at)
                store4(tile_v, n, a, b, c, e)
            cuda.syncthreads()
            for j in range(min(KEYS, mine - j0)):
                score = ZERO
                for d in range(0, D, 4):
                    a, b, c, e = load4(tile_k, j * D + d)
                    score += query[d] * a
                    score += query[d + 1] * b
                    score += query[d + 2] * c
                    score += query[d + 3] * e
                if score > m:
                    shrink = math.exp(m - score)
                    m = score
                    total *= shrink
                    for d in range(D):
                        out[d] *= shrink
                weight = math.exp(score - m)
                total += weight
                for d in range(0, D, 4):
                    a, b, c, e = load4(tile_v, j * D + d)
                    out[d] += weight * a
                    out[d + 1] += weight * b
                    out[d + 2] += weight * c
                    out[d + 3] += weight * e
        if i0 + t < Tq:
            inverse = ZERO if total == ZERO else ONE / total
            for d in range(0, D, 4):
                store4(y, (head * Tq + i) * D + d,
                       out[d] * inverse, out[d + 1] * inverse, out[d + 2] * inverse, out[d + 3] * inverse)  # fmt: skip
            lse[np.uint32(head * Tq + i)] = ZERO if total == ZERO else m + math.log(total)

    attention_v2.name = f"attention_v2_{D}_{QUERIES}_{KEYS}"
    return attention_v2


attention_v2 = rung(
    "attention_forward", 2, "keys and values pass through shared memory; each thread keeps its query and its sum"
)(attention_by_threads(64, 128, 32))


@functools.cache
def attention_by_patches(D, QUERIES, KEYS, DOWN, ACROSS, has_mask, has_dropout):
    """Rung 3: a block of DOWN x ACROSS threads for QUERIES queries of a head; sizes as in attention_tiles.tiles."""
    t = tiles(D, QUERIES, KEYS, DOWN, ACROSS)
    load_queries, load_keys, products, put, accumulate = (
        t.load_rows, t.load_columns, t.products, t.put, t.accumulate
    )  # fmt: skip
    q_size, k_size, w_size = t.row_size, t.column_size, t.w_size
    R, C, E = QUERIES // DOWN, KEYS // ACROSS, D // ACROSS  # a thread's rows; its columns of the scores, and of y
    scores, outputs = R * C, R * E
    hide = hide_scores(R, C, DOWN, ACROSS, True, has_mask)
    drop = drop_weights(R, C, DOWN, ACROSS)
    registers, resident = budget(t.threads, scores + outputs + 2 * R + 16 * (has_mask or has_dropout))

    @kernel(t.threads, registers, resident)
    def attention_v3(
        q: Floats, q0: Count, qb: Count, qh: Count, qt: Count, k: Floats, k0: Count, kb: Count, kh: Count, kt: Count,
        v: Floats, v0: Count, vb: Count, vh: Count, vt: Count, y: Floats, y0: Count, yb: Count, yh: Count, yt: Count,
        lse: Floats, H: Int, Tq: Int, Tk: Int, width: Int, causal: Flag, scale: Float,
        mask: Bytes, m0: Count, mb: Count, mh: Count, mi: Count, mj: Count, counter: Key, threshold: Key, factor: Float,
    ):  # fmt: skip
        """Head h of example b begins at q0 + b * qb + h * qh, its next query qt further on; likewise k, v, y, mask."""
        tile_q = cuda.shared.array(q_size, np.float32, alignment=16)
        tile_k = cuda.shared.array(k_size, np.float32, alignment=16)
        tile_v = cuda.shared.array(k_size, np.float32, alignment=16)
        w = cuda.shared.array(w_size, np.float32, alignment=16)
        s, out = cuda.local.array(scores, np.float32), cuda.local.array(outputs, np.float32)
        m, total = cuda.local.array(R, np.float32), cuda.local.array(R, np.float32)
        down, across = cuda.threadIdx.x // ACROSS, cuda.threadIdx.x % ACROSS
        pieces = (Tq + QUERIES - 1) // QUERIES
        head, piece = split(cuda.blockIdx.x, pieces)
        b, h = split(head, H)
        q0 = np.uint32(q0 + b * qb + h * qh)
        k0 = np.uint32(k0 + b * kb + h * kh)
        v0 = np.uint32(v0 + b * vb + h * vh)
        y0 = np.uint32(y0 + b * yb + h * yh)
        m0 = np.uint32(m0 + b * mb + h * mh)
        i0 = (pieces - 1 - piece) * QUERIES  # the last queries see most: their blocks start first
        i = i0 + down
        end = max(0, min(Tk, min(i0 + QUERIES, Tq) + Tk - Tq)) if causal else Tk
        for r in range(R):
            m[r] = LOWEST
            total[r] = ZERO
        for n in range(outputs):
            out[n] = ZERO
        load_queries(q, q0 + i0 * qt, qt, Tq - i0, width, scale, tile_q)
        for j0 in range(0, end, KEYS):
            j = j0 + across
            cuda.syncthreads()  # all are done with the tiles before
            load_keys(k, k0 + j0 * kt, kt, Tk - j0, width, ONE, tile_k)
            load_keys(v, v0 + j0 * vt, vt, Tk - j0, width, ONE, tile_v)
            cuda.syncthreads()
            products(tile_q, tile_k, s)
            if has_mask or j0 + KEYS > Tk or (causal and j0 + KEYS > i0 + 1 + Tk - Tq):
                hide(s, np.int32(Tq - i), np.int32(Tk - j), causal, np.int32(i + Tk - Tq - j),
                     mask, m0 + i * mi + j * mj, mi, mj)  # fmt: skip
            for r in range(R):
                largest = m[r]
                for c in range(C):
                    largest = max(largest, s[r * C + c])
                lanes = ACROSS // 2
                while lanes > 0:
                    largest = max(largest, cuda.shfl_xor_sync(ALL, largest, lanes))
                    lanes = lanes // 2
                shrink = math.exp(m[r] - largest)
                m[r] = largest
                total[r] *= shrink  # of the thread's own keys; those of the row are added up at the end
                for c in range(E):
                    out[r * E + c] *= shrink
                for c in range(C):
                    s[r * C + c] = math.exp(s[r * C + c] - largest)
                    total[r] += s[r * C + c]
            if has_dropout:
                number = np.uint64(head * Tq + i) * np.uint64(Tk) + np.uint64(j)  # of the weights of the whole batch
                drop(s, counter + number * GOLDEN, Tk, 1, threshold, factor)
            put(s, w)
            cuda.syncwarp()  # a row of w is written and read by one warp
            accumulate(w, tile_v, out)
        for r in range(R):
            whole = total[r]
            lanes = ACROSS // 2
            while lanes > 0:
                whole += cuda.shfl_xor_sync(ALL, whole, lanes)
                lanes = lanes // 2
            if i + r * DOWN < Tq:
                inverse = ZERO if whole == ZERO else ONE / whole
                for c in range(0, E, 4):
                    n, d = r * E + c, 4 * across + c * ACROSS
                    if d < width:
                        at = y0 + (i + r * DOWN) * yt + d
                        store4(
                            y, at, out[n] * inverse, out[n + 1] * inverse, out[n + 2] * inverse, out[n + 3] * inverse
                        )
                if across == 0:
                    lse[np.uint32(head * Tq + i + r * DOWN)] = ZERO if whole == ZERO else m[r] + math.log(whole)

    attention_v3.name = kernel_name("attention_v3", D, QUERIES, has_mask, has_dropout)
    return attention_v3
