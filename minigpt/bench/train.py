"""Whole training steps of minigpt beside a peer's, in turn: A B A B, the ratio of neighbours, its median and spread."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from ..backend import card_timing, load
from ..errors import ArgumentError, BackendError
from .kernels import installed_torch
from .kernels_cuda import product_of, torch_beside_card
from .kernels_cuda_report import card_environment
from .shapes import bench_config, problem, step_flops


class Side:
    """One side of a comparison, in a process of its own: `python -m minigpt.bench.<module> name arguments…`."""

    def __init__(self, name: str, *arguments, module: str = "sides"):
        command = [sys.executable, "-m", f"minigpt.bench.{module}", name, *map(str, arguments)]
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._input: Any = self.process.stdin
        self._output: Any = self.process.stdout
        answer = self._answer()
        self.first, self.base = answer["first"], answer["base"]
        self.peak, self.device = answer["peak"], answer["device"]  # bytes on the host, and on the card

    def _answer(self) -> dict:
        line = self._output.readline()
        if not line:
            raise BackendError(
                f"the {self.name!r} side of the benchmark ended with code {self.process.wait()}; see above"
            )
        return json.loads(line)

    def run(self, steps: int) -> float:
        """Median seconds of `steps` steps."""
        self._input.write(f"{steps}\n")
        self._input.flush()
        answer = self._answer()
        self.peak, self.device = answer["peak"], answer["device"]
        return statistics.median(answer["times"])

    def close(self):
        self._input.close()
        self.process.wait()
        self._output.close()


def compare(shape: str, peer: str, rounds: int, steps: int, threads: int, backend: str = "cpu") -> dict:
    """Seconds per step of both sides and of the matrix products alone, round by round, and peak memory in bytes.

    Raises BackendError where the row or the peer cannot be used here; ArgumentError for a shape or a peer that the row
    is not compared on.
    """
    problem(shape, backend)
    if backend == "cuda":
        check_card(peer, shape)
    elif peer.startswith("torch"):
        installed_torch()
    sides: list[Side] = []
    try:
        for name in ("ours", peer, "roofline"):
            sides.append(Side(name, shape, threads, backend))
        for side in sides:
            side.run(2)  # warm-up
        times: dict[str, list[float]] = {side.name: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                times[side.name].append(side.run(steps))
    finally:
        for side in sides:
            side.close()
    memory = {side.name: (side.peak, side.peak - side.base) for side in sides}
    device = {side.name: side.device for side in sides}
    return {"shape": shape, "peer": peer, "threads": threads, "backend": backend, "times": times, "memory": memory,
            "device": device, "first": sides[0].first}  # fmt: skip


def check_card(peer: str, shape: str) -> None:
    load("cuda")  # says what is missing
    if not peer.startswith("torch"):
        raise ArgumentError(f"on a card the peers are torch, torch-fused and torch-compile, not {peer!r}")
    if card_timing().SIMULATED and shape != "tiny":
        raise ArgumentError("the simulated card is thousands of times too slow for real shapes: --shape tiny runs")
    torch_beside_card()


def report(result: dict) -> str:
    """The figures as lines of text."""
    shape, peer, times, on_card = result["shape"], result["peer"], result["times"], result["backend"] == "cuda"
    ratios = sorted(theirs / ours for ours, theirs in zip(times["ours"], times[peer], strict=True))
    shares = sorted(floor / ours for ours, floor in zip(times["ours"], times["roofline"], strict=True))
    config, batch = bench_config(shape, result["backend"]), problem(shape, result["backend"]).batch
    flops = step_flops(config, batch)
    lines = [f"{shape}, {result['threads']} threads, {len(ratios)} rounds in turn; median milliseconds a step:"]
    if on_card:
        lines = [
            card_environment(),
            f"{shape}, batch {batch}, context {config.block_size}; {len(ratios)} rounds in turn; "
            f"the roofline is that of {product_of()}; median milliseconds a step:",
        ]
    for name, values in times.items():
        memory = "" if name == "roofline" else f", {memory_text(result, name, on_card)}"
        rate = flops / statistics.median(values)
        speed = f"{rate / 1e12:.1f} TFLOP/s" if on_card else f"{rate / 1e9:.0f} GFLOP/s"
        lines.append(f"  {name:<14}{statistics.median(values) * 1000:9.1f}   {speed}{memory}")
    lines.append(
        f"  {peer} / ours: {statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}); "
        f"share of the matrix-product roofline {statistics.median(shares):.0%} ({shares[0]:.0%} to {shares[-1]:.0%})"
    )
    return "\n".join(lines)


def memory_text(result: dict, name: str, on_card: bool) -> str:
    if on_card:
        return f"{result['device'][name] / 1e6:.0f} MB of the card's memory"
    peak, above = (n / 1e6 for n in result["memory"][name])
    return f"peak memory {peak:.0f} MB, {above:.0f} of it above the imports"
