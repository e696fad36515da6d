"""One computation on one row, in a process of its own: python -m minigpt.debug.row_process GIVEN RESULT ROW

For what a process decides once, when Numba is imported: kernels as plain Python, the simulated card. What goes in and
out are pickles in a folder that only this user can read, written and read by these two processes.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import BackendError
from .row_run import RowRun, run_on_row


def run_in_process(row: str, fn: Callable, inputs: tuple, environment: dict[str, str], seconds: float) -> RowRun:
    """run_on_row in a fresh process with these variables set. Raises BackendError with the reason if it cannot."""
    if getattr(fn, "__module__", None) == "__main__" or type(fn).__module__ == "__main__":
        raise BackendError(
            "fn is defined in the script or notebook itself: put it into a file and import it from there"
        )
    try:
        given = pickle.dumps((fn, inputs))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise BackendError(f"another process cannot import fn and its inputs: {error}") from None
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    with tempfile.TemporaryDirectory(prefix="minigpt-rows-") as name:
        folder = Path(name)
        (folder / "given").write_bytes(given)
        command = [
            sys.executable,
            "-m",
            "minigpt.debug.row_process",
            str(folder / "given"),
            str(folder / "result"),
            row,
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds,
                                  env={**os.environ, "PYTHONPATH": path, **environment})  # fmt: skip
        except subprocess.TimeoutExpired:
            raise BackendError(
                f"stopped after {seconds:g} s; give it longer with seconds=, or a smaller input"
            ) from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise BackendError(last)
        return pickle.loads((folder / "result").read_bytes())


def main(given: str, result: str, row: str) -> None:
    fn, inputs = pickle.loads(Path(given).read_bytes())
    run = run_on_row(row, fn, inputs, warm=False)  # nothing is compiled in these processes
    Path(result).write_bytes(pickle.dumps(run))


if __name__ == "__main__":
    main(*sys.argv[1:])
