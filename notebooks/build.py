"""Build the notebooks: NN_stem.py is the source, NN_stem.ipynb beside it is executed and kept with its outputs.

    python notebooks/build.py [N …]           build all, or those whose names begin with N
    python notebooks/build.py --check [N …]   change nothing; say what is wrong; exit code 1 if anything is
    python notebooks/build.py --contents      only the table of contents in README.md

Building twice gives the same bytes as long as NumPy and Matplotlib are the same: cells are numbered c000, c001 …, no
times are kept, hashes are not random. `--without-numba` hides Numba, to see that the numpy row is enough.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import _contents
import _rules
import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets import Instance, default

HERE = Path(__file__).resolve().parent
LIMIT, TRAINING_LIMIT = 20, 60  # seconds
CELL_LIMIT = 300  # seconds after which a cell is given up, however busy the machine
CLOCK = "import time; print(time.process_time())"  # run after the last cell
AT_ONCE = 2
KERNEL = [sys.executable, "-m", "ipykernel_launcher", "--log-level=ERROR"]  # else a warning about TCP every time
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass
class Notebook:
    """One notebook: its source as read, what running it gave, and what is wrong with it."""

    path: Path  # of the .py
    cells: Any  # the notebook without outputs
    settings: dict  # what its header declares: training, numba
    executed: Any = None
    seconds: float = (
        0.0  # from the start of the kernel to its end; or, if less, of processor time: others may be in the way
    )
    finished: bool = False  # whether all cells ran
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def limit(self) -> int:
        return TRAINING_LIMIT if self.settings.get("training") else LIMIT

    @property
    def built(self) -> Path:
        return self.path.with_name(self.path.name.removesuffix(".py") + ".ipynb")


def read(path: Path) -> Notebook:
    """The source as a notebook with numbered cells, and the settings in its header."""
    nb = jupytext.read(path, fmt="py:percent")
    settings = dict(nb.metadata.get("minigpt", {}))
    for number, cell in enumerate(nb.cells):
        cell.id = f"c{number:03d}"
        cell.metadata.pop("lines_to_next_cell", None)
    nb.metadata = nbformat.from_dict(METADATA)
    nb.nbformat, nb.nbformat_minor = 4, 5
    return Notebook(path, nb, settings)


def sources(folder: Path, chosen: list[str]) -> list[Path]:
    """NN_stem.py of the folder, those that begin with one of `chosen`, or all."""
    paths = sorted(folder.glob("[0-9][0-9]_*.py"))
    found = [path for path in paths if not chosen or path.name.startswith(tuple(chosen))]
    if not found:
        raise SystemExit(f"no notebook begins with {', '.join(chosen) or 'a number'} in {folder.name}/")
    return found


class ThisPython(KernelSpecManager):
    """Kernels of the interpreter that runs this program, whatever kernels are installed on the machine."""

    def get_kernel_spec(self, kernel_name):
        return KernelSpec(argv=[*KERNEL, "-f", "{connection_file}"], name="python3")


class KernelManager(AsyncKernelManager):
    """One whose kernels are those of ThisPython; the client makes it, and so shuts its kernel down."""

    kernel_spec_manager = Instance(KernelSpecManager)

    @default("kernel_spec_manager")
    def _this_python(self):
        return ThisPython()


async def execute(notebook: Notebook, environment: dict[str, str]) -> None:
    """Run all cells in a new kernel; the outputs go into notebook.executed, an error into notebook.wrong."""
    nb = nbformat.from_dict(notebook.cells)
    client = NotebookClient(
        nb,
        timeout=CELL_LIMIT,
        record_timing=False,
        coalesce_streams=True,  # or how prints are cut depends on their timing
        kernel_name="python3",
        kernel_manager_class=KernelManager,
        resources={"metadata": {"path": str(notebook.path.parent)}},
    )
    nb.cells.append(nbformat.v4.new_code_cell(CLOCK))
    start = time.perf_counter()
    try:
        await client.async_execute(env=environment)
        notebook.finished = True
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        where = next((cell.id for cell in nb.cells if _raised(cell)), None) or _last_run(nb)
        kind = f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else type(error).__name__
        notebook.wrong.append(f"{where}: raised {kind}")
    notebook.seconds = time.perf_counter() - start
    for output in nb.cells.pop().outputs:
        notebook.seconds = min(notebook.seconds, float(output.text))
    nb.metadata = nbformat.from_dict(METADATA)  # without the versions that the kernel told
    notebook.executed = nb
    views_as_pictures(nb)


def _raised(cell) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", ()))


def _last_run(nb) -> str:
    """The last cell that was begun, which has a number: where the kernel was when it stopped."""
    done = [k for k, cell in enumerate(nb.cells) if cell.get("execution_count")]
    return nb.cells[done[-1] if done else 0].id


def views_as_pictures(nb) -> None:
    """Keep of each view its picture, as image/png with its description: all that every front end shows.

    GitHub and notebooks that are not trusted strip scripts, and show HTML in place of a PNG that comes with it. The
    view is live again as soon as a reader runs the cell.
    """
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            html = output.get("data", {}).get("text/html", "")
            view = re.search(
                r'class="mg-view".*?<img src="data:image/png;base64,([^"]+)" alt="([^"]*)"', html, re.DOTALL
            )
            if view:
                alt = unescape(view[2])
                output.data = nbformat.from_dict({"image/png": view[1], "text/plain": alt})
                output.metadata = nbformat.from_dict({"image/png": {"alt": alt}})


async def execute_all(notebooks: list[Notebook], environment: dict[str, str]) -> None:
    """Two at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(notebook):
        async with places:
            await execute(notebook, environment)
            if notebook.seconds > notebook.limit:
                notebook.wrong.append(f"c000: took {notebook.seconds:.0f} s, at most {notebook.limit} s")

    await asyncio.gather(*(one(notebook) for notebook in notebooks))


def environment(without_numba: Path | None = None) -> dict[str, str]:
    """Of the kernels: this tree's minigpt, figures inside the notebook, the same hashes each time."""
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    if without_numba is not None:
        hiding = "import sys\nsys.modules['numba'] = None  # importing it fails, and find_spec finds nothing\n"
        (without_numba / "sitecustomize.py").write_text(hiding, encoding="utf-8")
        paths.insert(0, str(without_numba))
    inline = "module://matplotlib_inline.backend_inline"
    blas = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # two kernels run at a time
    return {**os.environ, **blas, "PYTHONPATH": os.pathsep.join(paths), "MPLBACKEND": inline, "PYTHONHASHSEED": "0"}


def check(notebook: Notebook) -> None:
    """Compare the built file with the source; `notebook` has been executed."""
    if not notebook.built.exists():
        notebook.wrong.append("c000: there is no .ipynb; `make notebooks` builds it")
        return
    built = nbformat.read(notebook.built, as_version=4)
    notebook.wrong += _rules.same_cells(notebook.cells, built)
    notebook.wrong += _rules.of_outputs(built, notebook.built.stat().st_size)
    if not notebook.wrong:
        pairs = zip(built.cells, notebook.executed.cells, strict=True)
        other = [old.id for old, new in pairs if _text(old) != _text(new)]
        if other:  # other versions and processors round differently, so this is not an error
            notebook.notes.append(f"prints something else here than what is stored, in {', '.join(other)}")


def _text(cell):
    return [_rules.texts(output) for output in cell.get("outputs", ())]


def run(folder: Path, chosen: list[str], checking: bool, without_numba: bool = False) -> list[Notebook]:
    """Build or check the chosen notebooks of a folder; what is wrong stands in each one's `wrong`."""
    notebooks = [read(path) for path in sources(folder, chosen)]
    if without_numba:
        notebooks = [notebook for notebook in notebooks if not notebook.settings.get("numba")]
    for notebook in notebooks:
        lang = _rules.language(notebook.path)
        notebook.wrong += _rules.of_source(notebook.cells, lang)
        original = notebook.path.with_name(notebook.path.name.replace(".zh.py", ".py"))
        if lang != "en" and original.exists():
            notebook.wrong += _rules.same_code(notebook.cells, read(original).cells)
    if sys.platform == "win32" and sys.version_info < (3, 14):
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())  # what ZeroMQ needs
    with tempfile.TemporaryDirectory() as hidden:
        asyncio.run(execute_all(notebooks, environment(Path(hidden) if without_numba else None)))
    for notebook in notebooks:
        text = nbformat.writes(notebook.executed) + "\n"
        notebook.wrong += [
            line for line in _rules.of_outputs(notebook.executed, len(text.encode())) if line not in notebook.wrong
        ]
        if checking and not without_numba:
            check(notebook)
        elif not checking and notebook.finished:
            # also with complaints: the author wants to see what is complained about
            notebook.built.write_text(text, encoding="utf-8", newline="\n")
            _contents.write_picture(notebook.executed, folder, notebook.built.stem)
    return notebooks


def main(arguments: list[str] | None = None, folder: Path = HERE) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", metavar="N", help="01, 01_tensors …; none: all")
    parser.add_argument("--check", action="store_true", help="change nothing, say what is wrong")
    parser.add_argument("--contents", action="store_true", help="write only the table of contents in README.md")
    parser.add_argument("--without-numba", action="store_true", help="with --check: as where Numba is not installed")
    args = parser.parse_args(arguments)
    if args.without_numba and not args.check:
        parser.error("--without-numba goes with --check")
    wrong = []
    if not args.contents:
        notebooks = run(folder, args.notebooks, args.check, args.without_numba)
        for notebook in notebooks:
            print(f"{notebook.seconds:6.1f} s of {notebook.limit}  {notebook.path.name}", flush=True)
            print("".join(f"          note: {note}\n" for note in notebook.notes), end="")
            wrong += [f"{notebook.path.relative_to(folder.parent)}, {line}" for line in notebook.wrong]
        print(f"{sum(notebook.seconds for notebook in notebooks):6.1f} s in all, {AT_ONCE} at a time")
    wrong += _contents.update(folder, {path: read(path).cells for path in sources(folder, [])}, writing=not args.check)
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
