"""How long `import minigpt` takes beside `import numpy`, each in a fresh interpreter, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys

TIMED_IMPORT = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"


def import_times(rounds: int = 15) -> dict[str, list[float]]:
    """Seconds of each import, one list per module, measured A B A B after one warm-up round."""
    times: dict[str, list[float]] = {"numpy": [], "minigpt": []}
    for round_ in range(rounds + 1):
        for module, seconds in times.items():
            command = [sys.executable, "-c", TIMED_IMPORT.format(module=module)]
            taken = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            if round_:
                seconds.append(taken)
    return times


def summary(times: dict[str, list[float]]) -> str:
    """Medians, and the median of the ratios of neighbouring runs with its spread."""
    ratios = sorted(ours / numpy for ours, numpy in zip(times["minigpt"], times["numpy"], strict=True))
    medians = ", ".join(f"import {name} {statistics.median(values) * 1000:.0f} ms" for name, values in times.items())
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} pairs"
    return f"{medians}; ratio {statistics.median(ratios):.2f} ({spread})"
