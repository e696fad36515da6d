"""How matrix products are laid out on the card: ways of reading, tiles, pieces of K, and what is refused."""

import itertools

import numpy as np
import pytest

from kernels.cuda import device, matmul, matmul_operands
from kernels.cuda.errors import DeviceError
from kernels.cuda.matmul_operands import left, right
from kernels.cuda.matmul_parts import tile_of_block


@pytest.mark.parametrize(
    ("stored", "key", "way"),
    [
        ((8, 12), np.s_[:], "along"),
        ((8, 11), np.s_[:], "along_1"),  # rows of 11 do not begin at multiples of four
        ((8, 16), np.s_[:, 0:12], "along"),
        ((8, 16), np.s_[:, 1:13], "along_1"),
        ((8, 16), np.s_[:, 0:11], "along_1"),  # the last piece of four would reach past K
        ((8, 24), np.s_[:, ::2], "anyhow"),
    ],
)
def test_ways(stored, key, way):
    x = device.view_of(device.empty(stored), key)
    lines, K = x.shape
    assert left(x).way(lines, K) == way
    turned = device.DeviceArray(x.lease, x.dtype, x.shape[::-1], x.strides[::-1], x.offset)
    assert right(turned).way(lines, K) == way
    assert left(turned).way(K, lines) == right(x).way(K, lines) == way.replace("along", "across")


TOKENS = 8 * 1024


@pytest.mark.parametrize(
    ("shape", "choice"),
    [
        ((TOKENS, 2304, 768), (128, 1)),  # GPT-2, forward: many large tiles
        ((TOKENS, 768, 3072), (128, 1)),
        ((768, 2304, TOKENS), (128, 8)),  # gradients of weights: few tiles, so K is cut
        ((768, 768, TOKENS), (128, 16)),
        ((2048, 1152, 384), (64, 1)),  # a small GPT: small tiles
        ((1, 1, 1), (64, 1)),
    ],
)
def test_choose_tile(shape, choice):
    tile, pieces = matmul_operands.choose_tile(*shape)
    assert (tile, pieces) == choice
    assert shape[2] % pieces == 0


def test_stacks_are_not_cut():
    assert matmul_operands.choose_tile(64, 64, 8192)[1] > 1
    assert matmul_operands.choose_tile(64, 64, 8192, 2)[1] == 1
    assert matmul_operands.choose_tile(64, 64, 8192, may_cut=False)[1] == 1


def test_tiles_in_turn():
    """Every tile of y is computed, whatever the order in which blocks take them."""
    for down, across in itertools.product((1, 7, 8, 9, 20), (1, 3, 8)):
        M, N, tile = (np.uint32(n) for n in (down * 4 - 3, across * 4, 4))
        places = {tuple(map(int, tile_of_block(np.uint32(n), M, N, tile))) for n in range(down * across)}
        assert places == set(itertools.product(range(0, down * 4, 4), range(0, across * 4, 4)))


def test_only_float32():
    ids = device.from_host(np.ones((2, 2), np.int64))
    with pytest.raises(DeviceError, match="float32"):
        matmul.matmul(ids, ids)


def test_too_large():
    """Refused before anything is launched; the view lies about its memory, so as not to need it."""
    small = device.empty((2, 2))
    huge = device.DeviceArray(small.lease, small.dtype, (2, 2), (2**32, 1))
    with pytest.raises(DeviceError, match="32 bits"):
        matmul.matmul(huge, small)
