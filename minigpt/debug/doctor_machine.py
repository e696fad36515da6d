"""What the doctor looks at next: BLAS and its threads, Numba and its cache, the card, fonts, Jupyter's kernels."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys
from pathlib import Path

from .. import cuda_state
from .doctor import NOTE, OK, STOP, Finding
from .doctor_python import installed_version, pip

LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
CHINESE = "注意力"  # the letters that a label needs: "attention"


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blas() -> list[Finding]:
    """The library behind matrix products, and how many threads it uses."""
    import numpy  # noqa: F401  what loads it
    import threadpoolctl

    found = []
    for pool in threadpoolctl.threadpool_info():
        if pool["user_api"] != "blas":
            continue
        threads, name = pool["num_threads"], f"{pool['internal_api']} {pool.get('version') or ''}".strip()
        text = f"{name} ({pool.get('architecture') or 'unknown processor'}), {threads} threads on {cores()} cores"
        limited = [variable for variable in LIMITS if os.environ.get(variable)]
        if threads > cores():
            mend = f"export OMP_NUM_THREADS={cores()}"
            found.append(Finding("BLAS", NOTE, f"{text}: more threads than cores slow each other down", mend))
        elif threads < cores() and limited:
            mend = f"unset {' '.join(limited)}"
            found.append(Finding("BLAS", NOTE, f"{text}, limited by {', '.join(limited)}", mend))
        else:
            found.append(Finding("BLAS", OK, text))
    text = "none that is known: matrix products may be ten times slower"
    return found or [Finding("BLAS", NOTE, text, pip("install --force-reinstall numpy"))]


def numba() -> list[Finding]:
    """Whether it starts beside this NumPy, and how many threads the kernels of the cpu row may use."""
    if importlib.util.find_spec("numba") is None:
        return []  # packages() has said so
    try:
        import numba as package
    except (ImportError, SystemError) as error:
        mend = pip("install --upgrade numba numpy")
        return [Finding("Numba", STOP, f"does not start: {error}; without it use --backend numpy", mend)]
    settings = package.config
    text = f"{package.__version__}, {settings.NUMBA_NUM_THREADS} threads on {cores()} cores"  # type: ignore[attr-defined]
    if settings.DISABLE_JIT:  # type: ignore[attr-defined]  # made when Numba is imported
        text += ": NUMBA_DISABLE_JIT is set, kernels run as plain Python, hundreds of times slower"
        return [Finding("Numba", NOTE, text, "unset NUMBA_DISABLE_JIT")]
    return [Finding("Numba", OK, f"{text}; kernels release the interpreter lock and need no threading layer")]


def kernel_cache() -> list[Finding]:
    """Where compiled kernels are kept, and whether they can be."""
    if any(finding.state != OK for finding in numba() or [Finding("", STOP, "")]):
        return []  # nothing is compiled
    folder = cache_folder()
    if folder is None:
        mend = 'export NUMBA_CACHE_DIR="$HOME/.cache/numba" && mkdir -p "$NUMBA_CACHE_DIR"'
        text = "no folder can be written: kernels are compiled anew in every process, which takes about a minute"
        return [Finding("kernel cache", NOTE, text, mend)]
    compiled = list(folder.glob("*.nbc"))
    size = sum(file.stat().st_size for file in compiled)
    text = f"{len(compiled)} compiled kernels, {size / 1e6:.1f} MB in {folder}"
    wanted = os.environ.get("NUMBA_CACHE_DIR")
    if wanted and not folder.is_relative_to(Path(wanted).resolve()):
        mend = 'mkdir -p "$NUMBA_CACHE_DIR"   # or: unset NUMBA_CACHE_DIR'
        return [Finding("kernel cache", NOTE, f"{text}; NUMBA_CACHE_DIR={wanted} cannot be written", mend)]
    jit = Path(__file__).parents[2] / "kernels" / "cpu" / "jit.py"
    if compiled and jit.exists() and min(file.stat().st_mtime for file in compiled) < jit.stat().st_mtime:
        text += "; some were compiled before kernels/cpu/jit.py was changed, which Numba does not notice"
        return [Finding("kernel cache", NOTE, text, f"rm {shlex.quote(str(folder))}/*.nb[ci]")]
    if not compiled:
        text += ": the first run compiles, which takes about a minute"
    return [Finding("kernel cache", OK, text)]


def cache_folder() -> Path | None:
    """Where Numba keeps a kernel of ours; None where it found no place."""
    from ..backend import ladders

    function = ladders("cpu")["softmax_forward"][-1].function
    path = function.stats.cache_path
    return Path(path).resolve() if path else None


def card() -> list[Finding]:
    """Driver, toolkit and compiler, and whether they go together."""
    if cuda_state.simulated():
        text = "MINIGPT_CUDA_SIMULATOR=1: the cuda row runs on a simulated card, thousands of times slower than a card"
        return [Finding("CUDA", NOTE, text, "unset MINIGPT_CUDA_SIMULATOR")]
    wanted, version = cuda_state.readable(cuda_state.TOOLKIT), cuda_state.driver_version()
    if isinstance(version, str):
        if version.startswith("no NVIDIA driver"):
            return [Finding("CUDA", OK, f"no card: {version}")]
        return [Finding("CUDA", NOTE, version, "nvidia-smi   # says what the driver lacks")]
    text = f"driver for CUDA {cuda_state.readable(version)}, kernels are compiled with {wanted}"
    if version < cuda_state.TOOLKIT:
        mend = "sudo ubuntu-drivers install   # elsewhere: the newest driver from NVIDIA; then restart"
        return [Finding("CUDA", NOTE, f"{text}: the driver is too old", mend)]
    state = cuda_state.cuda_state()
    if state is not True:
        return [Finding("CUDA", NOTE, f"{text}; {state}", pip("install 'minigpt[cuda]'"))]
    return [Finding("CUDA", OK, f"{text} by numba-cuda {installed_version('numba-cuda')}")]


def fonts() -> list[Finding]:
    """Whether pictures can show Chinese."""
    import matplotlib

    family = chinese_font()
    if family:
        return [Finding("fonts", OK, f"{family} has Chinese")]
    cache = shlex.quote(matplotlib.get_cachedir())
    get = "sudo apt-get install fonts-noto-cjk" if sys.platform == "linux" else "install the font Noto Sans CJK SC"
    text = "no font with Chinese: labels in pictures show boxes in its place"
    return [Finding("fonts", NOTE, text, f"{get} && rm -f {cache}/fontlist*.json")]


def chinese_font() -> str | None:
    """The first installed family of those that our pictures use that has the letters."""
    from matplotlib import font_manager, ft2font

    from ..viz.figure import FAMILIES

    files = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    for family in FAMILIES:
        if family in files and all(ft2font.FT2Font(files[family]).get_char_index(ord(ch)) for ch in CHINESE):
            return family
    return None


def jupyter() -> list[Finding]:
    """Whether notebooks can run with this interpreter, and kernels whose interpreter is gone."""
    if importlib.util.find_spec("ipykernel") is None:
        text = "not installed for this interpreter: notebooks cannot use minigpt"
        return [Finding("Jupyter", NOTE, text, pip("install 'minigpt[notebooks]'"))]
    found = []
    for folder in kernel_folders():
        for file in sorted(folder.glob("*/kernel.json")):
            program = first_argument(file)
            if program and os.path.isabs(program) and not os.path.exists(program):
                text = f"the kernel {file.parent.name!r} starts {program}, which does not exist"
                mend = f"{shlex.quote(sys.executable)} -m jupyter kernelspec remove {file.parent.name}"
                found.append(Finding("Jupyter", NOTE, text, mend))
    return found or [Finding("Jupyter", OK, f"ipykernel {installed_version('ipykernel')} for this interpreter")]


def kernel_folders() -> list[Path]:
    """Where Jupyter looks for kernels: the user's, this environment's, the system's."""
    user = {"win32": Path(os.environ.get("APPDATA", "")) / "jupyter", "darwin": Path.home() / "Library/Jupyter"}.get(
        sys.platform, Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "jupyter"
    )
    given = [Path(p) for p in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if p]
    shared = [Path(sys.prefix) / "share/jupyter", Path("/usr/local/share/jupyter"), Path("/usr/share/jupyter")]
    return [folder / "kernels" for folder in dict.fromkeys([*given, user, *shared])]


def first_argument(file: Path) -> str | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))["argv"][0]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


CHECKS = (blas, numba, kernel_cache, card, fonts, jupyter)
