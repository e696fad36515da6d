"""A trained GPT that comes with the library: three layers of one head, an induction head in the second.

It reads letters and digits. Where a text repeats itself, it goes on as the text did the last time: after "… k7Q … k7"
it says "Q", whatever the letters, since it was trained on random ones. `bench/induction.py` trains it in about a
minute; `minigpt bench induction --out FOLDER` does so again.
"""

from __future__ import annotations

from pathlib import Path

from ..models import GPT

FOLDER = Path(__file__).parent / "models" / "induction"


def induction_model() -> GPT:
    """The model, with its tokenizer, in evaluation mode; read anew at each call, so that it may be changed.

    Raises CheckpointError if its files were left out of the installation.
    """
    return GPT.from_pretrained(FOLDER)
