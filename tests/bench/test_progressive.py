"""The benchmark of growth: stages, one run of each way, and its report."""

from minigpt.bench.progressive import WAYS, compare_growth, doubling_stages, report
from minigpt.training.progressive import Stage


def test_stages():
    assert doubling_stages(4, 90) == [Stage(0, 1), Stage(30, 2), Stage(60, 4)]
    assert doubling_stages(6, 8) == [Stage(0, 1), Stage(2, 2), Stage(4, 4), Stage(6, 6)]
    assert doubling_stages(1, 8) == [Stage(0, 1)]


def test_a_short_run_and_its_report(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat; " * 60)
    changes = {"n_layer": 2, "n_head": 1, "n_embd": 8, "block_size": 12}
    result = compare_growth(str(path), steps=4, backend="numpy", changes=changes)
    ways = result["ways"]
    assert list(ways) == ["at once", *WAYS]
    assert ways["zero, frozen"]["flops"] < ways["zero"]["flops"] < ways["at once"]["flops"]
    assert ways["zero"]["flops"] == ways["copy"]["flops"]
    assert len({figures["loss"] for figures in ways.values()}) == 5
    lines = report(result).splitlines()
    assert lines[0].endswith("blocks: 1 from step 0, 2 from step 2")
    assert [line[:14].strip() for line in lines[2:]] == list(ways)
