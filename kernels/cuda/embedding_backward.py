"""Kernels of the embedding's backward: dweight[ids[n]] += dy[n]. Formulas: kernels/reference/embedding.py.

Many n have the same id, and they must not add into one row at the same time. Atomic additions would be safe, but in an
order that changes from run to run, and with it the last digits. Here, two steps (rungs 2 and 3):

1. Sort the ids, by counting: the place of number n is the number of ids that are smaller, or equal and further ahead.
   Each thread counts for its own n, no two write to the same place. That is N² comparisons, and for all that short:
   67 million for 8,192 ids, where the matrix products of a step are some 10^12 multiplications.
2. Equal ids now stand side by side. A warp takes 32 of them, whatever they are, and adds up the rows of each run of
   equal ids. Only the first of its runs may have begun before; its sum goes into `heads`, one row for each 32. All
   others begin here, and the warp alone adds them into dweight. The heads again are rows with sorted ids: the same
   kernel takes 32 of them at a time, and so on, until one warp suffices. So it does not matter whether an id occurs
   once or, like the space in a text, in every sixth place.
"""

import numpy as np

from .device import empty
from .fours import FOUR
from .ladder import rung
from .machine import Count, Flag, Floats, Ids, Ints, cuda, device_function, kernel, load4, store4
from .warp import ALL, LANES

WARPS = 8  # of a block
WARP = np.uint32(LANES)
TILE = LANES * WARPS
SHIFT = np.uint64(32)


@kernel(threads=256)
def add_by_searching(dy: Floats, ids: Ids, dweight: Floats, N: Count, C: Count, V: Count):
    i = np.uint32(cuda.grid(1))
    if i < V * C:
        v, c = np.int64(i // C), i % C
        total = np.float32(0)
        for n in range(N):
            if ids[n] == v:
                total += dy[np.uint32(n) * C + c]
        dweight[i] += total


@rung(
    "embedding_backward", 1, "one thread an element of the table: it looks at all ids, and adds where one is its row's"
)
def embedding_backward_v1(dy, ids, dweight, N, C, V):
    add_by_searching(-(-V * C // 256), 256, dy.flat, ids.flat, dweight.flat, N, C, V)


# --- sorting ----------------------------------------------------------------------------------------------------


@kernel(threads=TILE)
def sort_ids(ids: Ids, names: Ints, order: Ints, N: Count, V: Count):
    """names: the ids in rising order, V for those that are not in the table; order: where each stood.

    A block finds the places of 32 ids, a lane for each. Its 8 warps share the counting: of each 256 ids, brought into
    shared memory as keys, a warp looks at 32. A key is (id, number) in one number, so that no two are equal.
    """
    keys = cuda.shared.array(TILE, np.uint64)
    counts = cuda.shared.array(TILE, np.int32)
    thread = np.uint32(cuda.threadIdx.x)
    lane, warp = thread % WARP, thread // WARP
    n = np.uint32(cuda.blockIdx.x) * WARP + lane
    mine, name = np.uint64(0), V
    if n < N:
        name = np.uint32(ids[n]) if 0 <= ids[n] < V else V
        mine = (np.uint64(name) << SHIFT) | np.uint64(n)
    smaller = np.int32(0)
    start = np.uint32(0)
    while start < N:
        m = start + thread
        key = ~np.uint64(0)  # after the end: larger than all
        if m < N:
            key = (np.uint64(ids[m] if 0 <= ids[m] < V else V) << SHIFT) | np.uint64(m)
        keys[thread] = key
        cuda.syncthreads()
        for k in range(LANES):
            smaller += np.int32(keys[warp * WARP + np.uint32(k)] < mine)
        cuda.syncthreads()
        start += np.uint32(TILE)
    counts[thread] = smaller
    cuda.syncthreads()
    if warp == 0 and n < N:
        place = np.int32(0)
        for w in range(WARPS):
            place += counts[np.uint32(w) * WARP + lane]
        names[place] = name
        order[place] = n


# --- adding -----------------------------------------------------------------------------------------------------


@kernel(threads=TILE)
def add_runs(
    rows: Floats, names: Ints, order: Ints, dweight: Floats, heads: Floats, head_names: Ints, head_order: Ints,
    last: Flag, N: Count, C: Count, V: Count,
):  # fmt: skip
    """A warp takes 32 places of the sorted list, and 32 columns. last: nobody comes after, to take the heads."""
    lane, head = np.uint32(cuda.threadIdx.x) % WARP, np.uint32(cuda.grid(1)) // WARP
    c = np.uint32(cuda.blockIdx.y) * WARP + lane
    place = head * WARP + lane
    name, row = np.int32(V), np.int32(0)  # of this lane's place; the lanes tell each other
    if place < N:
        name, row = names[place], order[place]
    if head * WARP < N:
        run, total, to_heads = cuda.shfl_sync(ALL, name, 0), np.float32(0), not last
        if lane == 0 and cuda.blockIdx.y == 0:
            head_names[head], head_order[head] = run, head
        for k in range(LANES):
            here, n = cuda.shfl_sync(ALL, name, k), np.uint32(cuda.shfl_sync(ALL, row, k))
            if here != run:  # for all lanes alike
                if c < C and to_heads:
                    heads[head * C + c] = total
                elif c < C:
                    dweight[np.uint32(run) * C + c] += total
                run, total, to_heads = here, np.float32(0), False
            if c < C and here < V:
                total += rows[n * C + c]
        if c < C and to_heads:
            heads[head * C + c] = total
        elif c < C and run < V:
            dweight[np.uint32(run) * C + c] += total


@device_function
def add4(x, i, four):
    old = load4(x, i)
    store4(x, i, old[0] + four[0], old[1] + four[1], old[2] + four[2], old[3] + four[3])


@kernel(threads=TILE)
def add_runs_in_fours(
    rows: Floats, names: Ints, order: Ints, dweight: Floats, heads: Floats, head_names: Ints, head_order: Ints,
    last: Flag, N: Count, C: Count, V: Count,
):  # fmt: skip
    """The same with four columns a lane, and four rows read before the first is added, so that all are under way."""
    lane, head = np.uint32(cuda.threadIdx.x) % WARP, np.uint32(cuda.grid(1)) // WARP
    c = FOUR * (np.uint32(cuda.blockIdx.y) * WARP + lane)
    place = head * WARP + lane
    name, row = np.int32(V), np.int32(0)
    x, total = cuda.local.array(16, np.float32), cuda.local.array(4, np.float32)
    if place < N:
        name, row = names[place], order[place]
    if head * WARP < N:
        run, to_heads = cuda.shfl_sync(ALL, name, 0), not last
        total[0], total[1], total[2], total[3] = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        if lane == 0 and cuda.blockIdx.y == 0:
            head_names[head], head_order[head] = run, head
        for k in range(0, LANES, 4):
            for j in range(4):
                n = np.uint32(cuda.shfl_sync(ALL, row, k + j))
                if c < C:  # rows beyond the end are not: there, `row` is 0
                    x[4 * j], x[4 * j + 1], x[4 * j + 2], x[4 * j + 3] = load4(rows, n * C + c)
            for j in range(4):
                here = cuda.shfl_sync(ALL, name, k + j)
                if here != run:
                    if c < C and to_heads:
                        store4(heads, head * C + c, total[0], total[1], total[2], total[3])
                    elif c < C:
                        add4(dweight, np.uint32(run) * C + c, total)
                    run, to_heads = here, False
                    total[0], total[1], total[2], total[3] = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                if c < C and here < V:
                    for i in range(4):
                        total[i] += x[4 * j + i]
        if c < C and to_heads:
            store4(heads, head * C + c, total[0], total[1], total[2], total[3])
        elif c < C and run < V:
            add4(dweight, np.uint32(run) * C + c, total)


def add_sorted(kernel, columns, dy, ids, dweight, N, C, V):
    """dweight[ids[n]] += dy[n] by a kernel whose warps take so many columns each."""
    if N == 0:
        return
    names, order, rows = empty((N,), np.int32), empty((N,), np.int32), dy
    sort_ids(-(-N // LANES), TILE, ids.flat, names.whole, order.whole, N, V)
    while True:
        n_heads = -(-N // LANES)
        heads = [empty((n_heads, C)), empty((n_heads,), np.int32), empty((n_heads,), np.int32)]
        last = n_heads == 1
        kernel((-(-n_heads // WARPS), -(-C // columns)), TILE, rows.flat, names.whole, order.whole, dweight.flat,
               *(array.whole for array in heads), last, N, C, V)  # fmt: skip
        if last:
            return
        (rows, names, order), N = heads, n_heads


@rung("embedding_backward", 2, "the ids sorted first; a warp adds up 32 rows of the sorted list, whatever their ids")
def embedding_backward_v2(dy, ids, dweight, N, C, V):
    add_sorted(add_runs, LANES, dy, ids, dweight, N, C, V)


@rung("embedding_backward", 3, "128 bits an access, and four rows under way at a time; for C in fours")
def embedding_backward_v3(dy, ids, dweight, N, C, V):
    add_sorted(add_runs_in_fours, 4 * LANES, dy, ids, dweight, N, C, V)
