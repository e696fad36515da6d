"""How long it takes from starting Python to the end of the first training step of `baby` on the `cpu` row.

    warm: the compiled kernels lie in Numba's cache on disk, as on every run but the first
    cold: they do not, and are compiled on the way, as on the first run on a machine

Every run is a fresh process. The clock is that of the process that launches it, from before the launch until the line
"end" arrives through a pipe; the other lines say how far the child has come. Cold runs get an empty cache folder of
their own, which is thrown away afterwards, so nobody's cache is touched. Python's own .pyc files stay.

    python -m minigpt.bench.start THREADS        one such child
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from ..backend import load
from ..errors import BackendError

PHASES = {
    "python": "Python, minigpt and its imports",
    "row": "Numba, SciPy and the kernels' modules",
    "trainer": "model and trainer",
    "end": "the first step",
}


def start_times(cold: bool = False, runs: int = 3, threads: int = 2) -> list[dict[str, float]]:
    """Seconds of each phase (see PHASES), one dict per run. Warm ones follow a run that is not counted.

    Raises BackendError without Numba, or if a run fails.
    """
    from tqdm import tqdm

    load("cpu")  # says here what is missing, before anything is launched

    timed = []
    with tqdm(total=runs if cold else runs + 1, unit="start", disable=None) as bar:
        if not cold:
            one_start(None, threads)
            bar.update(1)
        for _ in range(runs):
            with tempfile.TemporaryDirectory(prefix="minigpt-start-") as folder:
                timed.append(one_start(folder if cold else None, threads))
            bar.update(1)
    return timed


def one_start(cache: str | None, threads: int) -> dict[str, float]:
    """Launch a child, with its kernel cache in the folder `cache` if one is given; returns seconds of each phase."""
    environment = os.environ if cache is None else {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-m", "minigpt.bench.start", str(threads)]
    last = time.perf_counter()
    seconds = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        for line in child.stdout or ():
            now = time.perf_counter()
            seconds[line.strip()] = now - last
            last = now
    if child.returncode != 0 or list(seconds) != list(PHASES):
        raise BackendError(f"a timed start ended with code {child.returncode} after {list(seconds)}; see above")
    return seconds


def report(cold: bool, timed: list[dict[str, float]]) -> str:
    """Medians of the whole and of each phase, as lines of text."""
    totals = sorted(sum(run.values()) for run in timed)
    kind = "cold (kernels compiled on the way)" if cold else "warm (kernels from the cache)"
    spread = f"{totals[0]:.2f} to {totals[-1]:.2f} in {len(totals)}" if len(totals) > 1 else "one run"
    lines = [f"{kind}: {statistics.median(totals):.2f} s from process start to the end of the first step ({spread})"]
    for phase, text in PHASES.items():
        lines.append(f"  {text:<40}{statistics.median(run[phase] for run in timed):7.2f} s")
    return "\n".join(lines)


def child(threads: int) -> None:
    """What is timed: one step as a user's program would run it, on random tokens."""
    import numpy as np

    from ..data import TokenData
    from ..models import GPT
    from ..training import TrainConfig, Trainer
    from .shapes import bench_config, problem

    print("python", flush=True)
    load("cpu")
    print("row", flush=True)
    config = bench_config("baby")
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, 10_000)
    settings = TrainConfig(batch_size=problem("baby").batch, backend="cpu", workers=threads, progress=False)
    trainer = Trainer(GPT(config, seed=0), TokenData(tokens), settings)
    print("trainer", flush=True)
    trainer.step()
    print("end", flush=True)


if __name__ == "__main__":
    child(int(sys.argv[1]))
