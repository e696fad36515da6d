"""What the model loses without a head or an MLP: change of the loss when its output is replaced by zeros or a mean.

Heads that matter here need not matter elsewhere, and two heads that do the same job both look idle: each is missed
only where the other is gone too. Source: Michel, Levy & Neubig 2019, "Are sixteen heads really better than one?".
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from .heat import Axis, Heat, HeatView, Scale, checked_numbers, layer_axis, title_or


class AblationEffect(HeatView):
    """Change of the loss by layer and head, and by layer for the MLPs beside it, on one scale.

    heads      (L, H): loss without that head − baseline
    mlps       (L,): the same for the MLPs, or None
    baseline   float, loss of the whole model, or None; shown in the note
    unit       str, of all losses
    title      str, or None for a default

    Attributes: `heads` (L, H), `mlps` (L,) or None, float64 and read-only; `baseline`, `unit`, `scale`, `title`, `note`.
    Raises ArgumentError, ShapeError or NumericsError naming what does not fit.
    """

    def __init__(self, heads, mlps=None, baseline=None, unit="nats/token", title=None):
        self.heads = checked_numbers("heads", heads, ("layers", "heads"))
        self.mlps = None if mlps is None else checked_numbers("mlps", mlps, ("layers",))
        if self.mlps is not None and len(self.mlps) != len(self.heads):
            raise ShapeError(f"mlps needs one number for each of the {len(self.heads)} layers, got {len(self.mlps)}")
        if baseline is not None and not (isinstance(baseline, int | float | np.number) and np.isfinite(baseline)):
            raise ArgumentError(f"baseline needs one finite loss in {unit}, got {baseline!r}")
        self.baseline, self.unit = None if baseline is None else float(baseline), title_or(unit, "")
        largest = max(np.abs(part).max() for part in (self.heads, self.mlps) if part is not None)
        self.scale = Scale(float(largest) or 1.0, True, f"change of the loss, {self.unit}")
        self.title = title_or(title, "Loss without a head or an MLP" if mlps is not None else "Loss without a head")
        whole = "" if self.baseline is None else f" The whole model: {self.baseline:.4g} {self.unit}."
        self.note = f"Blue: the loss rises when it is taken out, so the model needs it. Vermilion: it does better without.{whole}"

    def __repr__(self):
        L, H = self.heads.shape
        return f"AblationEffect({L} layers × {H} heads{'' if self.mlps is None else ' and MLPs'}; {self.unit})"

    def maps(self):
        L, H = self.heads.shape
        maps = [Heat("heads", layer_axis(L), Axis("head", [str(head) for head in range(H)]), self.heads)]
        if self.mlps is not None:
            maps.append(Heat("MLPs", layer_axis(L), Axis("", ["MLP"]), self.mlps[:, None]))
        return maps
