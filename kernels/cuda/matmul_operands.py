"""Where the operands of a matrix product lie, which kernel is made for that, and in which tiles it is computed."""

import functools
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .device import DeviceArray, broadcast_view, copy
from .errors import DeviceError
from .machine import Kernel
from .matmul_parts import ACROSS, ACROSS_1, ALONG, ALONG_1, ANYHOW, DEPTH
from .matmul_tiles import matmul_two_slices

MULTIPROCESSORS = 132  # of an H200; not asked of the card, so that all cards add up in the same order
STACK = 65535  # most blocks that a grid may have along z

# Way of a, way of b -> kernel. Row-major a @ b is (ALONG, ACROSS); in backward dy @ weight^T is (ALONG, ALONG), and
# x^T @ dy is (ACROSS, ACROSS); with _1, dy has an odd number of columns, as GPT-2's logits do. SMALL's last fits all.
LARGE = {ways: matmul_two_slices(8, 8, *ways) for ways in [
    (ALONG, ACROSS), (ALONG, ALONG), (ACROSS, ACROSS), (ALONG_1, ACROSS), (ACROSS_1, ACROSS)]}  # fmt: skip
SMALL = {ways: matmul_two_slices(8, 4, *ways) for ways in [
    (ALONG, ACROSS), (ALONG, ALONG), (ACROSS, ACROSS), (ANYHOW, ANYHOW)]}  # fmt: skip


class Operand(NamedTuple):
    """A stack of matrices in memory: all of it flat, where the first begins, and strides in elements.

    z: from matrix to matrix, 0 if all are one. line: between rows of a, columns of b. k: along the axis that is summed.
    """

    flat: Any
    start: int
    z: int
    line: int
    k: int

    def way(self, lines: int, K: int) -> str:
        """How it can be read; see matmul_parts.py."""
        if self.k == 1:
            return ALONG if all(n % 4 == 0 for n in (self.start, self.z, self.line, K)) else ALONG_1
        if self.line == 1:
            return ACROSS if all(n % 4 == 0 for n in (self.start, self.z, self.k, lines)) else ACROSS_1
        return ANYHOW


def left(a, stack=()):
    """a (…, M, K) as Operand for a stack of this shape."""
    return _operand(a, stack, line=-2, k=-1)


def right(b, stack=()):
    """b (…, K, N) as Operand for a stack of this shape."""
    return _operand(b, stack, line=-1, k=-2)


def _operand(x, stack, line, k):
    if x.dtype != np.float32:
        raise DeviceError(f"the cuda row multiplies float32 matrices, got {x.dtype}: x.astype('float32') first")
    if any(stride < 0 for stride in x.strides):  # kernels count with unsigned numbers
        x = copy(x)
    if x.offset + sum((n - 1) * stride for n, stride in zip(x.shape, x.strides, strict=True)) >= 2**32:
        raise DeviceError(
            f"matmul on the card counts elements with 32 bits, an array of shape {x.shape} reaches beyond 2^32; "
            "a smaller batch_size (with accumulate) makes smaller arrays"
        )
    z = _step(x, stack)
    if z is None:
        x = copy(broadcast_view(x, (*stack, *x.shape[-2:])))
        z = _step(x, stack)
    return Operand(x.whole, x.offset, z, *(0 if x.shape[axis] == 1 else x.strides[axis] for axis in (line, k)))


def _step(x, stack) -> int | None:
    """The stride from each matrix of the stack to the next, None if it is not always the same."""
    strides = broadcast_view(x, (*stack, *x.shape[-2:])).strides[:-2]
    step, wanted = 0, None
    for n, stride in reversed(list(zip(stack, strides, strict=True))):
        if n == 1:
            continue
        if wanted is None:
            step = stride
        elif stride != wanted:
            return None
        wanted = stride * n
    return step


@functools.lru_cache(maxsize=4096)
def choose_tile(M: int, N: int, K: int, stack: int = 1, may_cut: bool = True) -> tuple[int, int]:
    """(tile, pieces): tiles of 128 or 64, and into how many pieces K is cut, so that all of the card has work.

    The rule: the multiprocessors take the blocks in rounds, and what counts is the rounds times the time for a block,

        ceil(blocks / 132) * (k + 16)        k of a block, plus the time until its first numbers arrive

    A tile of 64 is a quarter of the work, but takes a third of the time: each number that is read is used half as
    often. So large tiles win where there are many of them, small ones where the large would leave much of the card
    without work. Where even the small ones are few (weight gradients: a small matrix, summed over all tokens) K is cut
    into equal pieces, whose products are added up afterwards; to write and read them costs as much as 48 k more.
    """
    best, choice = float("inf"), (0, 0)
    for tile, share in ((128, 1.0), (64, 1 / 3)):
        tiles = -(-M // tile) * -(-N // tile) * stack
        for pieces in range(1, 17 if may_cut and stack == 1 else 2):
            if pieces > 1 and K % (pieces * DEPTH):
                continue
            rounds = -(-tiles * pieces // MULTIPROCESSORS)
            cost = rounds * share * (K // pieces + 16 + (48 if pieces > 1 else 0))
            if cost < best:
                best, choice = cost, (tile, pieces)
    return choice


def kernel_for(tile: int, a_way: str, b_way: str) -> tuple[Kernel, int]:
    """The kernel for operands that lie so, and its tile: a small one where there is no large one for them."""
    ways = (a_way, b_way)
    if tile == 128 and ways in LARGE:
        return LARGE[ways], 128
    return SMALL.get(ways, SMALL[ANYHOW, ANYHOW]), 64


def launch(kernel: Kernel, tile: int, a: Operand, b: Operand, y: DeviceArray, K: int, *ending):
    """Run a kernel that computes tiles of y (…, M, N), which is new: in one piece."""
    M, N = y.shape[-2:]
    stack = prod(y.shape[:-2])
    tiles = -(-M // tile) * -(-N // tile)
    for z in range(0, stack, STACK):
        kernel(
            (tiles, 1, min(STACK, stack - z)), kernel.threads,
            a.flat, a.start + z * a.z, a.z, a.line, a.k, b.flat, b.start + z * b.z, b.z, b.line, b.k,
            y.flat, z * M * N, M, N, K, *ending,
        )  # fmt: skip
