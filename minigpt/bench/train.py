"""Whole training steps of minigpt beside a peer's, in turn: A B A B, the ratio of neighbours, its median and spread."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
from typing import Any

from ..errors import BackendError
from .shapes import BATCH, bench_config, step_flops


class Side:
    """One side of a comparison, in a process of its own: `python -m minigpt.bench.<module> name arguments…`."""

    def __init__(self, name: str, *arguments, module: str = "sides"):
        command = [sys.executable, "-m", f"minigpt.bench.{module}", name, *map(str, arguments)]
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._input: Any = self.process.stdin
        self._output: Any = self.process.stdout
        answer = self._answer()
        self.first, self.base, self.peak = answer["first"], answer["base"], answer["peak"]

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
        self.peak = answer["peak"]
        return statistics.median(answer["times"])

    def close(self):
        self._input.close()
        self.process.wait()
        self._output.close()


def compare(shape: str, peer: str, rounds: int, steps: int, threads: int) -> dict:
    """Seconds per step of both sides and of the matrix products alone, round by round, and peak memory in bytes."""
    if peer.startswith("torch") and importlib.util.find_spec("torch") is None:
        raise BackendError("PyTorch is not installed here, so there is nothing to compare with: pip install torch")
    sides = [Side(name, shape, threads) for name in ("ours", peer, "roofline")]
    try:
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
    return {"shape": shape, "peer": peer, "threads": threads, "times": times, "memory": memory, "first": sides[0].first}


def report(result: dict) -> str:
    """The figures as lines of text."""
    shape, peer, times = result["shape"], result["peer"], result["times"]
    ratios = sorted(theirs / ours for ours, theirs in zip(times["ours"], times[peer], strict=True))
    shares = sorted(floor / ours for ours, floor in zip(times["ours"], times["roofline"], strict=True))
    flops = step_flops(bench_config(shape), BATCH[shape])
    lines = [f"{shape}, {result['threads']} threads, {len(ratios)} rounds in turn; median milliseconds a step:"]
    for name, values in times.items():
        peak, above = (n / 1e6 for n in result["memory"][name])
        memory = f", peak memory {peak:.0f} MB, {above:.0f} of it above the imports" if name != "roofline" else ""
        speed = f"{flops / statistics.median(values) / 1e9:.0f} GFLOP/s"
        lines.append(f"  {name:<14}{statistics.median(values) * 1000:9.1f}   {speed}{memory}")
    lines.append(
        f"  {peer} / ours: {statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}); "
        f"share of the matrix-product roofline {statistics.median(shares):.0%} ({shares[0]:.0%} to {shares[-1]:.0%})"
    )
    return "\n".join(lines)
