"""mg.trace(): what it writes down of forward and backward, in modules, loops, threads, errors; and that it ends."""

import csv
import gc
import inspect
import io
import threading
import xml.etree.ElementTree as ElementTree
from contextvars import copy_context

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn
from minigpt.data import TokenData
from minigpt.debug import roofline
from minigpt.debug.trace_svg import boxes as boxes_of
from minigpt.debug.trace_text import ledger_rows, si
from minigpt.debug.traced_op import TracedOp
from minigpt.debug.tracing import LIMIT
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM
from minigpt.observe import OBSERVERS
from minigpt.training import TrainConfig, Trainer

CONFIG = GPTConfig(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=12)
IDS = np.arange(16).reshape(2, 8) % 11


@pytest.fixture(autouse=True)
def _known_machine(monkeypatch):
    """No measuring in tests: 100 GFLOP/s and 10 GB/s."""
    monkeypatch.setattr("minigpt.debug.tracing.machine_peaks", lambda row: roofline.Peaks(row, 1e11, 1e10))


def names(rows):
    return [(row.module, row.op) for row in rows]


def test_a_gpt_forward_and_backward():
    model = GPT(CONFIG, seed=0)
    with mg.trace() as t:
        _, loss = model(IDS, IDS)
        here = inspect.currentframe().f_lineno - 1
        loss.backward()
    forward = [row for row in t.rows if row.direction == "forward"]
    backward = [row for row in t.rows if row.direction == "backward"]
    block = [("ln_1", "LayerNorm"), ("attn.c_attn", "Linear"), ("attn", "AttentionQKV"), ("attn.c_proj", "Linear"),
             ("ln_2", "LayerNorm"), ("mlp", "LinearGELU"), ("mlp.c_proj", "Linear")]  # fmt: skip
    blocks = [(f"h.{i}.{module}", op) for i in range(2) for module, op in block]
    before = [("wte", "Embedding"), ("wpe", "Embedding"), ("(GPT)", "Add")]
    after = [("ln_f", "LayerNorm"), ("(GPT)", "Linear"), ("(GPT)", "CrossEntropy")]
    assert names(forward) == [*before, *blocks, *after]
    assert names(backward) == names(reversed(forward))
    assert [row.number for row in t.rows] == list(range(len(t.rows)))
    linear = forward[4]
    assert (linear.inputs, linear.outputs) == (((2, 8, 12), (12, 36), (36,), None), ((2, 8, 36),))
    assert linear.parameters == ("h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias")
    assert linear.bytes == 4 * (2 * 8 * 12 + 12 * 36 + 36 + 2 * 8 * 36)
    assert forward[8].name == "hidden"
    back = next(row for row in backward if row.module == "h.0.attn.c_attn")
    assert (back.inputs, back.outputs) == (((2, 8, 36),), ((2, 8, 12), (12, 36), (36,)))
    assert back.bytes == 4 * (16 * 36 + 16 * 12 + 12 * 36 + 36 + 16 * 12 + 12 * 36)  # gradients, and saved x and weight
    residual = next(row for row in backward if row.module == "h.0.attn.c_proj")
    assert residual.outputs[-1] == (2, 8, 12)  # handed on as it came: not among the bytes
    assert residual.bytes == 4 * (16 * 12 + 16 * 12 + 12 * 12 + 12 + 16 * 12 + 12 * 12)
    assert [row.bytes for row in backward[-3:]] == [4 * (16 * 12 + 8 * 12), 0, 0]  # Add: one input was broadcast
    assert {(row.line.file, row.line.number) for row in t.rows} == {(__file__, here)}
    assert forward[0].line.code == "_, loss = model(IDS, IDS)"
    assert all(row.seconds > 0 and row.row == "numpy" and row.call == 1 for row in t.rows)
    assert 0 < t.seconds <= t.elapsed
    assert OBSERVERS.get() == ()


def test_nothing_changes_but_that_it_is_seen():
    results = []
    for watched in (False, True):
        model = GPT(CONFIG, seed=0)
        if watched:
            with mg.trace():
                model(IDS, IDS)[1].backward()
        else:
            model(IDS, IDS)[1].backward()
        results.append([p.grad for p in model.parameters()])
    for plain, traced in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, traced)


def test_parts_show_scores_and_weights_by_name():
    model = GPT(CONFIG, seed=0)
    with mg.trace(parts=True) as t:
        model(IDS)
    named = {row.name: row for row in t.rows if row.module == "h.1.attn" and row.name}
    assert set(named) == {"q", "k", "v", "scores", "weights", "heads"}
    assert (named["weights"].op, named["weights"].outputs) == ("Softmax", ((2, 2, 8, 8),))
    assert named["q"].op == "Transpose"
    assert named["q"].bytes == 0  # a view
    assert "Label" not in {row.op for row in t.rows}


def test_the_users_line_is_the_innermost_one_of_their_own():
    class Mine(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(3, 3, rng=0)

        def forward(self, x):
            return self.inner(x).exp()  # line of interest

    with mg.trace() as t:
        Mine()(np.ones((1, 3), np.float32))
    assert names(t.rows) == [("inner", "Linear"), ("(Mine)", "Exp")]
    assert all(row.line.code.endswith("# line of interest") for row in t.rows)


def test_modules_outside_of_the_tree_and_ops_outside_of_modules():
    class Maker(nn.Module):
        def forward(self, x):
            return nn.Linear(3, 2, rng=0)(x)

    with mg.trace() as t:
        y = mg.Tensor(np.ones((1, 3)), name="x") * 2.0
        Maker()(y)
        nn.LayerNorm(3)(y)
    assert names(t.rows) == [("", "Mul"), ("(Maker).(Linear)", "Linear"), ("(LayerNorm)", "LayerNorm")]
    assert [row.call for row in t.rows] == [0, 1, 2]


def test_names_of_a_model_whose_modules_are_called_one_by_one():
    model = RecurrentLM(RecurrentConfig(11, n_layer=1, n_embd=4), seed=0)
    found = []
    for named in (None, model):
        with mg.trace(model=named) as t:
            model.loss_sum(IDS, IDS)
        found.append([row for row in t.rows if row.op in ("Embedding", "LSTM")])
    assert [row.module for row in found[0]] == ["(Embedding)", "(LSTM)"]
    paths = {id(module): name for name, module in model.named_modules()}
    assert [row.module for row in found[1]] == [paths[id(model.wte)], paths[id(model.rnn)]]
    assert found[1][0].parameters == ("wte.weight",)


def test_backward_of_what_was_computed_before_the_block():
    x = mg.Tensor(np.ones(3), requires_grad=True)
    y = (x * 2.0).sum()
    with mg.trace() as t:
        y.backward()
    assert [(row.op, row.module, row.flops, row.line) for row in t.rows] == [("Sum", "", None, None),
                                                                               ("Mul", "", None, None)]  # fmt: skip
    assert "2 ops are not in the table" in t.totals() or "not counted" in t.totals()


def test_the_op_that_raised_is_the_last_row_and_observers_are_as_before():
    x = mg.Tensor(np.ones((2, 3), np.float32))
    with pytest.raises(mg.ShapeError), mg.trace() as t:
        (x + 1.0) @ x
    assert [(row.op, row.error) for row in t.rows] == [("Add", ""), ("MatMul", "ShapeError")]
    assert "raised ShapeError" in t.table()
    assert OBSERVERS.get() == ()
    x.exp()
    assert len(t.rows) == 2


def test_traces_inside_each_other():
    x = mg.Tensor([1.0])
    with mg.trace() as outer:
        x.exp()
        with mg.trace() as inner:
            x.log()
        x.sqrt()
    assert [row.op for row in outer.rows] == ["Exp", "Log", "Sqrt"]
    assert [row.op for row in inner.rows] == ["Log"]


def test_a_long_loop_keeps_its_rows_within_the_limit_and_counts_the_rest():
    x = mg.Tensor(np.ones(8, np.float32))
    with mg.trace(limit=10) as t:
        for _ in range(25):
            x = x * 1.0
    assert (len(t.rows), t.dropped) == (10, 15)
    (total,) = t.ledger()
    assert (total.calls, total.flops, total.bytes) == (25, 25 * 8, 25 * (4 * 17))
    assert t.flops == 200
    assert "15 more ops beyond limit=10" in t.table()
    assert "the first 10 of 25 ops" in t.svg()
    assert "the first 10 of 25" in t._repr_html_()
    with pytest.raises(mg.ArgumentError, match="limit"), mg.trace(limit=-1):
        pass
    assert LIMIT == 20_000  # what the docstring's "1 KB each" makes 20 MB of


def test_peak_memory_is_what_lives_at_once():
    x = mg.Tensor(np.ones(1000, np.float32))  # was there before: not counted
    with mg.trace() as t:
        y = x
        for _ in range(20):
            y = y * 2.0  # without a graph the one before goes
    assert t.peak_bytes == 2 * 4000
    x = mg.Tensor(np.ones(1000, np.float32), requires_grad=True)
    with mg.trace() as t:
        y = x
        for _ in range(20):
            y = y.tanh().reshape(10, 100).reshape(-1)  # views take nothing
        held = t.memory.live
        y.sum().backward()
        del y
        gc.collect()
    assert held == 20 * 4000
    assert held <= t.peak_bytes <= held + 8
    assert t.memory.live <= 8


def test_what_ops_save_for_backward_counts():
    x = mg.Tensor(np.ones((10, 100), np.float32), requires_grad=True)
    with mg.trace() as t:
        y = F.layer_norm(x)
    assert t.memory.live == y.data.nbytes + 2 * 10 * 4  # mean and 1 / std of each row


def test_threads_that_take_the_context_over_are_seen():
    model, seen = GPT(CONFIG, seed=0), []
    with mg.trace() as t:
        model(IDS)
        inside = threading.Thread(target=copy_context().run, args=(lambda: seen.append(model(IDS)),))
        outside = threading.Thread(target=lambda: seen.append(model(IDS)))
        for thread in (inside, outside):
            thread.start()
            thread.join()
    assert len(seen) == 2
    first, second = ([row for row in t.rows if row.thread == k] for k in (0, 1))
    assert names(first) == names(second)
    assert len(t.rows) == 2 * len(first)
    assert "thread 1" in t.svg()
    assert "on 2 threads together" in t.totals()


def test_the_trainers_workers_are_seen():
    data = TokenData(np.arange(400) % 11)
    trainer = Trainer(GPT(CONFIG, seed=0), data,
                      TrainConfig(steps=1, batch_size=4, workers=2, backend="numpy"))  # fmt: skip
    with mg.trace() as t:
        trainer.step()
    forward = [row for row in t.rows if row.direction == "forward" and row.module == "h.1.attn"]
    assert sorted((row.thread, row.inputs) for row in forward) == [(0, ((2, 8, 36),)), (1, ((2, 8, 36),))]


def test_the_ledger_adds_up_and_knows_the_roofline():
    x, w = (mg.Tensor(np.ones(shape, np.float32), requires_grad=True) for shape in ((6, 4), (4, 5)))
    with mg.trace() as t:
        for _ in range(3):
            F.linear(x, w).sum().backward()
    by_name = {(total.op, total.direction): total for total in t.ledger()}
    assert set(by_name) == {(op, way) for op in ("Linear", "Sum") for way in ("forward", "backward")}
    linear = by_name["Linear", "backward"]
    assert (linear.calls, linear.flops, linear.unknown) == (3, 3 * 2 * 240, 0)
    assert sum(total.seconds for total in t.ledger()) == pytest.approx(sum(row.seconds for row in t.rows))
    assert sum(total.flops for total in t.ledger()) == sum(row.flops for row in t.rows)
    peaks = roofline.Peaks("numpy", 1e9, 1e6)
    linear.seconds, linear.bytes = 2.0, 500_000  # bound by memory: half a second at 1 MB/s
    assert linear.share(peaks) == pytest.approx(0.25)
    text = t.totals()
    assert "12 ops" in text
    assert "roofline: 100 GFLOP/s" in text


def test_csv_has_every_column_and_reads_back(tmp_path):
    model = GPT(CONFIG, seed=0)
    with mg.trace() as t:
        model(IDS, IDS)[1].backward()
    rows = list(csv.DictReader(io.StringIO(t.to_csv())))
    assert len(rows) == len(t.rows)
    linear = rows[4]
    assert (linear["module"], linear["op"], linear["direction"]) == ("h.0.attn.c_attn", "Linear", "forward")
    assert (linear["inputs"], linear["outputs"]) == ("2x8x12 12x36 36 -", "2x8x36")
    assert int(linear["flops"]) == 2 * 16 * 12 * 36 + 16 * 36
    assert sum(int(row["bytes"]) for row in rows) == sum(row.bytes for row in t.rows)
    path = t.to_csv(tmp_path / "trace.csv")
    assert path.read_text(encoding="utf-8") == t.to_csv()
    for wrong in (tmp_path / "trace.txt", tmp_path / "nowhere" / "t.csv"):
        with pytest.raises(mg.ArgumentError, match="csv file in a folder"):
            t.to_csv(wrong)


def test_the_table_shows_itself_line_by_line_and_can_be_cut():
    model = GPT(CONFIG, seed=0)
    with mg.trace() as t:
        model(IDS)
    assert repr(t.table()) == str(t.table())
    assert t.table().splitlines()[5].split()[:3] == ["4", "h.0.attn.c_attn", "Linear"]
    short = t.table(most=3).splitlines()
    assert [line.split()[0] for line in short[1:5]] == ["0", "1", "…", str(len(t.rows) - 1)]


def test_the_picture_is_svg_with_modules_inside_each_other(tmp_path):
    model = GPT(CONFIG, seed=0)
    with mg.trace() as t:
        model(IDS, IDS)[1].backward()
    for row in t.rows:
        row.seconds = 1.0  # so that widths are known: 20 + 20 ops
    picture = ElementTree.fromstring(t.svg())
    space = "{http://www.w3.org/2000/svg}"
    boxes = {}
    for group in picture.iter(f"{space}g"):
        rect = group.find(f"{space}rect")
        boxes.setdefault(group.find(f"{space}title").text.partition(":")[0], []).append(
            tuple(round(float(rect.get(key)), 1) for key in ("x", "y", "width"))
        )
    unit = 944 / 40
    assert boxes["forward"] == [(8.0, 46.0, 20 * unit)]
    assert boxes["backward backward"] == [(pytest.approx(8 + 20 * unit, abs=0.1), 46.0, 20 * unit)]
    assert boxes["h.0"] == [(pytest.approx(8 + 3 * unit, abs=0.1), 66.0, pytest.approx(7 * unit, abs=0.1))]
    assert boxes["h.0.attn"][0][1:] == (86.0, pytest.approx(3 * unit, abs=0.1))
    assert boxes["h.0.attn.c_attn"][0][1:] == (106.0, pytest.approx(unit, abs=0.1))
    assert t.svg(tmp_path / "t.svg").read_text(encoding="utf-8").strip() == t.svg()
    assert t.svg()._repr_svg_() == t.svg()


def test_only_narrow_neighbours_are_drawn_together():
    x = mg.Tensor(np.ones(2, np.float32))
    with mg.trace() as t:
        for _ in range(5):
            x = x * 1.0
    for row, seconds in zip(t.rows, (1.0, 1e-6, 1e-6, 1.0, 1e-6), strict=True):
        row.seconds = seconds
    labels = [(box.label, box.start) for box in boxes_of(t.rows, 0.01) if box.depth == 1]
    assert labels == [("Mul", 0.0), ("Mul", pytest.approx(1.0, abs=1e-4))]
    labels = [box.label for box in boxes_of(t.rows, 3e-6) if box.depth == 1]
    assert labels == ["Mul", "2 ops", "Mul", "Mul"]


def test_a_picture_of_thousands_of_ops_stays_small():
    x = mg.Tensor(np.ones(2, np.float32))
    with mg.trace() as t:
        for _ in range(3000):
            x = x * 1.0
    assert len(t.svg()) < 2_000_000
    ElementTree.fromstring(t.svg())


def test_the_notebook_view_escapes_and_runs_no_script():
    with mg.trace() as t:
        mg.Tensor([1.0]).exp()
    t.rows[0].module = "<script>alert(1)</script>"
    page = t._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_notebook_shows_the_ledger_with_its_share_of_the_roofline():
    model = GPT(CONFIG, seed=0)
    with mg.trace() as t:
        model(IDS, IDS)[1].backward()
    ledger, every = ElementTree.fromstring(t._repr_html_()).iter("table")
    head, *body = [["".join(cell.itertext()) for cell in row] for row in ledger.iter("tr")]
    assert head[-1] == "of roofline"
    assert body == [list(row) for row in ledger_rows(t)]
    styles = [[cell.get("style") for cell in row] for row in ledger.iter("tr")][1]
    share = body[0][4]
    assert f"transparent {share}" in styles[4]  # the bar is as long as the number says
    assert [("right" in style) for style in styles] == [False, False] + [True] * 9
    assert len(list(every.iter("tr"))) == 1 + len(t.rows)
    assert f"peak activation memory {si(t.peak_bytes)}B" in t._repr_html_()


def test_numbers_with_prefixes():
    wanted = {0: "0 ", 1: "1 ", 999.4: "999 ", 999.6: "1 k", 1000: "1 k", 1441912: "1.44 M", 3e9: "3 G", 0.5: "0.5 "}
    assert {n: si(n) for n in wanted} == wanted
    assert si(float("nan")) == "0 "


def test_an_empty_trace_says_so():
    with mg.trace() as t:
        pass
    assert "no op ran" in t.table()
    ElementTree.fromstring(t.svg())
    assert t._repr_html_()
    assert len(t.to_csv().splitlines()) == 1
    assert "0 ops" in repr(t)


def test_what_a_row_holds_is_plain_data():
    """So that a table keeps no array alive."""
    assert not any(kind in str(TracedOp.__annotations__) for kind in ("Tensor", "ndarray", "Module"))


def test_peaks_are_measured_on_the_row(monkeypatch):
    monkeypatch.setattr(roofline, "SIZE", 32)
    monkeypatch.setattr(roofline, "COPIED", 4096)
    roofline.machine_peaks.cache_clear()
    try:
        peaks = roofline.machine_peaks("numpy")
    finally:
        roofline.machine_peaks.cache_clear()
    assert peaks.flops > 0
    assert peaks.bandwidth > 0
    assert peaks.bound(int(peaks.flops), 0) == pytest.approx(1.0, rel=1e-6)
    assert "GFLOP/s" in str(peaks)
