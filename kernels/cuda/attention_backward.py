"""Kernels of attention's backward. Formulas: kernels/reference/attention.py.

The weights are computed anew from `lse` (Dao et al. 2022, section 3.1). dq of a query is a sum over keys, dk, dv of a
key are sums over queries. One kernel for all three would have to add into dq from many blocks at once, in an order that
changes from run to run; so there are two: a block owns a tile of keys and goes over the queries, or a tile of queries
and goes over the keys. Seven products instead of five, and the same bits every time.

    delta_i     = sum_d dy_id y_id                        a small kernel before them
    weights_ij  = exp(scale * q_i k_j - lse_i)
    dscores_ij  = weights_ij * (dropout(dy_i v_j) - delta_i)
"""

import functools
import math

import numpy as np

from .attention_tiles import ZERO, budget, drop_weights, hide_scores, kernel_name, split, tiles
from .dropout import GOLDEN
from .ladder import rung
from .machine import Bytes, Count, Flag, Float, Floats, Int, Key, cuda, kernel, store4
from .warp import LANES, warp_sum

ONE = np.float32(1)
ROWS = 8  # that a block of `attention_delta` works on at once


@kernel(threads=32 * ROWS)
def attention_delta(
    dy: Floats, dy0: Count, dyb: Count, dyh: Count, dyt: Count, y: Floats, y0: Count, yb: Count, yh: Count, yt: Count,
    delta: Floats, H: Int, Tq: Int, width: Int, n: Int,
):  # fmt: skip
    """delta[b, h, i] = sum_d dy_d y_d, one warp each, n of them."""
    row, lane = cuda.grid(1) // LANES, cuda.threadIdx.x % LANES
    if row < n:
        head, i = split(row, Tq)
        b, h = split(head, H)
        at_dy, at_y = dy0 + b * dyb + h * dyh + i * dyt, y0 + b * yb + h * yh + i * yt
        total = ZERO
        for d in range(lane, width, LANES):
            total += dy[at_dy + d] * y[at_y + d]
        total = warp_sum(total)
        if lane == 0:
            delta[row] = total


# --- rung 1 -----------------------------------------------------------------------------------------------------


@kernel(threads=64)
def attention_dq_v1(
    dy: Floats, q: Floats, k: Floats, v: Floats, lse: Floats, delta: Floats, causal: Flag, scale: Float, dq: Floats,
    heads: Int, Tq: Int, Tk: Int, D: Int,
):  # fmt: skip
    """One thread a query; dy, q, dq (heads, Tq, D), k, v (heads, Tk, D), lse, delta (heads, Tq), all in one piece."""
    n = cuda.grid(1)
    if n < heads * Tq:
        head, i = n // Tq, n % Tq
        for d in range(D):
            dq[n * D + d] = ZERO
        for j in range(max(0, min(Tk, i + 1 + Tk - Tq)) if causal else Tk):
            key = head * Tk + j
            score, dweight = ZERO, ZERO
            for d in range(D):
                score += scale * q[n * D + d] * k[key * D + d]
                dweight += dy[n * D + d] * v[key * D + d]
            dscore = math.exp(score - lse[n]) * (dweight - delta[n]) * scale
            for d in range(D):
                dq[n * D + d] += dscore * k[key * D + d]


@rung("attention_backward", 1, "one thread a query for dq, one thread a key for dk and dv")
@kernel(threads=64)
def attention_dkdv_v1(
    dy: Floats, q: Floats, k: Floats, v: Floats, lse: Floats, delta: Floats, causal: Flag, scale: Float,
    dk: Floats, dv: Floats, heads: Int, Tq: Int, Tk: Int, D: Int,
):  # fmt: skip
    n = cuda.grid(1)
    if n < heads * Tk:
        head, j = n // Tk, n % Tk
        for d in range(D):
            dk[n * D + d] = ZERO
            dv[n * D + d] = ZERO
        for i in range(max(0, j + Tq - Tk) if causal else 0, Tq):
            query = head * Tq + i
            score, dweight = ZERO, ZERO
            for d in range(D):
                score += scale * q[query * D + d] * k[n * D + d]
                dweight += dy[query * D + d] * v[n * D + d]
            weight = math.exp(score - lse[query])
            dscore = weight * (dweight - delta[query]) * scale
            for d in range(D):
                dv[n * D + d] += weight * dy[query * D + d]
                dk[n * D + d] += dscore * q[query * D + d]


# --- rung 2 -----------------------------------------------------------------------------------------------------


@functools.cache
def attention_dq(D, QUERIES, KEYS, DOWN, ACROSS, has_mask, has_dropout):
    """A block of DOWN x ACROSS threads owns QUERIES queries of a head and goes over the keys."""
    t = tiles(D, QUERIES, KEYS, DOWN, ACROSS)
    load_queries, load_keys, products, put, accumulate = (
        t.load_rows, t.load_columns, t.products, t.put, t.accumulate
    )  # fmt: skip
    q_size, k_size, w_size = t.row_size, t.column_size, t.w_size
    R, C, E = QUERIES // DOWN, KEYS // ACROSS, D // ACROSS
    scores, outputs = R * C, R * E
    hide = hide_scores(R, C, DOWN, ACROSS, True, has_mask)
    drop = drop_weights(R, C, DOWN, ACROSS)
    registers, resident = budget(t.threads, 2 * scores + outputs + 16 * (has_mask or has_dropout))

    @kernel(t.threads, registers, resident)
    def attention_dq_v2(
        q: Floats, q0: Count, qb: Count, qh: Count, qt: Count, k: Floats, k0: Count, kb: Count, kh: Count, kt: Count,
        v: Floats, v0: Count, vb: Count, vh: Count, vt: Count,
        dy: Floats, dy0: Count, dyb: Count, dyh: Count, dyt: Count,
        dq: Floats, dq0: Count, dqb: Count, dqh: Count, dqt: Count, lse: Floats, delta: Floats,
        H: Int, Tq: Int, Tk: Int, width: Int, causal: Flag, scale: Float,
        mask: Bytes, m0: Count, mb: Count, mh: Count, mi: Count, mj: Count, counter: Key, threshold: Key, factor: Float,
    ):  # fmt: skip
        tile_q = cuda.shared.array(q_size, np.float32, alignment=16)
        tile_dy = cuda.shared.array(q_size, np.float32, alignment=16)
        tile_k = cuda.shared.array(k_size, np.float32, alignment=16)
        tile_v = cuda.shared.array(k_size, np.float32, alignment=16)
        w = cuda.shared.array(w_size, np.float32, alignment=16)
        s, ds = cuda.local.array(scores, np.float32), cuda.local.array(scores, np.float32)
        out = cuda.local.array(outputs, np.float32)
        down, across = cuda.threadIdx.x // ACROSS, cuda.threadIdx.x % ACROSS
        pieces = (Tq + QUERIES - 1) // QUERIES
        head, piece = split(cuda.blockIdx.x, pieces)
        b, h = split(head, H)
        q0 = np.uint32(q0 + b * qb + h * qh)
        k0 = np.uint32(k0 + b * kb + h * kh)
        v0 = np.uint32(v0 + b * vb + h * vh)
        dy0 = np.uint32(dy0 + b * dyb + h * dyh)
        dq0 = np.uint32(dq0 + b * dqb + h * dqh)
        m0 = np.uint32(m0 + b * mb + h * mh)
        i0 = (pieces - 1 - piece) * QUERIES  # the last queries see most: their blocks start first
        i = i0 + down
        end = max(0, min(Tk, min(i0 + QUERIES, Tq) + Tk - Tq)) if causal else Tk
        for n in range(outputs):
            out[n] = ZERO
        load_queries(q, q0 + i0 * qt, qt, Tq - i0, width, scale, tile_q)
        load_queries(dy, dy0 + i0 * dyt, dyt, Tq - i0, width, ONE, tile_dy)
        for j0 in range(0, end, KEYS):
            j = j0 + across
            cuda.syncthreads()
            load_keys(k, k0 + j0 * kt, kt, Tk - j0, width, ONE, tile_k)
            load_keys(v, v0 + j0 * vt, vt, Tk - j0, width, ONE, tile_v)
            cuda.syncthreads()
            products(tile_q, tile_k, s)
            products(tile_dy, tile_v, ds)  # gradient of the weights after dropout
            if has_mask or j0 + KEYS > Tk or (causal and j0 + KEYS > i0 + 1 + Tk - Tq):
                hide(s, np.int32(Tq - i), np.int32(Tk - j), causal, np.int32(i + Tk - Tq - j),
                     mask, m0 + i * mi + j * mj, mi, mj)  # fmt: skip
            if has_dropout:
                number = np.uint64(head * Tq + i) * np.uint64(Tk) + np.uint64(j)
                drop(ds, counter + number * GOLDEN, Tk, 1, threshold, factor)
            for r in range(R):
                query = np.uint32(head * Tq + min(np.int32(i + r * DOWN), np.int32(Tq - 1)))
                for c in range(C):
                    n = r * C + c
                    ds[n] = math.exp(s[n] - lse[query]) * (ds[n] - delta[query])
            put(ds, w)
            cuda.syncwarp()
            accumulate(w, tile_k, out)
        for r in range(R):
            if i + r * DOWN < Tq:
                for c in range(0, E, 4):
                    n, d = r * E + c, 4 * across + c * ACROSS
                    if d < width:
                        store4(dq, dq0 + (i + r * DOWN) * dqt + d,
                               out[n] * scale, out[n + 1] * scale, out[n + 2] * scale, out[n + 3] * scale)  # fmt: skip

    attention_dq_v2.name = kernel_name("attention_dq_v2", D, QUERIES, has_mask, has_dropout)
    return attention_dq_v2


@functools.cache
def attention_dkdv(D, KEYS, QUERIES, DOWN, ACROSS, has_mask, has_dropout):
    """A block of DOWN x ACROSS threads owns KEYS keys of a head and goes over the queries; scores (keys, queries)."""
    t = tiles(D, KEYS, QUERIES, DOWN, ACROSS)
    load_keys, load_queries, products, put, accumulate = (
        t.load_rows, t.load_columns, t.products, t.put, t.accumulate
    )  # fmt: skip
    k_size, q_size, w_size = t.row_size, t.column_size, t.w_size
    R, C, E = KEYS // DOWN, QUERIES // ACROSS, D // ACROSS
    scores, outputs = R * C, R * E
    hide = hide_scores(R, C, DOWN, ACROSS, False, has_mask)
    drop = drop_weights(R, C, DOWN, ACROSS)
    registers, resident = budget(t.threads, 2 * scores + 2 * outputs + 16 * (has_mask or has_dropout))

    @kernel(t.threads, registers, resident)
    def attention_dkdv_v2(
        q: Floats, q0: Count, qb: Count, qh: Count, qt: Count, k: Floats, k0: Count, kb: Count, kh: Count, kt: Count,
        v: Floats, v0: Count, vb: Count, vh: Count, vt: Count,
        dy: Floats, dy0: Count, dyb: Count, dyh: Count, dyt: Count,
        dk: Floats, dk0: Count, dkb: Count, dkh: Count, dkt: Count,
        dv: Floats, dv0: Count, dvb: Count, dvh: Count, dvt: Count, lse: Floats, delta: Floats,
        H: Int, Tq: Int, Tk: Int, width: Int, causal: Flag, scale: Float,
        mask: Bytes, m0: Count, mb: Count, mh: Count, mi: Count, mj: Count, counter: Key, threshold: Key, factor: Float,
    ):  # fmt: skip
        tile_k = cuda.shared.array(k_size, np.float32, alignment=16)
        tile_v = cuda.shared.array(k_size, np.float32, alignment=16)
        tile_q = cuda.shared.array(q_size, np.float32, alignment=16)
        tile_dy = cuda.shared.array(q_size, np.float32, alignment=16)
        w = cuda.shared.array(w_size, np.float32, alignment=16)
        s, ds = cuda.local.array(scores, np.float32), cuda.local.array(scores, np.float32)
        keep = cuda.local.array(scores, np.float32)
        out_k, out_v = cuda.local.array(outputs, np.float32), cuda.local.array(outputs, np.float32)
        down, across = cuda.threadIdx.x // ACROSS, cuda.threadIdx.x % ACROSS
        pieces = (Tk + KEYS - 1) // KEYS
        head, piece = split(cuda.blockIdx.x, pieces)
        b, h = split(head, H)
        q0 = np.uint32(q0 + b * qb + h * qh)
        k0 = np.uint32(k0 + b * kb + h * kh)
        v0 = np.uint32(v0 + b * vb + h * vh)
        dy0 = np.uint32(dy0 + b * dyb + h * dyh)
        dk0 = np.uint32(dk0 + b * dkb + h * dkh)
        dv0 = np.uint32(dv0 + b * dvb + h * dvh)
        m0 = np.uint32(m0 + b * mb + h * mh)
        j0 = piece * KEYS  # the first keys are seen by most queries
        j = j0 + down
        start = max(0, j0 + Tq - Tk) // QUERIES * QUERIES if causal else 0
        for n in range(outputs):
            out_k[n] = ZERO
            out_v[n] = ZERO
        load_keys(k, k0 + j0 * kt, kt, Tk - j0, width, ONE, tile_k)
        load_keys(v, v0 + j0 * vt, vt, Tk - j0, width, ONE, tile_v)
        for i0 in range(start, Tq, QUERIES):
            i = i0 + across
            cuda.syncthreads()
            load_queries(q, q0 + i0 * qt, qt, Tq - i0, width, scale, tile_q)
            load_queries(dy, dy0 + i0 * dyt, dyt, Tq - i0, width, ONE, tile_dy)
            cuda.syncthreads()
            products(tile_k, tile_q, s)
            products(tile_v, tile_dy, ds)
            if has_mask or i0 + QUERIES > Tq or (causal and j0 + KEYS > i0 + 1 + Tk - Tq):
                hide(s, np.int32(Tk - j), np.int32(Tq - i), causal, np.int32(i + Tk - Tq - j),
                     mask, m0 + i * mi + j * mj, mj, mi)  # fmt: skip
            if has_dropout:
                number = np.uint64(head * Tq + i) * np.uint64(Tk) + np.uint64(j)
                for n in range(scores):
                    keep[n] = ONE
                drop(keep, counter + number * GOLDEN, 1, Tk, threshold, factor)
            for c in range(C):
                query = np.uint32(head * Tq + min(np.int32(i + c * ACROSS), np.int32(Tq - 1)))
                for r in range(R):
                    n = r * C + c
                    weight = math.exp(s[n] - lse[query])
                    if has_dropout:
                        s[n] = weight * keep[n]
                        ds[n] = weight * (ds[n] * keep[n] - delta[query])
                    else:
                        s[n] = weight
                        ds[n] = weight * (ds[n] - delta[query])
            put(s, w)
            cuda.syncwarp()  # a row of w is written and read by one warp
            accumulate(w, tile_dy, out_v)
            cuda.syncwarp()
            put(ds, w)
            cuda.syncwarp()
            accumulate(w, tile_q, out_k)  # tile_q holds scale * q
        for r in range(R):
            if j + r * DOWN < Tk:
                for c in range(0, E, 4):
                    n, d = r * E + c, 4 * across + c * ACROSS
                    if d < width:
                        store4(dk, dk0 + (j + r * DOWN) * dkt + d,
                               out_k[n], out_k[n + 1], out_k[n + 2], out_k[n + 3])  # fmt: skip
                        store4(dv, dv0 + (j + r * DOWN) * dvt + d,
                               out_v[n], out_v[n + 1], out_v[n + 2], out_v[n + 3])  # fmt: skip

    attention_dkdv_v2.name = kernel_name("attention_dkdv_v2", D, KEYS, has_mask, has_dropout)
    return attention_dkdv_v2
