"""How training went: loss against step for one or several runs.

The training loss of single batches jumps about, so it is drawn faintly and its moving average strongly. The
average looks as far ahead as back: one that only looks back runs late where the loss falls fast, and would
cross a baseline at the wrong step. Validation losses are means over many batches already: points as measured.
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from . import html
from .base import View

# Okabe & Ito's palette without black and yellow: told apart by colour-blind readers, on white and on dark.
GREY = "#777777"  # reference lines
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MOST_POINTS = 1000  # of a curve in a page; longer ones keep the extremes of each stretch
SMOOTHED_SHARE = 0.04  # of a run's records in one window of the moving average
LABEL_GAP = 0.05  # between labels at the ends of curves, as a share of the loss axis


class LossCurve(View):
    """Training and validation loss of one or several runs.

    runs         dict name -> {"train": {"steps": [...], "losses": [...]}, "val": {...}}; one of the two may
                 be missing. Steps rise strictly. A loss that is not finite (the run diverged) leaves a gap.
    title        str, or None for a default
    unit         str, the unit of all losses, such as "nats/token"
    axis         str, what the steps are: runs with batches of unequal size compare by "tokens" seen, given as steps
    references   dict name -> float in the same unit, drawn as labelled horizontal lines (n-gram baselines)

    Attributes, all plain: `runs` with every list as an array (steps and losses float64) and the moving
    average as runs[name]["train"]["smooth"]; `window` int, how many records it averages (1: too few to
    smooth); `references`; `limits` (low, high) of the loss axis; `unit`, `axis`, `title` str.

    Raises ArgumentError or ShapeError naming the run and what it lacks.
    """

    script = ("chart.js", "loss.js")

    def __init__(self, runs, title=None, unit="nats/char", references=None, axis="step"):
        if not isinstance(runs, dict) or not runs:
            raise ArgumentError(
                'runs needs a dict such as {"my run": {"train": {"steps": [...], "losses": [...]}}}; '
                f"got {type(runs).__name__}{' without entries' if isinstance(runs, dict) else ''}."
            )
        self.runs = {str(name): _checked_run(str(name), run) for name, run in runs.items()}
        self.references = _checked_references(references)
        self.unit = html.one_line(unit)
        self.axis = html.one_line(axis)
        default = "Loss by training step" if self.axis == "step" else f"Loss by {self.axis}"
        self.title = html.one_line(title) if title is not None else default
        trained = [run["train"] for run in self.runs.values() if "train" in run]
        longest = max((len(train["losses"]) for train in trained), default=0)
        self.window = 2 * round(SMOOTHED_SHARE * longest / 2) + 1  # odd, to have a middle
        for train in trained:
            train["smooth"] = moving_average(train["losses"], self.window)
        self.limits = self._limits()

    def __repr__(self):
        return f"LossCurve({', '.join(self.runs)}; {self.unit})"

    def final(self, name):
        """The last finite values of a run as text: `val 1.52, train 1.47` (train is the moving average)."""
        run = self.runs[name]
        parts = []
        for split, key in (("val", "losses"), ("train", "smooth")):
            if split in run:
                parts.append(f"{split} {_last_finite(run[split][key]):.3f}{_diverged(run[split])}")
        return ", ".join(parts)

    def smoothing(self):
        """The legend of the training curves."""
        if self.window == 1:
            return "train"
        return f"train, moving average over {self.window} records, raw behind it"

    def labels(self):
        """What stands right of the axes, none overlapping: (text, its loss, where it stands, colour)."""
        labels = []
        for k, (name, run) in enumerate(self.runs.items()):
            end = _last_finite(run["val"]["losses"] if "val" in run else run["train"]["smooth"])
            text = f"{html.clip(html.one_line(name), 24)}: {self.final(name)}"
            labels.append((text, end, COLOURS[k % len(COLOURS)]))
        for name, value in self.references.items():
            labels.append((f"{html.clip(html.one_line(name), 24)}: {value:.3f}", value, GREY))
        low, high = self.limits
        places = spread([end for _, end, _ in labels], LABEL_GAP * (high - low), low, high)
        return [(text, end, place, colour) for (text, end, colour), place in zip(labels, places, strict=True)]

    def alt(self):
        ends = "; ".join(f"{html.one_line(name)}: {self.final(name)}" for name in self.runs)
        text = f"{self.title}. Loss in {self.unit} against {self.axis}. Last values: {ends}."
        if self.references:
            lines = ", ".join(f"{html.one_line(name)} {value:.3f}" for name, value in self.references.items())
            text += f" Reference lines: {lines}."
        return text

    def data(self):
        """What the page carries: exact (step, loss) pairs in base64, steps as float64, losses as float32."""
        runs = []
        for k, (name, run) in enumerate(self.runs.items()):
            entry = {"name": html.one_line(name), "colour": COLOURS[k % len(COLOURS)]}
            for split in ("train", "val"):
                if split not in run:
                    continue
                kept = worth_drawing(run[split]["losses"], MOST_POINTS)
                entry[split] = {
                    key: html.base64_text(values[kept].astype("<f8" if key == "steps" else "<f4"))
                    for key, values in run[split].items()
                }
            runs.append(entry)
        return {
            "title": self.title,
            "unit": self.unit,
            "axis": self.axis,
            "smoothing": self.smoothing(),
            "raw": self.window > 1,
            "limits": [round(value, 6) for value in self.limits],
            "runs": runs,
            "references": list(self.references.values()),
            "labels": [[text, end, round(place, 6), colour] for text, end, place, colour in self.labels()],
        }

    def fig(self):
        """All runs on one pair of axes, each labelled at its end, as a new matplotlib Figure."""
        from . import loss_figure

        return loss_figure.draw(self)

    def _limits(self):
        """Room for all that is worth seeing; a loss that exploded leaves the picture, not squeezes it."""
        shown, firsts = list(self.references.values()), list(self.references.values())
        for run in self.runs.values():
            for split, key in (("train", "smooth"), ("val", "losses")):
                if split in run:
                    finite = run[split][key][np.isfinite(run[split][key])]
                    shown.extend(finite)
                    firsts.append(finite[0])
        low, high = min(shown), max(shown)
        if max(firsts) > 0:
            high = min(high, 2 * max(firsts))
        margin = 0.06 * (high - low) or 0.5
        return float(low - margin), float(high + margin)


def moving_average(values, window):
    """Mean over the `window` records around each.  values (n,) -> (n,) float64.

    Near the start the window shrinks on both sides alike, so that it stays centred where the loss falls
    fastest; at the end it loses its later half. Values that are not finite are passed over and leave NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    finite = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])  # (n + 1,) sums of the first k
    count = np.concatenate([[0], np.cumsum(finite)])  # (n + 1,)
    t = np.arange(n)
    half = np.minimum(window // 2, t)
    first, last = t - half, np.minimum(t + half + 1, n)  # [first, last)
    means = (total[last] - total[first]) / np.maximum(count[last] - count[first], 1)
    return np.where(finite, means, np.nan)


def spread(heights, gap, low, high):
    """Heights moved apart to at least `gap`, in the same order, as little as possible.

    Labels at 1.50, 1.52 and 2.0 with a gap of 0.1 come to stand at 1.46, 1.56 and 2.0: those in each
    other's way form a group around their mean (isotonic regression by pooling neighbours,
    Barlow et al. 1972, chapter 1).
    """
    order = np.argsort(heights, kind="stable")
    groups = []  # [sum of heights, number of labels]; the labels of a group stand `gap` apart
    for height in np.asarray(heights, dtype=float)[order]:
        groups.append([height, 1])
        while len(groups) > 1 and _bottom(groups[-1], gap) < _top(groups[-2], gap) + gap:
            total, count = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += count
    placed = [_bottom(group, gap) + k * gap for group in groups for k in range(group[1])]
    for k in range(len(placed)):  # not below the axes …
        placed[k] = max(placed[k], low + k * gap)
    for k in range(len(placed)):  # … nor above, the more important if there is no room for both
        placed[-1 - k] = min(placed[-1 - k], high - k * gap)
    result = np.empty(len(placed))
    result[order] = placed
    return result.tolist()


def _bottom(group, gap):
    return group[0] / group[1] - (group[1] - 1) * gap / 2


def _top(group, gap):
    return group[0] / group[1] + (group[1] - 1) * gap / 2


def worth_drawing(losses, most):
    """Indices of at most about `most` points: first, last, and smallest and largest of each stretch."""
    n = len(losses)
    if n <= most:
        return np.arange(n)
    finite = np.where(np.isfinite(losses), losses, 0.0)
    kept = {0, n - 1}
    for stretch in np.array_split(np.arange(n), most // 2):
        kept.update((int(stretch[finite[stretch].argmin()]), int(stretch[finite[stretch].argmax()])))
    return np.array(sorted(kept))


def _last_finite(values):
    return float(values[np.isfinite(values)][-1])


def _diverged(series):
    lost = ~np.isfinite(series["losses"])
    return f" (not finite from step {series['steps'][lost.argmax()]:.0f})" if lost[-1] else ""


def _checked_run(name, run):
    wanted = '{"train": {"steps": [...], "losses": [...]}, "val": {...}}'
    if not isinstance(run, dict) or not run or not set(run) <= {"train", "val"}:
        got = sorted(map(str, run)) if isinstance(run, dict) else type(run).__name__
        raise ArgumentError(f"run {name!r} needs {wanted}, with train, val or both; got {got}.")
    return {split: _checked_series(f"{name}/{split}", run[split]) for split in run}


def _checked_series(name, series):
    if not isinstance(series, dict) or set(series) != {"steps", "losses"}:
        got = sorted(map(str, series)) if isinstance(series, dict) else type(series).__name__
        raise ArgumentError(f'{name} needs {{"steps": [...], "losses": [...]}}; got {got}.')
    arrays = {}
    for key, values in series.items():
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise ArgumentError(f"{name} needs numbers as {key}; got dtype {array.dtype}. Of Tensors take .item().")
        arrays[key] = array.astype(np.float64)
    steps, losses = arrays["steps"], arrays["losses"]
    if steps.ndim != 1 or steps.shape != losses.shape or steps.size == 0:
        raise ShapeError(
            f"{name} needs as many steps as losses, at least one, in 1-D; got steps {steps.shape}, "
            f"losses {losses.shape}."
        )
    if not np.isfinite(steps).all() or (np.diff(steps) <= 0).any():
        raise ArgumentError(
            f"{name} needs steps that rise strictly. After a resumed run, cut the old record where the new one begins."
        )
    if not np.isfinite(losses).any():
        raise ArgumentError(f"{name} has no finite loss to draw: the run diverged before its first record.")
    return {"steps": steps, "losses": losses}


def _checked_references(references):
    if references is not None and not isinstance(references, dict):
        raise ArgumentError(f'references needs a dict such as {{"bigram": 2.45}}; got {type(references).__name__}.')
    checked = {}
    for name, value in (references or {}).items():
        if not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            raise ArgumentError(f"reference {name!r} needs one finite number; got {value!r}.")
        checked[str(name)] = float(value)
    return checked
