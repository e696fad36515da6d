"""ex_tiled_matmul: a CUDA kernel that multiplies matrices tile by tile, run on the simulated card.

What the card finds are the mistakes: a number that nobody has written yet is NaN, an index outside of an array is an
IndexError, a barrier that some threads do not reach is told.
"""

import numpy as np

from ..card import simulated_card
from ..exercise import Case, Exercise

exercise = Exercise("tiled_matmul", outputs=("y", "reads"), needs=("greenlet",))
TILE = 4


@exercise.runner
def run(answer, a, b):
    """y, and how many numbers of a and b all threads together have read."""
    (M, K), N = a.shape, b.shape[1]
    _, launch = simulated_card()
    y = np.full(M * N, np.nan, np.float32)  # as a careless program finds it
    grid = -(-N // TILE), -(-M // TILE)
    reads = launch(answer, grid, (TILE, TILE), a.flatten(), b.flatten(), y, M, N, K)
    of_a, of_b, _ = reads.values()
    return y.reshape(M, N), of_a + of_b


def _case(label, rng, M, N, K):
    return Case(label, *(rng.integers(-9, 10, size=size).astype(np.float32) for size in ((M, K), (K, N))))


@exercise.part("one tile", points=2, of=["y"])
def one_tile(rng):
    yield _case("4 x 4 x 4", rng, 4, 4, 4)


@exercise.part("several tiles along K", points=2, of=["y"])
def along(rng):
    yield _case("two", rng, 4, 4, 8)
    yield _case("four", rng, 4, 4, 16)


@exercise.part("several blocks", of=["y"])
def several_blocks(rng):
    yield _case("two rows of three", rng, 8, 12, 4)


@exercise.part("each number is fetched once for a tile", points=2)
def fetched(rng):
    yield _case("2 x 2 blocks, two tiles along K", rng, 8, 8, 8)


@exercise.part("sizes that the tile does not divide", points=3, of=["y"])
def ragged(rng):
    yield _case("K = 6", rng, 4, 4, 6)
    yield _case("3 x 5, K = 7", rng, 3, 5, 7)
    yield _case("one number", rng, 1, 1, 1)


def _kernel(barriers=(True, True), fill_zeros=True, bounds="mnk", outside_waits=True, last=True, tile_of=None,
            transposed=False, b_row=None, reset=False, add_to_y=False, i_from_x=False):  # fmt: skip
    """A kernel; each setting is the right one unless given.

    barriers       after filling the tiles, after using them
    bounds         which sizes are looked at when a tile is filled
    outside_waits  threads outside of y take part in filling
    last           there is a last tile, if K is no multiple
    tile_of        (i, j, down, across) -> where in the tiles a thread puts its numbers
    b_row          (M, N, K) -> length of a row of b
    """

    def tiled_matmul(a, b, y, M, N, K):
        cuda, _ = simulated_card()
        a_tile, b_tile = (cuda.shared.array(TILE * TILE, np.float32) for _ in range(2))
        across, down = (cuda.threadIdx.y, cuda.threadIdx.x) if i_from_x else (cuda.threadIdx.x, cuda.threadIdx.y)
        column, row = (cuda.blockIdx.y, cuda.blockIdx.x) if i_from_x else (cuda.blockIdx.x, cuda.blockIdx.y)
        i, j = row * TILE + down, column * TILE + across
        if not outside_waits and (i >= M or j >= N):
            return
        t = tile_of(i, j, down, across) if tile_of else down * TILE + across
        width = b_row(M, N, K) if b_row else N
        total = np.float32(0)
        for k in range(0, K if last else K - K % TILE, TILE):
            if reset:
                total = np.float32(0)
            a_inside = ("m" not in bounds or i < M) and ("k" not in bounds or k + across < K)
            b_inside = ("n" not in bounds or j < N) and ("k" not in bounds or k + down < K)
            if a_inside:
                a_tile[t] = a[i * K + k + across]
            elif fill_zeros:
                a_tile[t] = 0
            if b_inside:
                b_tile[t] = b[(k + down) * width + j]
            elif fill_zeros:
                b_tile[t] = 0
            if barriers[0]:
                cuda.syncthreads()
            for n in range(TILE):
                of_a = n * TILE + down if transposed else down * TILE + n
                total += a_tile[of_a] * b_tile[n * TILE + across]
            if barriers[1]:
                cuda.syncthreads()
        if i < M and j < N:
            if add_to_y:
                total += y[i * N + j]
            y[i * N + j] = total

    return tiled_matmul


exercise.reference(_kernel())


def _stored(name, message, kernel):
    kernel.__name__ = name
    exercise.mistake(message)(kernel)


_stored("no_barrier_after_filling",
    "There is no barrier between filling the tiles and using them. A thread reads what its neighbours are to bring "
    "and have not brought yet: NaN here, on a card sometimes right and sometimes what lay there before.",
    _kernel(barriers=(False, True)))  # fmt: skip

_stored("no_barrier_after_using",
    "There is no barrier after a tile has been used. Fast threads already put the next tile in its place while slow "
    "ones are still adding up; with a single tile along K nothing shows.",
    _kernel(barriers=(True, False)))  # fmt: skip

_stored("no_barrier_at_all",
    "There is no barrier at all. Threads of a block run in any order: wait after filling the tiles, until all is "
    "there, and after using them, until nobody needs them any more.",
    _kernel(barriers=(False, False)))  # fmt: skip

_stored("threads_outside_do_not_wait",
    "Threads outside of y leave early, or jump over the loop, and never come to the barrier, where the others wait "
    "for them. All threads of a block must pass each barrier: let them fill the tiles, and only the last line, which"
    " writes, look whether it is inside.",
    _kernel(outside_waits=False))  # fmt: skip

_stored("no_bounds_when_filling",
    "The tiles are filled without looking whether the row, the column and k are inside. Past the end of a row lies "
    "the next row, past the last row nothing. Put 0 into the tile there.",
    _kernel(bounds=""))  # fmt: skip

_stored("k_not_looked_at",
    "Rows and columns are looked at, k is not: the last tile reaches past K, where a has its next row. What lies "
    "past K must count 0.",
    _kernel(bounds="mn"))  # fmt: skip

_stored("rows_and_columns_not_looked_at",
    "k is looked at, rows and columns are not: the threads below the last row or right of the last column fill the "
    "tiles too, and reach outside of a or into the next row of b.",
    _kernel(bounds="k"))  # fmt: skip

_stored("no_zeros_outside",
    "Outside of the matrices the tile is left as it is. Shared memory is not zero at first (NaN here), and later it "
    "holds the tile before: put 0 there.",
    _kernel(fill_zeros=False))  # fmt: skip

_stored("last_tile_missing",
    "K // TILE leaves out the last tile if K is no multiple of TILE; round up.",
    _kernel(last=False))  # fmt: skip

_stored("tile_at_the_place_in_the_matrix",
    "A tile has TILE * TILE numbers, for this block alone: a thread's place in it is told by threadIdx, not by its "
    "row and column in the whole matrix.",
    _kernel(tile_of=lambda i, j, down, across: i * TILE + j))  # fmt: skip

_stored("a_transposed",
    "The tile of a is read down its columns: that is a^T @ b. The sum runs along a row of a, a_tile[row, n], and "
    "down a column of b, b_tile[n, column].",
    _kernel(transposed=True))  # fmt: skip

_stored("row_of_b_as_long_as_k",
    "A row of b has N numbers: b[k, j] lies at k * N + j. You took K, which is the same only if the matrix is "
    "square.",
    _kernel(b_row=lambda M, N, K: K))  # fmt: skip

_stored("sum_begins_anew",
    "The sum begins anew with each tile, so only the last tile along K counts. Set it to 0 once, before the loop.",
    _kernel(reset=True))  # fmt: skip

_stored("adds_to_y",
    "You added to y, which holds whatever lay there before (NaN here). Add up in a variable, and write y once.",
    _kernel(add_to_y=True))  # fmt: skip

_stored("x_is_the_row",
    "You took x for the row and y for the column. By convention x counts along a row: blockIdx.x and threadIdx.x "
    "tell the column. The grid is made for that, and with yours some of y is never written.",
    _kernel(i_from_x=True))  # fmt: skip


@exercise.mistake(
    "The result is right, but without tiles: each thread fetches a whole row and a whole column from the card's "
    "memory. That is what the tiles are to save, for all threads of a block use the same rows and columns."
)
def without_tiles(a, b, y, M, N, K):
    cuda, _ = simulated_card()
    j, i = cuda.grid(2)
    if i < M and j < N:
        total = np.float32(0)
        for k in range(K):
            total += a[i * K + k] * b[k * N + j]
        y[i * N + j] = total


@exercise.mistake("The kernel's arrays are flat, as memory is: row i, column k of a is a[i * K + k], not a[i, k].")
def two_indices(a, b, y, M, N, K):
    cuda, _ = simulated_card()
    j, i = cuda.grid(2)
    if i < M and j < N:
        y[i * N + j] = a[i, 0]
