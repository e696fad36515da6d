"""What the doctor looks at first: the interpreter, the packages and their versions, our own files, the disk."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shlex
import shutil
import struct
import sys
import tempfile
from pathlib import Path

from .doctor import NOTE, OK, STOP, Finding

OLDEST_PYTHON = (3, 10)
# As in setup.cfg; tests hold the two equal.
REQUIRED = {"numpy": "1.26", "scipy": "1.11", "threadpoolctl": "3.1", "safetensors": "0.4", "regex": "2022.1.18",
            "tqdm": "4.60", "matplotlib": "3.7"}  # fmt: skip
FAST = {"numba": "0.59"}  # without it the numpy row does everything, slower
LITTLE, TOO_LITTLE = 1e9, 50e6  # bytes of free disk


def pip(arguments: str) -> str:
    """A pip command of this very interpreter."""
    return f"{shlex.quote(sys.executable or 'python')} -m pip {arguments}"


def interpreter() -> list[Finding]:
    version = sys.version_info[:2]
    bits = 8 * struct.calcsize("P")
    name = f"{platform.python_implementation()} {platform.python_version()}, {bits} bit, {sys.executable}"
    if version < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        mend = f"python{wanted} -m venv .venv && .venv/bin/python -m pip install minigpt"
        return [Finding("interpreter", STOP, f"{name}: minigpt needs Python {wanted} or later", mend)]
    if bits < 64:
        return [Finding("interpreter", NOTE, f"{name}: at most 2 to 4 GB of memory", "install a Python of 64 bit")]
    return [Finding("interpreter", OK, name)]


def packages() -> list[Finding]:
    """Each package that minigpt needs: there, and not too old."""
    found, fitting = [], []
    for name, oldest in {**REQUIRED, **FAST}.items():
        version, needed = installed_version(name), name in REQUIRED
        if version is None:
            lost = "minigpt needs it" if needed else "the fast cpu row needs it; the numpy row does everything, slower"
            mend = pip(f"install {shlex.quote(f'{name}>={oldest}')}")
            found.append(Finding(name, STOP if needed else NOTE, f"not installed; {lost}", mend))
        elif numbers(version) < numbers(oldest):
            mend = pip(f"install --upgrade {shlex.quote(f'{name}>={oldest}')}")
            found.append(Finding(name, STOP, f"{version} is too old: minigpt needs {oldest} or later", mend))
        else:
            fitting.append(f"{name} {version}")
    return [*found, Finding("packages", OK, ", ".join(fitting))] if fitting else found


def installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """2022.1.18 and 2.0rc1 as numbers that can be compared."""
    return tuple(int(n) for n in re.findall(r"\d+", re.match(r"[\d.]*", version).group()))  # type: ignore[union-attr]


def own_files() -> list[Finding]:
    """Whether `import kernels` finds ours: another distribution has that name too."""
    here = Path(__file__).parents[2]
    spec = importlib.util.find_spec("kernels")
    where = (spec.origin or str(next(iter(spec.submodule_search_locations or ["?"])))) if spec else None
    if where is None:
        return [Finding("files", STOP, f"the package `kernels`, which belongs beside {here / 'minigpt'}, is missing",
                        pip("install --force-reinstall minigpt"))]  # fmt: skip
    text = Path(where).read_text(encoding="utf-8", errors="replace") if os.path.isfile(where) else ""
    if 'PROJECT = "minigpt"' in text:
        return [Finding("files", OK, f"minigpt and kernels in {here}")]
    other = importlib.metadata.packages_distributions().get("kernels", [])
    theirs = [name for name in other if name != "minigpt"]
    if theirs:
        mend = pip(f"uninstall {theirs[0]}") + " && " + pip("install --force-reinstall --no-deps minigpt")
    elif Path(where).parent.parent == Path.cwd():
        mend = "cd ..   # Python looks in the current folder first"
    else:
        mend = f"export PYTHONPATH={shlex.quote(str(here))}"
    return [Finding("files", STOP, f"`import kernels` finds another project's package: {where}", mend)]


def disk() -> list[Finding]:
    """Room where models and corpora are fetched to, where runs are written (here), and for temporary files."""
    from ..files import data_folder

    places = {"fetched files": data_folder(), "current folder": Path.cwd(), "temporary": Path(tempfile.gettempdir())}
    found, rooms = [], []
    for what, folder in places.items():
        there = next(place for place in (folder, *folder.parents) if place.is_dir())
        free = shutil.disk_usage(there).free
        if free < LITTLE:
            text = f"{free / 1e6:,.0f} MB free for {what} in {folder}"
            mend = f"du -h --max-depth=1 {shlex.quote(str(there))} | sort -h   # and remove what is not needed"
            found.append(Finding("disk", STOP if free < TOO_LITTLE else NOTE, text, mend))
        else:
            rooms.append(f"{free / 1e9:,.0f} GB free for {what} ({folder})")
    return [*found, Finding("disk", OK, "; ".join(rooms))] if rooms else found


CHECKS = (interpreter, packages, own_files, disk)
