"""How `KernelThreads` becomes a Matplotlib figure: arrays as rows, phases as columns, a cell for each element."""

from typing import NamedTuple

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .loss import COLOURS
from .threads import MOST_PHASES, WARP

LINE = "#c9c9d1"
UNTOUCHED = "#f1f1f4"
STRIPES = 12  # an element that several threads touch is striped; divisible by 1, 2, 3, 4, 6
PANEL = (1.9, 4.2)  # inches: a panel's width, at least and at most
LABEL_POINTS = 4.6  # the smallest number of a thread; where it would be smaller it is left out


class _Layout(NamedTuple):
    """In inches from the lower left corner."""

    width: float
    height: float
    cell: float
    lefts: list  # of the phases
    tops: list  # of the arrays


def thread_colours(n):
    """(n, 3) floats: a hue for each warp, growing darker from its first lane to its last."""
    lanes = min(n, WARP)
    colours = []
    for t in range(n):
        hue = np.array(to_rgb(COLOURS[t // WARP % len(COLOURS)]))
        strength = 0.22 + 0.78 * (t % WARP) / max(lanes - 1, 1)
        colours.append(1 - strength * (1 - hue))
    return np.array(colours)


def draw(view):
    """A new figure of a KernelThreads."""
    phases = range(min(len(view.phases), MOST_PHASES))
    page = _layout(view, len(phases))
    colours = thread_colours(view.threads)
    with figure.house_style():
        fig = figure.new_figure(page.width, page.height)
        ax = fig.add_axes((0, 0, 1, 1), label="threads")
        ax.set_axis_off()
        _draw_words(ax, page, view, phases)
        for (name, grid), top in zip(view.grids.items(), page.tops, strict=True):
            for phase in phases:
                x = page.lefts[phase]
                _draw_panel(ax, page, view, name, phase, (x, top), colours)
                for k, line in enumerate(view.caption(name, phase)):
                    y = top - grid.rows * page.cell - 0.06 - 0.13 * k
                    ax.text(x, y, line, fontsize=7, color=SOFT, va="top")
        _draw_legend(ax, page, view, colours)
        ax.set(xlim=(0, page.width), ylim=(0, page.height))  # last: every image resets them
    return fig


def _layout(view, phases):
    columns = max(grid.columns for grid in view.grids.values())
    most = PANEL[1] if phases == 1 else max(PANEL[0], min(PANEL[1], 13.0 / phases))
    cell = float(np.clip(most / columns, 0.06, 0.3))
    panel = max(columns * cell, PANEL[0])
    tops, y = [], 1.55
    for name, grid in view.grids.items():
        tops.append(y)
        lines = max(len(view.caption(name, phase)) for phase in range(len(view.phases)))
        y += grid.rows * cell + 0.13 * lines + 0.42
    height = y + 0.5
    lefts = [0.2 + k * (panel + 0.3) for k in range(phases)]
    width = max(lefts[-1] + panel + 0.2, 6.9)
    return _Layout(width, height, cell, lefts, [height - top for top in tops])


def _draw_panel(ax, page, view, name, phase, corner, colours):
    """One array in one phase: colours, numbers, and outlines around what is touched first."""
    grid, panel = view.grids[name], view.panels.get((name, phase))
    (x, top), cell = corner, page.cell
    wide, high = grid.columns * cell, grid.rows * cell
    ax.text(x, top + 0.05, figure.drawable(grid.label), fontsize=8, color=INK if panel else LINE, **VERBATIM)
    if panel is None:  # not touched: only where it would be
        ax.add_patch(Rectangle((x, top - high), wide, high, facecolor="none", edgecolor=LINE, linewidth=0.5))
        return
    image = np.full((grid.rows * grid.columns, STRIPES, 3), to_rgb(UNTOUCHED))
    points = 72 * cell * 0.42
    for element in np.unique(panel.element):
        threads = np.unique(panel.thread[panel.element == element])
        stripes = max(n for n in (1, 2, 3, 4, 6, 12) if n <= len(threads))
        chosen = threads[np.linspace(0, len(threads) - 1, stripes).round().astype(int)]
        image[element] = np.repeat(colours[chosen], STRIPES // stripes, axis=0)
        text = str(threads[0]) if len(threads) == 1 else f"{len(threads)}×"
        size = min(points, 72 * cell * 1.35 / len(text), 9)
        if size >= LABEL_POINTS:
            dark = image[element].mean(axis=0) @ (0.3, 0.59, 0.11) < 0.55
            ax.text(
                x + (element % grid.columns + 0.5) * cell,
                top - (element // grid.columns + 0.5) * cell,
                text,
                fontsize=size,
                fontweight="normal" if len(threads) == 1 else "bold",
                color="white" if dark else INK,
                ha="center",
                va="center_baseline",
            )
    picture = image.reshape(grid.rows, grid.columns * STRIPES, 3)
    ax.imshow(picture, extent=(x, x + wide, top - high, top), aspect="auto", interpolation="nearest")
    lines = [((x, top - k * cell), (x + wide, top - k * cell)) for k in range(grid.rows + 1)]
    lines += [((x + k * cell, top), (x + k * cell, top - high)) for k in range(grid.columns + 1)]
    ax.add_collection(LineCollection(lines, colors="white" if cell > 0.1 else LINE, linewidths=0.5))
    first = np.unique(panel.element[(panel.thread < WARP) & (panel.request == 0)])
    for element in first:
        place = (x + element % grid.columns * cell, top - (element // grid.columns + 1) * cell)
        ax.add_patch(Rectangle(place, cell, cell, facecolor="none", edgecolor=INK, linewidth=0.9, zorder=3))


def _draw_words(ax, page, view, phases):
    """Title, how to read it, and the names of the phases."""
    title = figure.drawable(html.clip(view.title, int(page.width * 9)))
    ax.text(0.2, page.height - 0.3, title, fontsize=12, color=INK, **VERBATIM)
    notes = [*view.notes(), "Outlined: the first request of the first warp in each panel."]
    if len(phases) < len(view.phases):
        notes[-1] += f" Shown are {len(phases)} of {len(view.phases)} phases."
    for k, note in enumerate(notes):
        ax.text(0.2, page.height - 0.5 - 0.15 * k, note, fontsize=7.5, color=SOFT)
    for phase in phases:
        name = figure.drawable(view.phases[phase])
        ax.text(page.lefts[phase], page.height - 1.28, name, fontsize=8.5, color=INK, weight="bold", **VERBATIM)


def _draw_legend(ax, page, view, colours):
    """The colours of the warps."""
    warps = -(-view.threads // WARP)
    shown = min(warps, len(COLOURS))
    step = min(1.55, (page.width - 0.4) / shown)
    for w in range(shown):
        x, ramp = 0.2 + w * step, colours[w * WARP : (w + 1) * WARP]
        ax.imshow(ramp[None], extent=(x, x + 0.55 * step, 0.34, 0.46), aspect="auto", interpolation="nearest")
        last = w * WARP + len(ramp) - 1
        ax.text(
            x, 0.22, f"threads {w * WARP} to {last}" if last > w * WARP else f"thread {last}", fontsize=6.5, color=SOFT
        )
    if warps > shown:
        ax.text(0.2, 0.06, "further warps have these colours again", fontsize=6.5, color=SOFT)
