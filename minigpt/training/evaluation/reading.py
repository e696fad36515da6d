"""A model reads a batch, its rows shared out to threads as in training."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from ...backend import current_row
from ..workers import ThreadSettings, Workers, usable_cores

MOST_LOGITS = 4_000_000  # of a batch, so that a large vocabulary does not fill the memory


@contextmanager
def reading(model):
    """`with reading(model) as read:` evaluation mode and no gradients inside the block.

    read(ids (B, T), keep) calls keep(logits (b, T, V), rows) for each thread's rows, a slice of the B, and returns the
    list of what it gives, in order. `keep` runs in several threads; the logits are its own until it returns.
    """
    with model.evaluating(), ThreadSettings():
        cores = 1 if current_row().name == "cuda" else usable_cores()  # a card is kept busy by one thread
        workers = Workers(model, cores)

        def read(ids, keep):
            bounds = [len(ids) * i // cores for i in range(cores + 1)]

            def part(i):
                rows = slice(bounds[i], bounds[i + 1])
                if rows.start == rows.stop:
                    return None
                logits, _ = workers.replicas[i](ids[rows])  # (b, T, V)
                return keep(logits.numpy(), rows)

            return [kept for kept in workers.each(part) if kept is not None]

        yield read


def rows_at_once(model, T: int) -> int:
    """How many rows of T tokens make a batch of reasonable size."""
    return int(np.clip(MOST_LOGITS // (T * model.config.vocab_size), 1, 64))
