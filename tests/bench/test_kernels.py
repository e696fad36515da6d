"""The ladder benchmark: every rung runs and is checked, work is counted right, the table lands where it belongs."""

import dataclasses
import inspect
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt.backend import ladders, load
from minigpt.bench import kernels, kernels_peer
from minigpt.bench.kernels import Figure, check, chosen, measure, measure_ladders
from minigpt.bench.kernels_cases import EXP, Case, cases
from minigpt.bench.kernels_cuda_report import MARKERS as CUDA_MARKERS
from minigpt.bench.kernels_report import BEGIN, CARD, END, line, marked_file, processor, report, write_table
from minigpt.cli import main
from minigpt.errors import ArgumentError, BackendError

README = Path(mg.__file__).parents[1] / "kernels" / "README.md"
NAMES = sorted(ladders())


def case_of(kernel, quick=True):
    return next(case for case in cases(quick) if case.kernel == kernel)


def words(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def measured():
    return measure_ladders(quick=True)


# --- every ladder, every rung -----------------------------------------------------------------------------------


@pytest.mark.parametrize("quick", [True, False])
def test_every_ladder_has_a_case_that_fits_every_rung(quick):
    """Without making the arrays of the large problems: their names are the same."""
    assert {case.kernel for case in cases(quick)} == set(ladders())
    for small, case in zip(cases(True), cases(quick), strict=True):
        assert small.kernel == case.kernel
        given = small.arguments(np.random.default_rng(0))
        for rung in ladders()[case.kernel]:
            small.parameters(rung, given)


def test_quick_runs_all_rungs(measured):
    assert {result.case.kernel for result in measured} == set(NAMES)
    for result in measured:
        assert [figure.number for figure in result.figures] == [rung.number for rung in ladders()[result.case.kernel]]
        assert result.peak > 0
        assert result.bandwidth > 0
        assert all(figure.seconds > 0 and figure.share > 0 for figure in result.figures)


@pytest.mark.parametrize("kernel", NAMES)
def test_a_rung_that_computes_something_else_is_not_timed(kernel):
    """The result of each output is doubled in turn; a case that forgets an output would let that pass."""
    case, first, last = case_of(kernel), ladders()[kernel][0], ladders()[kernel][-1]
    given = case.arguments(np.random.default_rng(0))
    check(case, [first, last], given)
    names = case.parameters(last, given)
    for output in case.outputs or (None,):

        def wrong(*arguments, output=output):
            result = last.function(*arguments)
            if output is not None:
                arguments[names.index(output)][...] *= 2
            return result if output is not None else 2 * result

        wrong.__signature__ = inspect.signature(getattr(last.function, "py_func", last.function))
        with pytest.raises(BackendError, match=f"rung {last.number} of {kernel} is wrong"):
            check(case, [first, last._replace(function=wrong)], given)


def test_outputs_that_are_not_written_are_noticed():
    case = case_of("softmax_forward")
    idle = ladders()["softmax_forward"][0]._replace(number=9, function=lambda x, y: None)
    with pytest.raises(BackendError, match="rung 9"):
        check(case, [ladders()["softmax_forward"][0], idle], case.arguments(np.random.default_rng(0)))


def test_a_ladder_without_a_case_is_an_error(monkeypatch):
    monkeypatch.setattr(kernels, "ladders", lambda: {**ladders(), "convolution": ladders()["matmul"]})
    with pytest.raises(BackendError, match=r"no case for convolution: add one to minigpt/bench/kernels_cases.py"):
        measure_ladders(quick=True)


def test_a_rung_that_asks_for_more_than_the_case_gives_is_an_error():
    case = case_of("matmul")
    rung = ladders()["matmul"][0]._replace(number=7, function=lambda a, b, y, tile, threads: None)
    with pytest.raises(BackendError, match=r"rung 7 of matmul takes tile, threads, which its case .* gives a, b, y"):
        case.make(rung, [case.arguments(np.random.default_rng(0))])


# --- the count of the work --------------------------------------------------------------------------------------


def test_flops_and_bytes():
    work = {(case.kernel, case.shape): (case.elements, case.flops, case.bytes) for case in cases()}
    n = 2048 * 1536
    assert work["matmul", "(768, 128) @ (128, 512)"] == (
        768 * 512, 2 * 768 * 128 * 512, 4 * (768 * 128 + 128 * 512 + 768 * 512)
    )  # fmt: skip
    assert work["gelu_forward", "2048 x 1536"] == (n, n * (6 + EXP), 8 * n)
    assert work["adam_step", "2.36M parameters"] == (768 * 3072, 16 * 768 * 3072, 28 * 768 * 3072)
    assert work["squared_norm", "2.36M elements"] == (768 * 3072, 2 * 768 * 3072, 4 * 768 * 3072)
    pairs = 256 * 257 // 2
    _, forward, _ = work["attention_forward", "48 heads, T 256, D 64, causal"]
    assert 4 * 64 * pairs < forward < 1.15 * 4 * 64 * pairs  # the products, and a little for the softmax
    _, backward, _ = work["attention_backward", "48 heads, T 256, D 64, causal"]
    assert 10 * 64 * pairs < backward < 1.1 * 10 * 64 * pairs


@pytest.mark.parametrize("case", cases(True), ids=lambda case: f"{case.kernel}, {case.shape}")
def test_bytes_are_those_of_the_arrays(case):
    """No less than half of the arrays together, and no more than all of them read and written."""
    given = case.arguments(np.random.default_rng(0))
    memory = case.memory(ladders()[case.kernel][0], given)
    assert 0.5 * memory <= case.bytes <= 2 * memory


def test_seconds_are_of_one_part_and_the_share_is_of_the_longer_bound(monkeypatch):
    """With a clock of our own: the product at 100 FLOP/s, the copy at 10 bytes/s, a rung of 4 s for two parts."""
    case = Case("k", "", "element", 5, 30, 8, (), lambda rng: {"x": np.ones(4, np.float32)}, parts=2)
    rung = ladders()["squared_norm"][0]._replace(function=lambda x: float(x.sum()))

    def clock(run, repeat=1):
        if isinstance(run, kernels.MatrixProduct):
            return run.work / 100
        if isinstance(run, kernels.Copy):
            assert run.work == 32  # two sets of 16 bytes: one read, one written
            return run.work / 10
        return 4.0 if run() is not None else 0.0

    monkeypatch.setattr(kernels, "timed", clock)
    monkeypatch.setattr(kernels, "LONGEST", 8.0)
    result = measure(case, [rung], rounds=3, seconds=1.0, peak_size=2)
    assert (result.peak, result.bandwidth, result.rounds) == (100, 10, 3)
    (figure,) = result.figures
    assert figure.seconds == 2.0
    assert figure.share == pytest.approx(0.8 / 2)  # 8 bytes take 0.8 s, 30 FLOPs 0.3 s
    (figure,) = measure(dataclasses.replace(case, flops=150), [rung], 3, 1.0, 2).figures
    assert figure.share == pytest.approx(1.5 / 2)
    monkeypatch.setattr(kernels, "LONGEST", 0.1)  # too slow for two parts
    (figure,) = measure(case, [rung], 3, 1.0, 2).figures
    assert figure.seconds == 4.0


def test_what_is_written_in_place_is_held_to_a_rewrite_in_place(measured):
    """Half the arrays for the same work: it is the same memory that is read and written."""
    copy, rewrite = kernels.Copy(1000), kernels.Rewrite(1000)
    assert copy.source.nbytes + copy.target.nbytes == rewrite.array.nbytes == 1000
    assert (copy.work, rewrite.work) == (1000, 2000)
    copy.target[:] = 5
    copy()
    rewrite()
    assert (copy.target == 1).all()
    assert (rewrite.array == -1).all()
    in_place = [result for result in measured if result.case.in_place]
    assert [result.case.kernel for result in in_place] == ["adam_step"]
    slow = dataclasses.replace(in_place[0], bandwidth=1.0)
    assert "(a rewrite in place at 0 GB/s)" in report([slow])
    assert "(a copy at 0 GB/s)" in report([dataclasses.replace(slow, case=case_of("dropout"))])


# --- names, report, file ----------------------------------------------------------------------------------------


def test_a_stem_means_all_its_ladders():
    assert chosen(["gelu", "matmul"], NAMES) == {"gelu_forward", "gelu_backward", "matmul"}
    assert chosen(["gelu_forward"], NAMES) == {"gelu_forward"}
    assert chosen(None, NAMES) == set(NAMES)
    for name in ("gel", "", "gelu_forward_v2"):
        with pytest.raises(ArgumentError, match=r"there is no kernel .*; there are adam_step, attention_backward"):
            chosen([name], NAMES)


def test_the_report_shows_every_rung_with_its_idea(measured):
    text = report(measured)
    for result in measured:
        for figure in result.figures:
            assert words(figure.idea) in words(text)
    assert max(map(len, text.splitlines())) <= 120
    assert f"Python {sys.version.split()[0]}" in text
    assert f"NumPy {np.__version__}" in text


def test_a_line_of_the_report():
    case = Case("k", "", "element", 10, 40, 80, (), lambda rng: {})
    figure = Figure(2, "an idea", 20e-9, 0.25)
    assert line(case, figure) == "     2       2.000       2.0       4.0          25%   an idea"
    assert line(dataclasses.replace(case, flops=0), figure).split()[2] == "-"  # nothing to compute


def test_a_line_for_a_card():
    """Milliseconds of the whole problem, and TFLOP/s."""
    case = Case("k", "", "element", 10, 4e12, 8e9, (), lambda rng: {})
    assert (
        line(case, Figure(2, "an idea", 0.5, 0.25), CARD)
        == "     2    500.0000       8.0      16.0          25%   an idea"
    )


def test_the_processor_by_its_model(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n\nmodel name\t: Some CPU @ 2 GHz\n")
    assert processor(str(cpuinfo)) == "Some CPU @ 2 GHz"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 48.00\n")  # as on ARM
    assert processor(str(cpuinfo)) == processor(str(tmp_path / "none")) != ""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_write_touches_only_the_marked_part(tmp_path, newline):
    before, after = f"# Títle{newline}by hand {newline}{newline}", f"{newline}more by hand, no newline at the end"
    path = tmp_path / "page.md"
    path.write_bytes(f"{before}{BEGIN}old{newline}stuff{END}{after}".encode())
    for table in ("one\nline", "another"):  # the second replaces the first
        write_table(path, table)
        assert path.read_bytes().decode() == f"{before}{BEGIN}\n```text\n{table}\n```\n{END}{after}"
    assert [p.name for p in tmp_path.iterdir()] == ["page.md"]


@pytest.mark.parametrize("text", ["", "no markers", BEGIN, END, END + BEGIN, BEGIN + END + END, BEGIN + BEGIN + END])
def test_a_file_without_its_markers_is_refused(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    with pytest.raises(ArgumentError, match="needs the line <!-- table: begin --> once"):
        write_table(path, "table")
    assert path.read_text() == text


def test_the_table_in_the_readme_is_of_these_rungs():
    """Names, numbers and ideas; figures are only as new as the last `minigpt bench kernels --write`."""
    before, after = marked_file(README)
    table = words(README.read_text(encoding="utf-8").removeprefix(before).removesuffix(after))
    hint = "run: python -m minigpt bench kernels --write kernels/README.md"
    for case in cases():
        assert f"{case.kernel}, {case.shape} " in table, hint
    listed = re.findall(r" (\d+) [\d.]+ (?:[\d.]+|-) [\d.]+ \d+% ", table)
    assert len(listed) == sum(len(ladders()[case.kernel]) for case in cases()), hint
    for name in NAMES:
        for rung in ladders()[name]:
            assert f"% {words(rung.idea)}" in table, f"{name} {rung.number}: {hint}"


def test_the_cuda_table_in_the_readme_is_of_these_rungs_or_says_that_there_is_none():
    """The rungs are read off the source: importing them needs numba-cuda."""
    before, after = marked_file(README, CUDA_MARKERS)
    part = README.read_text(encoding="utf-8").removeprefix(before).removesuffix(after)
    command = "python -m minigpt bench kernels --backend cuda --peer torch --write kernels/README.md"
    assert ("No figures have been taken on a card yet" in part) == ("rung" not in part)
    if "rung" not in part:
        assert command in part
        return
    ideas = [call for path in (README.parent / "cuda").glob("*.py") for call in re.findall(r'rung\(\s*"(\w+)", (\d+)',
             path.read_text(encoding="utf-8"))]  # fmt: skip
    for name, number in ideas:
        (block,) = re.findall(rf"^{name}, .*?(?:\n\n|```)", part, re.MULTILINE | re.DOTALL)[:1]
        assert re.search(rf"^ +{number} +[\d.]+ ", block, re.MULTILINE), f"{name} {number}: {command}"


def test_the_readme_says_how_to_step_into_a_kernel(tmp_path):
    """Its example, in the debugger: one `s` after the breakpoint is inside softmax_v1."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "step.py").write_text(code)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "step.py")], input="s\nw\nc\n", capture_output=True, text=True, check=False,
        env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(README.parents[1]), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "softmax_v1(x, y)" in done.stdout
    assert "--Call--" in done.stdout


# --- the command line -------------------------------------------------------------------------------------------


def test_quick_on_the_command_line(capsys):
    assert main(["bench", "kernels", "--quick", "--kernel", "softmax", "squared_norm"]) == 0
    out = capsys.readouterr().out
    shown = [name for name in NAMES if re.search(rf"^{name}, ", out, re.MULTILINE)]
    assert shown == ["softmax_backward", "softmax_forward", "squared_norm"]
    assert "tiny" in out


def test_write_on_the_command_line(tmp_path, monkeypatch, capsys, measured):
    monkeypatch.setattr(kernels, "measure_ladders", lambda names, quick: measured)
    path = tmp_path / "page.md"
    path.write_text(f"by hand\n{BEGIN}\n{END}\nby hand")
    assert main(["bench", "kernels", "--write", str(path)]) == 0
    assert path.read_text() == f"by hand\n{BEGIN}\n```text\n{capsys.readouterr().out}```\n{END}\nby hand"


def test_numba_switched_off_is_said():
    code = "import sys; from minigpt.cli import main; sys.exit(main(['bench', 'kernels', '--quick']))"
    environment = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(README.parents[1]), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: NUMBA_DISABLE_JIT is set")


# --- beside PyTorch -----------------------------------------------------------------------------------------------


def test_without_pytorch_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    assert main(["bench", "kernels", "--peer", "torch", "--quick"]) == 2
    assert "PyTorch is not installed here" in capsys.readouterr().err


needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")


@needs_torch
def test_every_kernel_with_a_counterpart_is_compared(capsys):
    import torch

    threads = torch.get_num_threads()
    assert main(["bench", "kernels", "--peer", "torch", "--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    names = [re.split(r"  +", line)[0] for line in lines]
    assert sum(name.endswith(" forward") for name in names) == 5
    assert sum(name.endswith(" forward + backward") for name in names) == 5
    assert sum(name.startswith("AdamW") for name in names) == 2
    assert all(re.search(r"\d\.\d\d \(\d+\.\d\d to \d+\.\d\d\)$", line) for line in lines)
    assert torch.get_num_threads() == threads


@needs_torch
def test_pairs_by_kernel():
    assert [r.name.split(")")[-1] for r in kernels_peer.compare(["gelu"], True)] == [" forward", " forward + backward"]
    assert len(kernels_peer.compare(["gelu_backward"], True)) == 1
    with pytest.raises(ArgumentError, match="nothing in PyTorch is compared with squared_norm"):
        kernels_peer.compare(["squared_norm"], True)


@needs_torch
def test_sides_that_differ_are_not_timed():
    import torch

    x, both = np.float32([1, 2, 3]), kernels_peer.Both(load("cpu"), torch)
    for theirs in ([1, 2, 3.001], [1, 2, float("nan")]):
        pair = kernels_peer.Pair("some op", (), lambda: (x,), lambda theirs=theirs: (torch.tensor(theirs),))
        with pytest.raises(BackendError, match="some op: the two sides differ"):
            kernels_peer.take_turns(both, pair, 1, 0.0)
    kernels_peer.check(both, kernels_peer.Pair("same", (), lambda: (x,), lambda: (torch.tensor([1.0, 2, 3]),)))


def test_the_ratio_is_that_of_neighbours():
    result = kernels_peer.Compared("op", [1.0, 2.0, 4.0], [3.0, 4.0, 4.0])
    assert result.ratios == [1.0, 2.0, 3.0]
    *_, last = kernels_peer.peer_report([result]).splitlines()
    assert last.split() == ["op", "2000.000", "4000.000", "2.00", "(1.00", "to", "3.00)"]
