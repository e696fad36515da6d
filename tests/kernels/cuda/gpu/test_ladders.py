"""Every rung of every ladder at the sizes of the benchmark, on new random inputs, and the benchmark itself."""

import numpy as np
import pytest
from cuda_checks import new_seed, poisoned, told

from minigpt.backend import card_timing, ladders
from minigpt.bench.kernels_cuda import CardClock, card_sets, check
from minigpt.bench.kernels_cuda_cases import cuda_cases
from minigpt.cli import main

from .card import needs_card

pytestmark = [pytest.mark.gpu, needs_card]


@pytest.mark.parametrize("case", cuda_cases(), ids=lambda case: f"{case.kernel}, {case.shape}")
def test_rungs(case):
    seed = new_seed()
    rng = np.random.default_rng(seed)
    with told(seed, case.kernel), poisoned():
        ladder = ladders("cuda")[case.kernel]
        given = case.arguments(rng)
        (on_card,) = card_sets(case, ladder[-1], given, cache=0)
        check(case, ladder, given, on_card, rng)


def test_the_clock_sees_twice_the_work_as_about_twice_the_time():
    clock, times = CardClock(), []
    for nbytes in (1 << 28, 1 << 29):
        copy = card_timing().CopyOnCard(nbytes)
        clock(copy, 3)
        times.append(min(clock(copy, 5, ahead=1e-3) for _ in range(5)))
    assert 1.5 < times[1] / times[0] < 3


def test_holding_the_card_lets_the_host_go_ahead():
    """A hold of 20 ms is seen by the card's clock, not by the host's."""
    clock = CardClock()
    watch = clock.card.Stopwatch()
    watch.start()
    clock.hold(0.02)
    watch.stop()
    assert 0.005 < watch.seconds() < 0.2


def test_benchmark_of_tiny_problems(capsys):
    assert main(["bench", "kernels", "--backend", "cuda", "--quick"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}, " in out for name in ladders("cuda"))
