"""How the kernels of matmul.py touch memory, seen on the simulated card: nothing here changes a result, only speed."""

import functools
from collections import defaultdict

import numpy as np
import pytest

from kernels.cuda.matmul_parts import PLAIN
from kernels.cuda.matmul_tensor_cores import matmul_tensor_cores
from kernels.cuda.matmul_tiles import matmul_registers, matmul_two_slices
from kernels.cuda.trace import trace

K = 16  # two slices
WAYS = [("along", "across"), ("along", "along"), ("across", "across"), ("along_1", "across_1"), ("anyhow", "anyhow")]
FACTORIES = {"registers": matmul_registers, "two slices": matmul_two_slices}
CASES = [("registers", 4, 4), ("two slices", 4, 4), ("two slices", 8, 4), ("two slices", 8, 8)]
PAIRS = [
    (case, ways) for case in CASES for ways in WAYS if case[1:] != (8, 8) or ways in WAYS[::3]
]  # that takes seconds


@functools.cache
def accesses(name, TM, TN, a_way, b_way):
    return warp_accesses(FACTORIES[name](TM, TN, a_way, b_way), 2 * TM * TN, a_way, b_way)


def warp_accesses(kernel, tile, a_way, b_way):
    """Loads and stores of one block, warp by warp: (array, store, for each lane its elements, four or one)."""
    a, b, y = np.ones((tile, K), np.float32), np.ones((K, tile), np.float32), np.empty((tile, tile), np.float32)
    a_line, a_k = (1, tile) if "across" in a_way else (K, 1)
    b_line, b_k = (K, 1) if "along" in b_way else (1, tile)
    ending = (y, False, y, PLAIN) if "bias" in kernel.kinds else ()
    seen = trace(
        kernel, 1, kernel.threads, a, 0, 0, a_line, a_k, b, 0, 0, b_line, b_k, y, 0, tile, tile, K, *ending
    )  # fmt: skip
    assert (y == K).all()
    threads = defaultdict(list)
    for array, element, store, _, thread, _, part in seen["accesses"]:
        if part == 0:
            threads[thread].append((array, store, []))
        threads[thread][-1][2].append(element)
    found = []
    for warp in range(kernel.threads // 32):  # all its lanes do the same, so what each does n-th is one instruction
        for same in zip(*(threads[32 * warp + lane] for lane in range(32)), strict=True):
            assert len({(array, store, len(elements)) for array, store, elements in same}) == 1
            found.append((same[0][0], same[0][1], [elements for _, _, elements in same]))
    return found


def rounds(lanes):
    """How often shared memory must be asked for these lanes: the most different words in one of its 32 banks."""
    banks = defaultdict(set)
    for elements in lanes:
        for e in elements:
            banks[e % 32].add(e)
    return max(len(words) for words in banks.values())


@pytest.mark.parametrize(("case", "ways"), PAIRS, ids=str)
def test_memory(case, ways):
    """Shared: no bank is asked twice, by a warp with single numbers, half a warp with 128-bit loads, eight lanes with
    128-bit stores. The card's: it moves in sectors of 32 bytes, and a warp touches no more than its numbers fill."""
    arrays = set()
    for array, store, lanes in accesses(*case, *ways):
        arrays.add(array)
        if array.startswith("shared"):
            group = 32 if len(lanes[0]) == 1 else 8 if store else 16
            assert all(rounds(lanes[i : i + group]) == 1 for i in range(0, 32, group))
        else:
            touched = {e for elements in lanes for e in elements}
            assert len({e // 8 for e in touched}) == -(-len(touched) // 8)
    assert arrays == {"a", "b", "y", "shared 0", "shared 1"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_four_at_once(case):
    """All of rungs 3 and 4 goes by 128 bits, but for turning what lies along k on its way into shared memory."""
    single = {(array, store) for array, store, lanes in accesses(*case, "along", "across") if len(lanes[0]) == 1}
    assert single == {("shared 0", True)}


@pytest.mark.parametrize("tile", [64, 128])
def test_tensor_cores(tile):
    shared = [
        a for a in warp_accesses(matmul_tensor_cores(tile), tile, "anyhow", "anyhow") if a[0].startswith("shared")
    ]
    assert {rounds(lanes) for _, store, lanes in shared if not store} == {1}
    assert {rounds(lanes) for _, store, lanes in shared if store} <= {1, 2}
