# ---
# title: A tiled matrix product for the graphics card
# level: 3
# minutes: 75
# points: 10
# notebook: 14_kernels
# ---

# %% [markdown]
# A graphics card runs thousands of threads, in blocks. A *kernel* is a function for one thread. You write one here that
# multiplies matrices; no card is needed, for it runs on a simulated one, thread after thread in plain Python, which you
# can print from and step through. The same kernel runs on a real card under `numba.cuda`.
#
# ```text
# y[i, j] = sum_k a[i, k] * b[k, j]          a (M, K)   b (K, N)   y (M, N), float32
# ```
#
# **One thread, one number of y.** A block has TILE x TILE threads and makes a tile of y:
#
# ```text
# row     i = cuda.blockIdx.y * TILE + cuda.threadIdx.y
# column  j = cuda.blockIdx.x * TILE + cuda.threadIdx.x         x counts along a row
# ```
#
# Arrays are flat, as memory is: a[i, k] is `a[i * K + k]`, b[k, j] is `b[k * N + j]`.
#
# **Why tiles.** If each thread fetched its row of a and its column of b, every number of a would be fetched N times.
# But the TILE threads of a row of the block want the same row of a. So the block goes along K in steps of TILE: in
# each step every thread fetches *one* number of a and *one* of b into shared memory, which all threads of the block
# see, and then each adds up TILE products from there.
#
# ```text
#             step 0     step 1           b  [ step 0 ]
# a         [ a_tile ] [ a_tile ]            [ step 1 ]     total += a_tile[row, n] * b_tile[n, column], n = 0 … TILE-1
#
# M = N = K = 8, TILE = 4:    without tiles 8 * 8 * (8 + 8) = 1024 numbers are fetched, with tiles 256
# ```
#
# **Two barriers.** Threads run in any order. `cuda.syncthreads()` waits until *all* threads of the block have come to
# it. One is needed before the tiles are used, one before they are filled again. A thread that never comes makes the
# others wait for ever, which the simulated card tells you.
#
# What lies in y and in shared memory at the beginning is not 0; on the simulated card it is NaN. If M, N or K is no
# multiple of TILE, some threads lie outside of y, and some numbers of the tiles outside of a or b; such a number is to
# count 0.
#
# Write the kernel `tiled_matmul(a, b, y, M, N, K)`. Begin with sizes that TILE divides.

# %% [markdown]
# <details><summary>Hint 1: the frame</summary>
#
# `cuda.shared.array(THREADS, np.float32)` once for a and once for b. A loop over the steps along K: fill, barrier,
# add up TILE products, barrier. After the loop write the sum.
# </details>
#
# <details><summary>Hint 2: what does one thread fetch?</summary>
#
# The thread at place (down, across) of the block, in the step that begins at k: of a row i, column k + across; of b row
# k + down, column j. Both go to place down * TILE + across of their tiles.
# </details>
#
# <details><summary>Hint 3: sizes that TILE does not divide</summary>
#
# Round the number of steps up. Look at both indices before fetching from a, and at both before fetching from b; put 0
# into the tile otherwise. Threads outside of y do all of this too, and only do not write at the end.
# </details>

# %%
import numpy as np

import minigpt as mg

cuda, launch = mg.classroom.simulated_card()
TILE = 4
THREADS = TILE * TILE  # of a block, and so numbers of a tile


# %% nbgrader={"solution": true, "grade_id": "tiled_matmul"}
def tiled_matmul(a, b, y, M, N, K):
    """For one thread: y[i, j] = sum_k a[i, k] * b[k, j]. a (M * K,), b (K * N,), y (M * N,), float32"""
    ### BEGIN SOLUTION: two shared tiles; along K: fill them, wait, add up TILE products, wait; then write one number
    a_tile = cuda.shared.array(THREADS, np.float32)  # (row, k)
    b_tile = cuda.shared.array(THREADS, np.float32)  # (k, column)
    across, down = cuda.threadIdx.x, cuda.threadIdx.y
    i, j = cuda.blockIdx.y * TILE + down, cuda.blockIdx.x * TILE + across
    here = down * TILE + across
    total = np.float32(0)
    for k in range(0, K, TILE):
        a_tile[here] = a[i * K + k + across] if i < M and k + across < K else np.float32(0)
        b_tile[here] = b[(k + down) * N + j] if k + down < K and j < N else np.float32(0)
        cuda.syncthreads()  # now the tiles are there
        for n in range(TILE):
            total += a_tile[down * TILE + n] * b_tile[n * TILE + across]
        cuda.syncthreads()  # now nobody needs them any more
    if i < M and j < N:
        y[i * N + j] = total
    ### END SOLUTION


# %% [markdown]
# Try it: matrices of numbers that are easy to check, and how often memory was read.

# %%
M, N, K = 8, 8, 8
a, b = np.eye(M, K, dtype=np.float32), np.arange(K * N, dtype=np.float32).reshape(K, N)
y = np.full(M * N, np.nan, np.float32)
reads = launch(tiled_matmul, (-(-N // TILE), -(-M // TILE)), (TILE, TILE), a.reshape(-1), b.reshape(-1), y, M, N, K)
print(y.reshape(M, N))
print("numbers read from each array:", reads)

# %% nbgrader={"grade": true, "grade_id": "tiled_matmul-check"}
mg.classroom.check("tiled_matmul", tiled_matmul)
### BEGIN HIDDEN TESTS
mg.classroom.check("tiled_matmul", tiled_matmul, seed=20)
### END HIDDEN TESTS
