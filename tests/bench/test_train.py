"""Whole training steps beside a peer: shapes, the sides that take turns, the report; on the CPU and on a card."""

import json

import numpy as np
import pytest

from minigpt.bench import sides, train
from minigpt.bench.shapes import ON_A_CARD, PROBLEMS, bench_config, matrix_products, problem, step_flops
from minigpt.cli import main
from minigpt.cuda_state import cuda_state
from minigpt.errors import ArgumentError


def test_shapes():
    assert problem("gpt2") == (50257, 64, 4)
    assert problem("gpt2", "cuda") == (50257, 1024, 8)
    config = bench_config("gpt2", "cuda")
    assert (config.n_layer, config.n_embd, config.block_size, config.vocab_size) == (12, 768, 1024, 50257)
    assert bench_config("gpt2").block_size == 64
    for backend, known in (("cpu", PROBLEMS), ("cuda", ON_A_CARD)):
        for shape in known:
            assert bench_config(shape, backend).block_size == problem(shape, backend).context
    with pytest.raises(
        ArgumentError, match="the 'cpu' row has no benchmark of the shape 'tiny'; it has baby, char, gpt2"
    ):
        problem("tiny")


def test_flops_of_a_step():
    """6 per weight of a linear layer and token, and the causal half of attention's seven products."""
    config, batch = bench_config("gpt2", "cuda"), 8
    C, T, L, V = 768, 1024, 12, 50257
    linear = 6 * batch * T * (12 * L * C * C + C * V)
    attention = 7 * batch * L * T * T * C
    assert step_flops(config, batch) == linear + attention
    assert all(n > 0 for product in matrix_products(config, batch) for n in product)


def test_both_sides_get_one_batch():
    for backend, known in (("cpu", PROBLEMS), ("cuda", {"baby": None, "tiny": None})):
        for shape in known:
            ids, targets = sides.random_batch(shape, backend)
            assert ids.shape == targets.shape == (problem(shape, backend).batch, problem(shape, backend).context)
            np.testing.assert_array_equal(ids[:, 1:], targets[:, :-1])
            np.testing.assert_array_equal(ids, sides.random_batch(shape, backend)[0])


class Clocked(sides.BenchSide):
    """A side whose steps take a second each, on a clock of its own, and on a card only when one waits for it."""

    def __init__(self, on_card):
        self.now, self.owed, self.on_card = 0.0, 0.0, on_card

    def step(self):
        if self.on_card:
            self.owed += 1
        else:
            self.now += 1

    def wait(self):
        self.now, self.owed = self.now + self.owed, 0.0


@pytest.mark.parametrize(("backend", "wanted"), [("cpu", [1.0, 1.0, 1.0]), ("cuda", [1.0])])
def test_a_card_is_waited_for(backend, wanted, monkeypatch):
    side = Clocked(backend == "cuda")
    side.step()  # what was told before does not count
    monkeypatch.setattr(sides.time, "perf_counter", lambda: side.now)
    assert sides.timed_steps(side, 3, backend) == wanted


@pytest.fixture
def taking_turns(monkeypatch):
    """Sides without processes: each answers what `Side` would have read."""
    turns = []

    class Side:
        def __init__(self, name, shape, threads, backend):
            self.name, self.first, self.base, self.peak, self.device = name, 1.0, 10**6, 3 * 10**6, 5 * 10**6
            turns.append(("made", name, shape, threads, backend))

        def run(self, steps):
            turns.append((self.name, steps))
            return {"ours": 0.2, "torch": 0.3, "roofline": 0.1}[self.name]

        def close(self):
            turns.append(("closed", self.name))

    monkeypatch.setattr(train, "Side", Side)
    monkeypatch.setattr(train, "installed_torch", lambda: None)
    monkeypatch.setattr(train, "check_card", lambda peer, shape: None)
    monkeypatch.setattr(train, "product_of", lambda: "torch.mm")
    monkeypatch.setattr(train, "card_environment", lambda: "A card")
    return turns


def test_report_of_a_card(taking_turns, capsys):
    assert main(["bench", "train", "--backend", "cuda", "--shape", "gpt2", "--rounds", "2", "--steps", "3"]) == 0
    assert taking_turns[:3] == [("made", name, "gpt2", 2, "cuda") for name in ("ours", "torch", "roofline")]
    assert taking_turns[6:-3] == [("ours", 3), ("torch", 3), ("roofline", 3)] * 2
    flops = step_flops(bench_config("gpt2", "cuda"), 8)
    assert capsys.readouterr().out.splitlines() == [
        "A card",
        "gpt2, batch 8, context 1024; 2 rounds in turn; the roofline is that of torch.mm; median milliseconds a step:",
        f"  ours              200.0   {flops / 0.2e12:.1f} TFLOP/s, 5 MB of the card's memory",
        f"  torch             300.0   {flops / 0.3e12:.1f} TFLOP/s, 5 MB of the card's memory",
        f"  roofline          100.0   {flops / 0.1e12:.1f} TFLOP/s",
        "  torch / ours: 1.50 (from 1.50 to 1.50); share of the matrix-product roofline 50% (50% to 50%)",
    ]


def test_report_of_the_cpu(taking_turns, capsys):
    assert main(["bench", "train", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "baby, 2 threads, 1 rounds in turn; median milliseconds a step:"
    assert lines[1].endswith("GFLOP/s, peak memory 3 MB, 2 of it above the imports")


def test_a_side_in_a_process_of_its_own():
    side = train.Side("ours-numpy", "baby", 1, "cpu")
    try:
        assert side.run(1) > 0
        assert side.peak >= side.base > 0
        assert side.device == 0
    finally:
        side.close()
    assert side.process.returncode == 0


def test_answers_of_a_side(monkeypatch, capsys):
    monkeypatch.setitem(sides.SIDES, "ours", lambda *given: Clocked(False))
    monkeypatch.setattr(sides.sys, "stdin", ["2\n"])
    sides.main(["ours", "baby", "1", "cpu"])
    first, answer = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(first) == {"first", "base", "peak", "device"}
    assert (len(answer["times"]), answer["device"]) == (2, 0)


@pytest.mark.skipif(cuda_state() is True, reason="there is a card")
@pytest.mark.parametrize(
    "command", [["kernels"], ["kernels", "--quick", "--peer", "torch"], ["train", "--shape", "gpt2"]]
)
def test_without_a_card_one_line_says_what_is_missing(command, capsys):
    assert main(["bench", *command, "--backend", "cuda"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: the 'cuda' row cannot be used: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["kernels", "train"])
def test_help_has_an_example_for_a_card(command, capsys):
    with pytest.raises(SystemExit):
        main(["bench", command, "--help"])
    assert f"minigpt bench {command} --backend cuda" in capsys.readouterr().out
