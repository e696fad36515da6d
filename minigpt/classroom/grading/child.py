"""The process in which a student's code runs: `python -m minigpt.classroom.grading.child`, started by `separately`.

It reads a job (JSON) on stdin and writes lines of JSON: what the code uses, how running it went, then for each case
what the function gave. It judges nothing, and nothing that it says counts but those outputs: a student's code may
replace anything in here, and still has no points but for outputs that are right. What is printed goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from pathlib import Path

import numpy as np

from ..cells import Piece
from ..exercise import exercise
from ..outcome import Attempt, Raised, attempt
from ..submission import Missing, load
from .wire import pack

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

FILE_BYTES = 100_000_000
MORE_PROCESSES = 200


def main() -> None:
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.load(sys.stdin.buffer)
    ex = exercise(job["exercise"])
    cases = ex.cases(job["seed"])  # made before any code of the student's has run
    limit(job["seconds"], job["megabytes"])
    pieces = [Piece(*piece) for piece in job["pieces"]]
    sys.path[:] = [entry for entry in sys.path if entry not in ("", os.getcwd())]  # a random.py there is no module
    for piece in pieces:  # as files too: Numba's cache=True asks for them
        Path(piece.name).write_text(piece.source, encoding="utf-8", errors="replace")
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")

    def send(line, dumps=json.dumps, write=results.write, flush=results.flush):
        write(dumps(line) + "\n")
        flush()

    try:
        loaded = load(pieces, ex, job["stem"], renamed=True)
    except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt, or an exception outside of Exception
        send({"loaded": {"failed": [str(Raised.of(error))], "missing": "could not be run"}})
        leave(results)
    line = {"failed": loaded.failed, "notes": loaded.notes, "uses": loaded.uses}
    if isinstance(loaded.answer, Missing):
        send({"loaded": line | {"missing": loaded.answer.why}})
        leave(results)
    if not callable(loaded.answer):
        send({"loaded": line | {"value": pack(loaded.answer)}})
        leave(results)
    send({"loaded": line})
    for number in range(job["start"], len(cases)):
        try:
            tried = attempt(ex, loaded.answer, cases[number][1])
            made = packed(tried)
        except BaseException as error:  # noqa: BLE001
            made = packed(Attempt(raised=Raised.of(error)))
        send({"case": number} | made)
    send({"done": True})
    leave(results)


def packed(tried: Attempt) -> dict:
    if tried.raised is not None:
        return {"raised": list(tried.raised)}
    return {"result": pack(tried.result), "after": {name: pack(array) for name, array in tried.after.items()}}


def leave(results) -> None:
    """End now, whatever threads and exit functions the student's code left behind."""
    results.flush()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001 - replaced or closed by the student's code; nothing is to be saved there
            continue
    os._exit(0)


def limit(seconds: float, megabytes: int) -> None:
    """Memory, processor time, size of files, number of processes. On Windows there is only the time by the clock."""
    if resource is None:
        return
    lower("RLIMIT_AS", megabytes << 20)
    lower("RLIMIT_CPU", int(seconds) + 2)
    lower("RLIMIT_FSIZE", FILE_BYTES)
    lower("RLIMIT_CORE", 0)
    if sys.platform == "linux" and os.getuid() != 0:  # counts all processes of the user; root is exempt from it
        lower("RLIMIT_NPROC", processes_of_this_user() + MORE_PROCESSES)


def lower(name: str, value: int) -> None:
    kind = getattr(resource, name, None)
    if kind is None:
        return
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except (ValueError, OSError):  # macOS refuses some; the time limit holds there too
        print(f"note: {name} could not be set", file=sys.stderr)


def processes_of_this_user() -> int:
    """Threads included, as the kernel counts them."""
    count = threading.active_count()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == os.getuid():
                    count += len(os.listdir(f"/proc/{entry.name}/task"))
            except OSError:  # it has ended meanwhile
                continue
    return count


if __name__ == "__main__":
    main()
