"""KernelThreads: what accesses cost, figure, page, errors. The traces are made up; tests/kernels/cuda has real ones."""

import base64
import json

import numpy as np
import pytest

from minigpt.backend import trace_kernel
from minigpt.errors import ArgumentError, BackendError
from minigpt.viz import KernelThreads


def trace(accesses, shape=(8, 32), block=(32, 1, 1), itemsize=4, name="x", kernel="made_up"):
    """accesses: (element, thread) or (element, thread, more fields)"""
    fields = ("store", "phase", "part", "array", "block")
    usual = {"store": False, "phase": 0, "part": 0, "array": name, "block": (0, 0, 0)}
    entries, arrays = [], {name: {"shape": shape, "bytes": itemsize}}
    for element, thread, *rest in accesses:
        given = {**usual, **(rest[0] if rest else {})}
        arrays.setdefault(given["array"], {"shape": shape, "bytes": itemsize})
        store, phase, part, array, where = (given[field] for field in fields)
        entries.append((array, element, store, where, thread, phase, part))
    return {"kernel": kernel, "block": block, "arrays": arrays, "accesses": entries}


def cost(accesses, store=False, **settings):
    view = KernelThreads(trace(accesses, **settings))
    name = next(iter(view.grids))
    found = view.traffic(name, 0, store)
    return found.requests, found.pieces, found.least


LANES = range(32)
COLUMN = [(32 * (t % 8), t) for t in LANES]  # 8 rows, each asked for by four threads
FOURS = [(4 * t + part, t, {"part": part}) for t in LANES for part in range(4)]


@pytest.mark.parametrize(
    ("accesses", "wanted"),
    [
        ([(t, t) for t in LANES], (1, 4, 4)),  # neighbours: 128 bytes in 4 sectors
        ([(t + 1, t) for t in LANES], (1, 5, 4)),  # neighbours that begin in the middle of a sector
        ([(31 - t, t) for t in LANES], (1, 4, 4)),  # the order of the threads does not matter
        (COLUMN, (1, 8, 1)),  # a sector for each row
        ([(5, t) for t in LANES], (1, 1, 1)),  # all the same
        ([(t, 0) for t in range(8)], (8, 8, 8)),  # one thread after the other element: a request each
        ([(t, t) for t in range(40)], (2, 5, 5)),  # two warps ask apart
        (FOURS, (1, 16, 16)),  # 128 bits a thread: one request
        ([(t, t, {"store": True}) for t in LANES] + [(0, 0)], (1, 1, 1)),  # stores are counted apart from loads
    ],
)
def test_sectors_by_hand(accesses, wanted):
    assert cost(accesses, block=(64, 1, 1)) == wanted


def test_sectors_of_wider_elements():
    assert cost([(t, t) for t in LANES], itemsize=8) == (1, 8, 8)


@pytest.mark.parametrize(
    ("accesses", "itemsize", "wanted"),
    [
        ([(t, t) for t in LANES], 4, (1, 1, 1)),
        ([(2 * t, t) for t in LANES], 4, (1, 2, 1)),  # every second bank, twice
        ([(32 * (t % 8), t) for t in LANES], 4, (1, 8, 1)),  # eight words of one bank
        ([(33 * (t % 7), t) for t in LANES], 4, (1, 1, 1)),  # one column more: all in different banks
        ([(5, t) for t in LANES], 4, (1, 1, 1)),  # the same word for all
        ([(t, t) for t in LANES], 8, (1, 2, 2)),
        ([(t, t) for t in LANES], 1, (1, 1, 1)),
        (FOURS, 4, (1, 4, 4)),
    ],
)
def test_passes_by_hand(accesses, itemsize, wanted):
    assert cost(accesses, name="shared 0", shape=(256,), itemsize=itemsize) == wanted


def test_captions_say_how_often_and_how_dear():
    view = KernelThreads(trace([*COLUMN, (0, 0), (7, 1, {"store": True})]))
    assert view.caption("x", 0) == [
        "33 loads, up to 5 times each",
        "2 requests × 4.5 sectors = 9 (at best 2)",
        "1 store, each element once",
        "1 request, 1 sector",
    ]
    assert KernelThreads(trace(COLUMN)).caption("x", 0)[0] == "32 loads, each element 4 times"


# --- phases, arrays, blocks ---------------------------------------------------------------------------------


def three_phases():
    tile, out = {"array": "shared 0", "store": True}, {"array": "y", "store": True, "phase": 2}
    given = trace(
        [
            *((t, t) for t in range(8)),
            *((t, t, tile) for t in range(8)),
            *((7 - t, t, {"array": "shared 0", "phase": 1}) for t in range(8)),
            *((t, t, out) for t in range(8)),
            (3, 1, {"block": (1, 0, 0)}),
        ],
        shape=(2, 4),
        block=(8, 1, 1),
    )
    given["arrays"]["shared 0"]["shape"] = (8,)
    return given


def test_arrays_stand_in_the_order_of_first_touch_and_phases_between_barriers():
    given = three_phases()
    given["arrays"] = {name: given["arrays"][name] for name in ("y", "x", "shared 0")} | {
        "idle": {"shape": (3,), "bytes": 4}
    }
    steps = ["fetch", "turn", "store"]
    view = KernelThreads(given, names={"shared 0": "tile"}, shapes={"shared 0": (2, 4)}, steps=steps)
    assert list(view.grids) == ["x", "shared 0", "y"]  # idle was not touched
    assert view.phases == ["fetch (until barrier 1)", "turn (barrier 1 to 2)", "store (after barrier 2)"]
    assert view.grids["shared 0"].label == "tile (2 × 4)"
    assert view.caption("y", 0) == []
    assert view.traffic("y", 0, True) is None


def test_another_block():
    view = KernelThreads(three_phases(), block=(1, 0, 0))
    assert view.phases == ["no barrier"]
    assert view.panels["x", 0].element.tolist() == [3]


@pytest.mark.parametrize(
    ("name", "shape", "shapes", "wanted"),
    [
        ("x", (8, 1), {}, (1, 8)),  # a column is drawn as a row
        ("x", (2, 3, 4), {}, (6, 4)),
        ("x", (), {}, (1, 1)),
        ("x", (65,), {}, (3, 32)),  # too long for one row: as wide as a warp
        ("shared 0", (40,), {}, (5, 8)),  # as wide as the block
        ("shared 0", (40,), {"shared 0": (4, 10)}, (4, 10)),
        ("shared 0", (33,), {}, (2, 32)),  # not in rows of 8
        ("shared 0", (32,), {}, (1, 32)),
    ],
)
def test_how_arrays_are_folded(name, shape, shapes, wanted):
    view = KernelThreads(trace([(0, 0)], name=name, shape=shape, block=(8, 1, 1)), shapes=shapes)
    assert view.grids[name][1:3] == wanted


# --- figure -------------------------------------------------------------------------------------------------


def test_figure_numbers_colours_and_outlines():
    view = KernelThreads(three_phases())
    fig = view.fig()
    ax = fig.axes[0]
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("7") == 4  # thread 7 touches one element in each of the four panels that are not empty
    assert "until barrier 1" in texts
    assert len([text for text in texts if text == "x (2 × 4)"]) == 3  # a panel a phase, also where it is empty
    assert len(ax.images) == 4 + 1  # and the colours of the threads
    outlined = [patch for patch in ax.patches if patch.get_linewidth() > 0.6]
    assert len(outlined) == 4 * 8


def test_figure_counts_threads_that_share_an_element():
    texts = [text.get_text() for text in KernelThreads(trace(COLUMN, shape=(8, 8 * 4))).fig().axes[0].texts]
    assert not any("×" in text and len(text) < 4 for text in texts)  # elements too small for numbers
    few = [(0, t) for t in range(5)]
    assert "5×" in [text.get_text() for text in KernelThreads(trace(few, shape=(2, 2))).fig().axes[0].texts]


@pytest.mark.parametrize("threads", [1, 8, 256])
def test_everything_lies_on_the_figure(threads):
    view = KernelThreads(
        trace([(t, t) for t in range(threads)], shape=(16, 16), block=(threads, 1, 1)), title="x" * 300
    )
    fig = view.fig()
    fig.canvas.draw()
    for text in fig.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= fig.bbox.x1 + 1
        assert box.y1 <= fig.bbox.y1 + 1


def test_more_phases_than_fit_are_named():
    many = trace([(0, 0, {"phase": phase}) for phase in range(11)], shape=(2, 2))
    texts = [text.get_text() for text in KernelThreads(many).fig().axes[0].texts]
    assert any("8 of 11 phases" in text for text in texts)


def test_warps_differ_in_hue_and_lanes_in_strength():
    from minigpt.viz.threads_figure import thread_colours

    colours = thread_colours(96)
    assert len(np.unique(colours.round(6), axis=0)) == 96
    assert (np.diff(colours[:32].sum(axis=1)) < 0).all()  # darker from lane to lane


# --- page ---------------------------------------------------------------------------------------------------


def test_page_carries_every_access(read_html):
    view = KernelThreads(three_phases(), title="</script><b>")
    html = view._repr_html_()
    line = next(line for line in html.splitlines() if line.startswith("start("))
    data = json.loads(line[line.index("{") : line.rindex("}") + 1])
    assert data["grids"] == [["x (2 × 4)", 2, 4], ["shared 0 (8)", 1, 8], ["y (2 × 4)", 2, 4]]
    assert len(base64.b64decode(data["colours"])) == 3 * 8
    turn = next(panel for panel in data["panels"] if (panel["array"], panel["phase"]) == (1, 1))
    numbers = np.frombuffer(base64.b64decode(turn["accesses"]), "<i4").reshape(-1, 4)
    np.testing.assert_array_equal(numbers, [[7 - t, t, 0, 0] for t in range(8)])
    page = read_html(html)
    assert len(page.scripts) == 1
    assert not page.all("b")


def test_alt_text_says_it_all():
    text = KernelThreads(three_phases(), title="Turning").alt()
    assert text.startswith("Turning. Block (0, 0, 0) of 8 threads")
    assert "barrier 1 to 2, shared 0 (8): 8 loads, each element once, 1 request, 1 pass" in text


@pytest.mark.parametrize("suffix", [".html", ".svg", ".png"])
def test_saves_the_same_bytes(suffix, tmp_path):
    paths = [KernelThreads(three_phases()).save(tmp_path / f"{k}{suffix}") for k in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "settings", "hint"),
    [
        ([], {}, r"trace_kernel returns; got list without accesses, arrays"),
        ({"kernel": "k"}, {}, "got dict without accesses, arrays, block"),
        (trace([]), {}, "touched no array"),
        (trace([(0, 0)]), {"block": (1, 0, 0)}, r"block \(1, 0, 0\) has touched nothing"),
        (trace([(0, 0)], shape=(65, 2)), {}, "at most 64 × 64"),
        (trace([(0, 0)], shape=(5000,)), {}, r"shapes=\{'x': \(rows, columns\)\}"),
        (trace([(0, 0)]), {"steps": ["a", "b"]}, r"for each of 1 phases \(0 barriers\); got 2"),
    ],
)
def test_bad_traces(given, settings, hint):
    with pytest.raises(ArgumentError, match=hint):
        KernelThreads(given, **settings)


def test_too_many_accesses(monkeypatch):
    monkeypatch.setattr("minigpt.viz.threads.LARGEST_TRACE", 3)
    with pytest.raises(ArgumentError, match="4 accesses of one block"):
        KernelThreads(trace([(0, 0)] * 4))


def test_tracing_without_the_simulator_says_how(monkeypatch):
    monkeypatch.delenv("MINIGPT_CUDA_SIMULATOR", raising=False)
    with pytest.raises(BackendError, match=r"start Python with MINIGPT_CUDA_SIMULATOR=1.*os\.environ"):
        trace_kernel("layernorm_v1", 1, 8)
