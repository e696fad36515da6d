"""Start a process for a student's code, wait no longer than allowed, and leave nothing of it behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError

MOST_RESULTS = 30_000_000  # bytes
MOST_PRINTED = 20_000
_MARK = "MINIGPT_SUBMISSION"
_PACKAGE = str(Path(__file__).parents[3])


class Limits(NamedTuple):
    """seconds by the clock; megabytes of address space (not on Windows, and macOS does not keep to it);
    user: an account to run as, which only root can ask for
    """

    seconds: float = 60.0
    megabytes: int = 2048
    user: str | None = None


class Ended(NamedTuple):
    """lines: what came over the channel for results; printed: stdout and stderr, cut off; dropped: bytes that were;
    code: exit code, negative for a signal; late: whether it was stopped by the clock; flood: too many results"""

    lines: list[bytes]
    printed: str
    dropped: int
    code: int
    late: bool
    flood: bool


class _Drain(threading.Thread):
    """Reads a pipe to its end, so that nobody waits for it, and keeps the beginning."""

    def __init__(self, pipe, most: int):
        super().__init__(daemon=True)
        self.pipe, self.most, self.kept, self.dropped = pipe, most, bytearray(), 0
        self.start()

    def run(self):
        with self.pipe:
            while chunk := self.pipe.read1(1 << 16):
                room = self.most - len(self.kept)
                self.kept += chunk[:room]
                self.dropped += max(0, len(chunk) - room)

    def finish(self) -> bytes:
        self.join(5)  # longer only if a process that got away holds the pipe
        return bytes(self.kept)


_running: set[subprocess.Popen] = set()


def run_apart(job: dict, seconds: float, limits: Limits) -> Ended:
    """Run the child on a job, in an empty folder of its own and a group of processes of its own."""
    mark = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True) as folder:
        process = _start(folder, mark, limits)
        _running.add(process)
        try:
            results, printed = _Drain(process.stdout, MOST_RESULTS), _Drain(process.stderr, MOST_PRINTED)
            late = _wait(process, job | {"seconds": seconds, "megabytes": limits.megabytes}, seconds)
        finally:
            _kill(process)
            _kill_marked(mark)
            _running.discard(process)
        lines, text = results.finish().splitlines(), printed.finish().decode("utf-8", "replace")
        flood = results.dropped > 0
    return Ended(lines, text, printed.dropped, process.returncode, late, flood)


def _start(folder: str, mark: str, limits: Limits) -> subprocess.Popen:
    kept = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= dict.fromkeys(threads, "1")  # each thread of BLAS takes address space of its own
    environment |= {_MARK: mark, "PYTHONPATH": os.pathsep.join([_PACKAGE, *filter(os.path.isabs, sys.path)])}
    environment |= dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"), folder)
    environment |= {"MPLBACKEND": "Agg", "PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}
    more: dict = {"start_new_session": True} if os.name == "posix" else {"creationflags": _windows_group()}
    if limits.user is not None:
        os.chmod(folder, 0o700)
        _give(folder, limits.user)
        more |= {"user": limits.user, "group": _group_of(limits.user), "extra_groups": []}
    command = [sys.executable, "-m", "minigpt.classroom.grading.child"]
    try:
        return subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        who = f" as {limits.user}" if limits.user else ""
        raise DataError(f"cannot start {sys.executable}{who}: {error}") from None


def _wait(process: subprocess.Popen, job: dict, seconds: float) -> bool:
    """Hand over the job and wait; True if the time was up."""
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(job).encode("ascii"))
        process.stdin.close()
    except OSError:  # it ended before it had read the job; its exit code says so
        process.stdin = None
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        return True


def _kill(process: subprocess.Popen) -> None:
    """The process and all of its group, those of its children included that outlived it."""
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # nobody is left
            pass
        except PermissionError:  # macOS says so of a group of nothing but zombies
            pass
    elif process.poll() is None:
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    process.wait()


def _kill_marked(mark: str) -> None:
    """Processes that left the group but kept the environment. Linux only; elsewhere they are not found."""
    if sys.platform != "linux":
        return
    wanted = f"{_MARK}={mark}".encode()
    for _ in range(20):  # one may start another between looking and killing
        found = False
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            try:
                if wanted in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
                    found = True
            except OSError:  # another user's, or it has ended
                continue
        if not found:
            return


def stop_all() -> None:
    """After Ctrl-C: whatever runs now, runs no longer."""
    for process in list(_running):
        _kill(process)


def _windows_group() -> int:
    return getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _give(folder: str, user: str) -> None:
    import pwd

    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
