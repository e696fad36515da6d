"""How things show themselves: arrays in one line, small ones whole, large ones by statistics; texts line by line."""

from __future__ import annotations

import numpy as np

WHOLE = 16  # arrays of up to this many elements are printed whole


def describe(x: np.ndarray) -> str:
    """`(2, 64) float32 in [-2.3, 1.9], mean 0.07 ± 0.92`, or the elements if they are few; NaN and Inf are counted."""
    if x.size <= WHOLE:
        body = np.array2string(x, separator=", ", precision=4)
        return f"{body} {x.shape} {x.dtype}"
    if x.dtype.kind == "b":
        return f"{x.shape} bool, {int(x.sum())} of {x.size} true"
    if x.dtype.kind != "f":
        return f"{x.shape} {x.dtype} in [{x.min()}, {x.max()}]"
    finite = x[np.isfinite(x)].astype(np.float64)
    text = f"{x.shape} {x.dtype}"
    if finite.size:
        scale = max(-finite.min(), finite.max(), 1.0)  # squares of 1e200 do not exist, nor does the sum of 1e308s
        mean, std = (finite / scale).mean() * scale, (finite / scale).std() * scale
        text += f" in [{finite.min():.4g}, {finite.max():.4g}], mean {mean:.4g} ± {std:.4g}"
    for name, count in (("NaN", int(np.isnan(x).sum())), ("Inf", int(np.isinf(x).sum()))):
        if count:
            text += f", {count} {name}!"
    return text


class Text(str):
    """A text that a prompt or a notebook shows as it is, line by line, in place of quotes and \\n."""

    __slots__ = ()

    def __repr__(self):
        return str(self)
