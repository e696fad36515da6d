"""Accesses of 128 bits: four elements at once, and when that is possible.

A thread that loads four elements at once has four times as many bytes under way, and the card needs many under way at
the same time to fill the time that memory takes to answer.
"""

import numpy as np

FOUR = np.uint32(4)


def in_fours(n: int, *arrays) -> bool:
    """Whether rows of n elements each begin where an access of 128 bits may begin: at a multiple of four elements.

    The card's memory itself begins there, so an array does if its offset is a multiple of four.
    """
    return n % 4 == 0 and all(array.offset % 4 == 0 for array in arrays)
