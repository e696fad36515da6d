"""The benchmark of the CUDA kernels on the simulated card: everything runs and is checked; the times mean nothing."""

import functools
import re
from importlib.util import find_spec

import numpy as np
import pytest

from kernels import cuda
from kernels.cuda import device, timing
from kernels.cuda.ladder import LADDERS
from minigpt.backend import ladders, load
from minigpt.bench import kernels_cuda, kernels_cuda_peer, sides, train
from minigpt.bench.kernels_cuda import QUICK, CardClock, Rotating, card_sets, check, measure
from minigpt.bench.kernels_cuda_cases import cuda_cases
from minigpt.bench.kernels_cuda_report import MARKERS
from minigpt.cli import main
from minigpt.errors import ArgumentError, BackendError

MODULES = cuda.MODULES  # made when asked for; importing them is what registers the rungs
NAMES = sorted(LADDERS)


def case_of(kernel):
    return next(case for case in cuda_cases(True) if case.kernel == kernel)


def prepared(kernel):
    case = case_of(kernel)
    rng = np.random.default_rng(0)
    given = case.arguments(rng)
    return case, given, card_sets(case, ladders("cuda")[kernel][-1], given, 0)[0], rng


@pytest.fixture(scope="module")
def table():
    """What the command prints, for all kernels."""
    from minigpt.bench.kernels_cuda_report import cuda_report

    return cuda_report(kernels_cuda.measure_cuda_ladders(quick=True))


def test_every_rung_is_measured(table):
    assert table.startswith("simulated card: the times are those of the simulation and mean nothing")
    for name in NAMES:
        (block,) = re.findall(rf"^{name}, .*?(?:\n\n|\Z)", table, re.MULTILINE | re.DOTALL)
        assert re.findall(r"^ +(\d+) +[\d.]+ ", block, re.MULTILINE) == [str(r.number) for r in LADDERS[name]]
    assert max(map(len, table.splitlines())) <= 120


@pytest.mark.parametrize("quick", [True, False])
def test_every_ladder_has_a_case_that_fits_every_rung(quick):
    """Without making the arrays of the large problems: their names are the same."""
    assert {case.kernel for case in cuda_cases(quick)} == set(NAMES)
    for case in cuda_cases(True):
        given = case.arguments(np.random.default_rng(0))
        for rung in ladders("cuda")[case.kernel]:
            case.parameters(rung, given)


@pytest.mark.parametrize("kernel", NAMES)
def test_a_rung_that_computes_something_else_is_not_timed(kernel):
    """Each output is doubled in turn; a case that forgets an output would let that pass."""
    case, given, on_card, rng = prepared(kernel)
    last = ladders("cuda")[kernel][min(len(LADDERS[kernel]), 4) - 1]
    for output in case.outputs or (None,):

        @functools.wraps(last.function)
        def wrong(*arguments, output=output):
            result = last.function(*arguments)
            doubled = result if output is None else arguments[case.parameters(last, given).index(output)]
            load("cuda").scale_all([doubled], 2.0)
            return result

        with pytest.raises(BackendError, match=f"rung {last.number} of {kernel} is wrong on .*: it is off by"):
            check(case, [last._replace(function=wrong)], given, on_card, rng)


def test_outputs_that_are_not_written_are_noticed():
    case, given, on_card, rng = prepared("softmax_forward")
    idle = LADDERS["softmax_forward"][0]._replace(number=9, function=lambda x, y: None)
    with pytest.raises(BackendError, match=r"rung 9 of softmax_forward is wrong on .*, in y: 60 of its 60 numbers"):
        check(case, [idle], given, on_card, rng)


def test_calls_take_turns_between_sets_that_do_not_fit_into_the_cache():
    case, given, *_ = prepared("gelu_forward")
    sets = card_sets(case, ladders("cuda")["gelu_forward"][-1], given, cache=3000)  # a set has 2 * 480 * 4 bytes
    assert len(sets) == 4
    assert len({id(each["x"].lease.block) for each in sets}) == 4
    seen = []
    run = Rotating([functools.partial(seen.append, n) for n in range(3)])
    for _ in range(5):
        run()
    assert seen == [0, 1, 2, 0, 1]


def test_seconds_and_the_share_of_the_longer_bound(monkeypatch):
    """With a clock of our own: the product at 100 FLOP/s, the copy at 10 bytes/s, a rung of 400 s, once 4,000."""
    case = case_of("gelu_backward")  # 480 elements: 35 FLOP and 12 bytes each
    rung = ladders("cuda")["gelu_backward"][0]
    times = iter([4000.0, 400.0, 400.0])

    class OurClock(CardClock):
        def plan(self, run, effort):
            return kernels_cuda.Turn(run, 1, 0.0, 3)

        def __call__(self, run, repeat=1, ahead=0.0):
            return run.work / (100 if run.work == 1000 else 10) if run.work else next(times)

    clock = OurClock()
    ceilings = tuple(kernels_cuda.Turn(Rotating([None], work), 1, 0.0, 3) for work in (1000, 500))
    effort = kernels_cuda.Effort(rounds=3)
    result = measure(case, [rung], clock, ceilings, effort)
    assert (result.peak, result.bandwidth, result.rounds) == (100, 10, 3)
    (figure,) = result.figures
    assert figure.seconds == 400
    assert figure.share == pytest.approx(12 * 480 / 10 / 400)  # longer than 35 * 480 / 100


def test_a_plan_repeats_short_calls_and_spares_slow_ones():
    class OurClock(CardClock):
        def both(self, run, repeat=1, ahead=0.0):
            return run, 1e-5

    effort = kernels_cuda.Effort(warm_up=1e-9)
    clock = OurClock()
    assert clock.plan(1e-4, effort) == kernels_cuda.Turn(1e-4, 20, pytest.approx(4e-4), 7)
    assert clock.plan(1e-9, effort).repeat == effort.most
    assert clock.plan(3.0, QUICK) == kernels_cuda.Turn(3.0, 1, 0.0, 1)
    assert clock.plan(2.0, effort) == kernels_cuda.Turn(2.0, 1, pytest.approx(2e-5), 3)


def test_the_ceilings_do_what_they_say():
    copy = timing.CopyOnCard(800)
    assert copy.work == 800
    copy()
    np.testing.assert_array_equal(device.to_host(copy._target), np.ones(100))
    assert kernels_cuda.matrix_product(4).work == 2 * 4**3
    assert CardClock()(copy, 2) > 0
    assert QUICK.rounds == 1


# --- the command line -------------------------------------------------------------------------------------------


def test_on_the_command_line(capsys, tmp_path):
    assert main(["bench", "kernels", "--backend", "cuda", "--quick", "--kernel", "dropout", "gelu_forward"]) == 0
    out = capsys.readouterr().out
    shown = [name for name in NAMES if re.search(rf"^{name}, ", out, re.MULTILINE)]
    assert shown == ["dropout", "gelu_forward"]
    assert "tiny" in out
    page = tmp_path / "page.md"
    page.write_text("".join(MARKERS))
    for arguments, message in (
        ([], "the simulated card is thousands of times too slow"),
        (["--quick", "--kernel", "convolution"], "there is no kernel 'convolution'"),
        (["--quick", "--write", str(page)], "--write is for the table of all kernels"),
        (["--write", str(page)], "the simulated card is thousands of times too slow"),
    ):
        assert main(["bench", "kernels", "--backend", "cuda", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_write_on_the_command_line(tmp_path, monkeypatch, capsys, table):
    monkeypatch.setattr("minigpt.cli.bench_kernels.cuda_table", lambda args: table)
    page = tmp_path / "page.md"
    page.write_text(f"by hand\n{MARKERS[0]}\nold\n{MARKERS[1]}\nby hand")
    assert main(["bench", "kernels", "--backend", "cuda", "--write", str(page)]) == 0
    assert page.read_text() == f"by hand\n{MARKERS[0]}\n```text\n{capsys.readouterr().out}```\n{MARKERS[1]}\nby hand"


# --- beside PyTorch -----------------------------------------------------------------------------------------------

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")


@needs_torch
def test_every_pair_is_compared():
    """Beside the simulated card PyTorch computes on the processor."""
    results = kernels_cuda_peer.compare_on_card(quick=True)
    names = [result.name for result in results]
    assert sum(name.endswith(" forward") for name in names) == 5
    assert sum(name.endswith(" forward + backward") for name in names) == 5
    assert names[0].startswith("matmul")
    assert sum(name.startswith("AdamW") for name in names) == 2
    assert all(len(result.ratios) == 1 for result in results)
    with pytest.raises(ArgumentError, match="nothing in PyTorch is compared with squared_norm"):
        kernels_cuda_peer.compare_on_card(["squared_norm"], quick=True)


def test_without_pytorch_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendError, match="PyTorch is not installed here"):
        kernels_cuda.torch_beside_card()


# --- training steps -----------------------------------------------------------------------------------------------


def test_our_side(monkeypatch):
    """Steps as such are tested in test_training.py; here they cost nothing."""
    side, steps = sides.Ours("tiny", 1, "cuda"), []
    monkeypatch.setattr(side.trainer, "step", lambda: steps.append(1))
    (seconds,) = sides.timed_steps(side, 3, "cuda")
    assert (seconds > 0, len(steps)) == (True, 3)
    assert side.device_bytes() == timing.held_bytes() > 0
    assert side.trainer.row == "cuda"


def test_real_shapes_are_refused_on_the_simulated_card():
    with pytest.raises(ArgumentError, match="--shape tiny"):
        train.compare("gpt2", "torch", 1, 1, 1, "cuda")
    with pytest.raises(ArgumentError, match="the peers are torch"):
        train.compare("tiny", "ours-numpy", 1, 1, 1, "cuda")
