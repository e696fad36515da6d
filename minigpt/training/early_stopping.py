"""Stop when the validation loss has stopped falling, and go back to the weights that were best.

Fine-tuning on few examples soon knows them by heart: the training loss goes on falling while the validation loss
rises. Source: Prechelt 1998, "Early stopping - but when?".
"""

from __future__ import annotations

import math

import numpy as np

from ..backend import row_of
from ..nn import Module


class EarlyStopping:
    """patience: so many evaluations in a row may be no better than the best; loss, step: of the best so far

    The weights kept are those of all parameters that can learn when it is made.
    """

    def __init__(self, model: Module, patience: int):
        self.patience, self.loss, self.step, self.waited = patience, math.inf, 0, 0
        self._learning = [name for name, p in model.named_parameters() if p.requires_grad]
        self._best: dict[str, np.ndarray] = {}

    @property
    def exhausted(self) -> bool:
        """Whether it is time to stop."""
        return self.waited >= self.patience

    def seen(self, model: Module, step: int, loss: float) -> None:
        """One more evaluation: its weights are kept if its loss is the lowest so far."""
        if loss < self.loss:
            own = dict(model.named_parameters())
            self.loss, self.step, self.waited = loss, step, 0
            self._best = {name: np.array(own[name].numpy()) for name in self._learning}
        else:
            self.waited += 1

    def restore(self, model: Module) -> None:
        """The best weights again."""
        own = dict(model.named_parameters())
        for name, array in self._best.items():
            device = row_of(own[name].data)
            own[name].data = array.copy() if device is None else device.from_host(array)

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps of it."""
        numbers = np.array([self.loss, self.step, self.waited], np.float64)
        return {"best": numbers, **{f"best.{name}": array for name, array in self._best.items()}}

    def load(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of arrays()."""
        loss, step, waited = arrays["best"].tolist()
        self.loss, self.step, self.waited = loss, int(step), int(waited)
        self._best = {key.removeprefix("best."): a for key, a in arrays.items() if key.startswith("best.")}
