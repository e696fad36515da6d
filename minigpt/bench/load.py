"""How much memory and time `GPT.from_pretrained` takes, beside the size of the file.

A model of random weights is written to a temporary folder and loaded in fresh processes. What counts is the most
memory that the process had in RAM at once (peak, not the end), less what it had before: Python, NumPy and minigpt. A
ratio of 1 is the least that weights in memory of their own can take. The file comes from the system's cache.

    python -m minigpt.bench.load FOLDER        one such process
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..errors import BackendError


def load_runs(shape: str = "gpt2", runs: int = 3, shard_bytes: int | None = None) -> list[dict]:
    """One dict per fresh process: "file", "before", "peak" in bytes, "seconds", "parameters".

    shard_bytes: the weights lie in files of that size. Raises BackendError if a process fails.
    """
    from tqdm import tqdm

    from ..models import GPT, GPTConfig

    with tempfile.TemporaryDirectory(prefix="minigpt-load-") as folder:
        GPT(GPTConfig.named(shape), seed=0).save_pretrained(folder, shard_bytes)
        size = sum(path.stat().st_size for path in Path(folder).glob("*.safetensors"))
        return [{"file": size, **one_load(folder)} for _ in tqdm(range(runs), unit="load", disable=None)]


def one_load(folder: str) -> dict:
    """Load the folder in a process of its own; what that process says."""
    command = [sys.executable, "-m", "minigpt.bench.load", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        raise BackendError(f"a timed load ended with code {done.returncode}: {last}")
    return json.loads(done.stdout)


def report(runs: list[dict]) -> str:
    """Medians and the worst ratio, as a line of text."""
    file, parameters = runs[0]["file"], runs[0]["parameters"]
    ratios = [(run["peak"] - run["before"]) / file for run in runs]
    seconds = statistics.median(run["seconds"] for run in runs)
    before = statistics.median(run["before"] for run in runs)
    return (
        f"{parameters:,} parameters, {file / 1e6:.1f} MB of files: loaded in {seconds:.2f} s (median of {len(runs)}); "
        f"peak memory {statistics.median(ratios):.3f} of the files (worst {max(ratios):.3f}) above the "
        f"{before / 1e6:.0f} MB of Python, NumPy and minigpt"
    )


def child(folder: str) -> None:
    """What is measured. The weights must be ready to train: writable, in memory of their own, asking for gradients."""
    from ..models import GPT
    from ..training.memory import peak_bytes

    before, start = peak_bytes(), time.perf_counter()
    model = GPT.from_pretrained(folder)
    seconds = time.perf_counter() - start
    for name, p in model.named_parameters():
        if not (p.requires_grad and p.data.flags.writeable and p.dtype == "float32"):
            raise BackendError(f"{name} is not ready to train")
    n = model.num_parameters()
    print(json.dumps({"before": before, "peak": peak_bytes(), "seconds": seconds, "parameters": n}))


if __name__ == "__main__":
    child(sys.argv[1])
