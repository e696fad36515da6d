"""Conversations of several turns made of single exchanges.

A model that has only ever seen one question and its answer fails at the second question of a chat: it stands where no
question stood in training, behind words that it has never had to pass over. So exchanges are put behind one another:

    <|user|>What is 1 + 2?<|end|><|assistant|>3<|end|><|user|>What is 8 + 5?<|end|><|assistant|>13<|end|>

Every answer carries loss. Unlike in `packing.py`, the later exchange does see the earlier one, as it does in a chat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..randomness import as_generator
from ..tokenizers import Tokenizer
from .dialogue import START
from .tokens import positive

Record = tuple[np.ndarray, np.ndarray]


def join_turns(records: Sequence[Record], tok: Tokenizer, most: int, room: int, rng=None) -> list[Record]:
    """Records of one to `most` others, in a random order, each within `room` tokens.

    records: (ids, loss_mask) as `render` makes them; one that is longer than the room stays as it is, and a
    conversation that the system opens only ever stands first
    How many are joined is drawn from 1 … most, all equally likely, so that first turns are practised as well.
    """
    most, rng = positive("most", most), as_generator(rng)
    system = tok.special_tokens[START["system"]]
    joined: list[list[Record]] = []
    wanted = width = 0
    for i in rng.permutation(len(records)):
        ids = records[i][0]
        if wanted == 0 or width + len(ids) > room or ids[0] == system:
            joined.append([])
            wanted, width = int(rng.integers(1, most + 1)), 0
        joined[-1].append(records[i])
        wanted, width = wanted - 1, width + len(ids)
    return [(np.concatenate([r[0] for r in group]), np.concatenate([r[1] for r in group])) for group in joined]
