"""How many bytes of activations live at once: what ops made and somebody still holds."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np


class LiveMemory:
    """Counts the memory of arrays from when they are seen until they disappear; views of one piece count once.

    live, peak   bytes now, and the most so far
    """

    def __init__(self):
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref] = {}  # id of a piece of memory -> a reference that tells when it goes
        self._lock = threading.RLock()  # an array may disappear while this very thread counts another one

    def add(self, arrays, besides=()) -> None:
        """Count arrays from now on, except those that lie in the memory of `besides`: an op's own inputs."""
        before = {id(owner(a)) for a in besides}
        for array in arrays:
            piece = owner(array)
            if id(piece) not in before:
                self._add(piece, piece.nbytes if isinstance(piece, np.ndarray) else array.nbytes)

    def _add(self, piece, nbytes):
        key = id(piece)

        def gone(_):
            with self._lock:
                if self._known.pop(key, None) is not None:
                    self.live -= nbytes

        with self._lock:
            if key not in self._known:
                self._known[key] = weakref.ref(piece, gone)
                self.live += nbytes
                self.peak = max(self.peak, self.live)


def owner(array) -> Any:
    """What keeps the array's memory: the array of which it is a view; on a card its lease on a block."""
    if not isinstance(array, np.ndarray):
        return array.lease
    while type(array.base) is np.ndarray:
        array = array.base
    return array
