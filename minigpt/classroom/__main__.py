"""python -m minigpt.classroom list | start | check | build

  list                                what there is
  start ex_softmax                    ex_softmax.py to write in (--notebook: ex_softmax.ipynb)
  check ex_softmax ex_softmax.py      what is right, what is wrong, and why (an .ipynb too)
  build [--out folder]                for teachers: student's and instructor's notebooks from the masters

Exit codes: 0 all right, 1 the answer lacks points or the built notebooks are stale, 2 the command makes no sense.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from ..errors import DataError, MiniGPTError
from ..files import FileGroup
from . import places
from .checking import examine
from .exercise import PREFIX, exercise, names
from .masters import LEVELS, notebook, read_master, student_cells
from .student_file import python_file
from .submission import load_answer


def run_list(args) -> int:
    headers = [places.student_notebook(name)["metadata"]["minigpt"] for name in names()]
    width = max(len(header["name"]) for header in headers)
    for header in sorted(headers, key=lambda header: (header["level"], header["name"])):
        level = f"{header['level']} {LEVELS[header['level']]}"
        print(f"{header['name']:<{width}} {level:<9} {header['minutes']:>3} min {header['points']:>3} points  "
              f"{header['title']} (notebook {header['notebook']})")  # fmt: skip
    return 0


def run_start(args) -> int:
    ex = exercise(args.exercise)
    source = places.student_path(ex.name)
    out = Path(args.out or f"{PREFIX}{ex.name}{'.ipynb' if args.notebook else '.py'}")
    if out.exists():
        raise DataError(f"{out} exists; your work is not overwritten. Choose another name with --out")
    try:
        if args.notebook:
            shutil.copyfile(source, out)
        else:
            out.write_text(python_file(places.student_notebook(ex.name), ex.answer), encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from None
    print(f"{out}: write {ex.answer} there" + ("" if args.notebook else
          f", then `python -m minigpt.classroom check {PREFIX}{ex.name} {out}`"))  # fmt: skip
    return 0


def run_check(args) -> int:
    ex = exercise(args.exercise)
    report = examine(ex.name, load_answer(args.file, ex), args.seed)
    print(report)
    return 0 if report.passed else 1


def run_build(args) -> int:
    student, instructor = {}, {}
    for path in places.master_paths():
        master = read_master(path)
        student[f"{master.name}.ipynb"] = notebook(master, student_cells(master))
        instructor[f"{master.name}.ipynb"] = notebook(master, master.cells)
    if args.check:
        stale = [name for name in student if _text_of(places.STUDENT / name) != student[name]]
        stale += [path.name for path in places.STUDENT.glob("*") if path.name not in student]
        print(
            f"{len(student)} student notebooks: " + (f"stale: {', '.join(stale)}" if stale else "as their masters say")
        )
        return 1 if stale else 0
    folders = [(places.STUDENT, student)]
    if args.out:
        folders = [(Path(args.out) / "student", student), (Path(args.out) / "instructor", instructor)]
    for folder, files in folders:
        with FileGroup(folder) as group:
            for name, text in files.items():
                group.text(name, text)
        print(f"{folder}: {len(files)} notebooks")
    return 0


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m minigpt.classroom", description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    actions = made.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="all exercises").set_defaults(run=run_list)
    start = actions.add_parser("start", help="a file to write your answer in")
    start.add_argument("exercise", help="ex_softmax, for example")
    start.add_argument("--notebook", action="store_true", help="a notebook rather than a .py file")
    start.add_argument("--out", metavar="FILE", help="its name (default: that of the exercise, in this folder)")
    start.set_defaults(run=run_start)
    check = actions.add_parser("check", help="check the answer in a .py file or a notebook")
    check.add_argument("exercise", help="ex_softmax, for example")
    check.add_argument("file", help="the .py or .ipynb file with your answer")
    check.add_argument("--seed", type=int, default=0, metavar="N", help="other random numbers (default: 0)")
    check.set_defaults(run=run_check)
    build = actions.add_parser("build", help="notebooks from the masters")
    build.add_argument("--out", metavar="FOLDER", help="write FOLDER/student and FOLDER/instructor (default: only the "
                       "students', into the repository)")  # fmt: skip
    build.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if a student's notebook is stale"
    )
    build.set_defaults(run=run_build)
    return made


def main(argv: list[str] | None = None) -> int:
    if hasattr(sys.stdout, "reconfigure"):  # a Windows pipe may know fewer characters than the messages use
        sys.stdout.reconfigure(errors="backslashreplace")
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except MiniGPTError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
