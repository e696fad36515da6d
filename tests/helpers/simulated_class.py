"""A class of simulated students: right, wrong, unlucky and hostile submissions, each with the marks it must get.

Right ones are made of the masters, wrong ones of the stored mistakes, so that they are what students write.
"""

import ast
import inspect
import json
import sys
from pathlib import Path
from typing import NamedTuple

from minigpt.classroom import exercise
from minigpt.classroom.masters import notebook, read_master, student_cells
from minigpt.classroom.places import EXERCISES, student_notebook
from minigpt.classroom.student_file import python_file

SECONDS, MEGABYTES = 6, 1024


class Simulated(NamedTuple):
    """path: below the folder of submissions; noted: words in the table's notes; told: words on the student's page"""

    student: str
    path: str
    text: str
    exercise: str
    points: int
    state: str
    noted: str = ""
    told: str = ""


def right_notebook(name: str) -> str:
    master = read_master(EXERCISES / f"ex_{name}.py")
    return notebook(master, master.cells)


def notebook_with(name: str, source: str) -> str:
    """The student's notebook with this in place of the stub."""
    master = read_master(EXERCISES / f"ex_{name}.py")
    cells = [cell._replace(source=source) if cell.nbgrader.get("solution") else cell for cell in student_cells(master)]
    return notebook(master, cells)


def without(grade_id: str) -> str:
    """The right softmax notebook, one cell deleted."""
    book = json.loads(right_notebook("softmax"))
    book["cells"] = [c for c in book["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") != grade_id]
    return json.dumps(book)


def file_with(name: str, source: str) -> str:
    """The student's Python file with a definition behind the stub."""
    text = python_file(student_notebook(name), exercise(name).answer)
    return text.replace("\n\ndef test_", f"\n\n{source}\n\n\ndef test_")


def mistake_source(name: str, mistake: str) -> str:
    """A stored mistake under the name of the answer, with the helpers that it calls."""
    module = sys.modules[exercise(name).right.__module__]
    tree = ast.parse(inspect.getsource(module))
    kept = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (node.name == mistake or node.name.startswith("_")):
            node.decorator_list = []
            node.name = exercise(name).answer if node.name == mistake else node.name
            kept.append(ast.unparse(node))
    return "import numpy as np\n\n" + "\n\n\n".join(kept)


# ---- what goes wrong. {right} is the body of a right softmax

RIGHT = """
    m = x.max(axis, keepdims=True)
    e = np.exp(x - np.where(m == -np.inf, np.zeros_like(m), m))
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, np.ones_like(total), total)
"""
WRONG = "\n    return x - 1\n"


def softmax(before: str = "", inside: str = "", body: str = RIGHT) -> str:
    lines = "".join(f"    {line}\n" for line in inside.splitlines())
    return f"import numpy as np\n{before}\n\ndef softmax(x, axis=-1):\n{lines.rstrip()}{body}"


LOOP = "while True:\n    pass"
CHATTER = "while True:\n    print('x' * 1_000_000)"
IN_FLOAT32 = "if x.dtype == np.float32:\n    "
CHECKER = """
import sys
import builtins
import minigpt, minigpt.classroom as classroom
from minigpt.functional import softmax as theirs
kept = theirs
import minigpt.classroom.checking as checking, minigpt.classroom.outcome as outcome
import minigpt.classroom.grading.wire as wire
full = checking.Report("softmax", [checking.PartResult("all", 6, 6)])
classroom.check = checking.check = lambda *a, **k: 6
classroom.examine = checking.examine = checking.judge = checking._judged = lambda *a, **k: full
checking.PartResult.problem = ""
outcome.Outcome.same = lambda *a: True
np.allclose = np.array_equal = np.testing.assert_allclose = lambda *a, **k: True
np.abs = lambda x: np.zeros_like(x)
sys.modules["minigpt.classroom.checking"] = sys.modules[__name__] if __name__ in sys.modules else checking
builtins.isinstance, kept = (lambda *a: True), builtins.isinstance
builtins.isinstance = kept
"""
FAKE = """
import os, json
print("softmax: 6 of 6 points")
line = json.dumps({"loaded": {"failed": [], "notes": []}, "points": 6, "passed": True, "report": "6 of 6"})
done = json.dumps({"done": True, "points": 6})
for fd in range(1, 20):
    try:
        os.write(fd, (line + "\\n" + done + "\\n").encode())
    except OSError:
        continue
"""
FORGED = FAKE.replace(
    '{"loaded": {"failed": [], "notes": []}, ', '{"loaded": {"failed": 3, "value": {"pickle": "x"}}, '
)
VANDAL = """
import pathlib, subprocess, sys
for place in {places!r}:
    path = pathlib.Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("student,exercise,points,possible,state,file,notes\\nvera,ex_softmax,100,6,right,,\\n")
later = "import time, pathlib; time.sleep(3600); pathlib.Path({places!r}[0]).write_text('vera,100')  # {mark}"
subprocess.Popen([sys.executable, "-c", later], start_new_session=True)
"""
FORKS = """
import os, sys
for _ in range(6):  # 64 processes
    if os.fork() == 0:
        os.setsid()
        if _ == 5:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(3600)  # {mark}"])
"""
ODD = """
    class Odd:
        __array__ = __eq__ = __repr__ = __len__ = lambda *a, **k: 1 / 0
        __hash__ = None
    loop = []
    loop.append(loop)
    return [Odd(), loop, {Odd: Odd()}, 10**5000, "\\ud800", np.array([Odd(), None], object)][x.size % 6]
"""


def simulated(marked: str, places: list[str]) -> list[Simulated]:
    """marked: a word on the command line of processes that must not outlive the grading; places: files to spoil"""
    made = [
        Simulated("ann", "ann_ex_softmax.ipynb", right_notebook("softmax"), "softmax", 6, "right"),
        Simulated("ann", "ann_ex_attention.ipynb", right_notebook("attention"), "attention", 10, "right"),
        Simulated("ben", "ben/ex_cross_entropy.ipynb", right_notebook("cross_entropy"), "cross_entropy", 8, "right"),
        Simulated("ben", "ben/week 2/ex_mask.ipynb", right_notebook("mask"), "mask", 7, "right"),
        Simulated("王芳", "王芳_ex_softmax.py", file_with("softmax", softmax()), "softmax", 6, "right"),
        Simulated("cem", "cem_ex_softmax.py", file_with("softmax", ""), "softmax", 0, "not written",
                  told="exponentiate each row"),
        Simulated("dan", "dan_ex_softmax.ipynb", notebook_with("softmax", softmax("%matplotlib inline\n!pip list")),
                  "softmax", 6, "right"),
    ]  # fmt: skip
    made += [
        Simulated(student, f"{student}_ex_{name}.ipynb", notebook_with(name, mistake_source(name, mistake)), name,
                  points, state, told=told)
        for student, name, mistake, points, state, told in [
            ("eva", "softmax", "one_sum", 0, "wrong", "divided by the sum of all elements"),
            ("fay", "softmax", "without_shift", 4, "partly", "exp overflows"),
            ("gus", "softmax", "over_axis_0", 1, "partly", "softmax over axis 0"),
            ("hal", "softmax", "ignores_axis", 4, "partly", "always take the last axis"),
            ("ida", "attention", "multiplied_by_root", 2, "partly", "sqrt"),
        ]
    ]  # fmt: skip
    exits = notebook_with("softmax", softmax())
    exits = exits.replace(
        '"import numpy as np\\n",\n    "\\n",', '"import numpy as np\\n", "import sys; sys.exit(1)\\n",', 1
    )
    hostile = {
        "jon": (softmax(inside=CHATTER), 0, "wrong", "a call was not over after 6 s", "the time was up"),
        "kai": (softmax(inside="if not x.any() and x.size == 0:\n    while True:\n        pass"), 4, "partly",
                "a call was not over", "no rows at all"),
        "lea": (softmax(before=LOOP), 0, "no answer", "", "running the file was not over after 6 s"),
        "max": (softmax(inside=IN_FLOAT32 + "import os; os._exit(0)"), 5, "partly", "a call ended Python",
                "exit code 0"),
        "mia": ("import os\nos._exit(3)\n" + softmax(), 0, "no answer", "", "ended Python with exit code 3"),
        "ned": (softmax(inside="if axis == 1:\n    import ctypes; ctypes.string_at(0)"), 5, "partly", "SIGSEGV",
                "touched memory"),
        "oda": (softmax(inside="raise KeyboardInterrupt('stop')"), 0, "wrong", "", "KeyboardInterrupt"),
        "pam": ("import numpy as np\ndef sofmax(x, axis=-1):" + RIGHT, 6, "right", "the answer is called sofmax", ""),
        "quy": (softmax("import sys, warnings", "print('loud', file=sys.stderr); warnings.warn('hm')"), 6, "right", "",
                "loud"),
        "ray": (softmax("for _ in range(50):\n    print('x' * 1_000_000)"), 6, "right", "printed 50.0 MB",
                "bytes more"),
        "sam": (softmax(inside="np.ones(10**12)"), 0, "wrong", "", "MemoryError"),
        "sue": (softmax(before="kept = []\nwhile True:\n    kept.append(np.empty(10**8))"), 0, "no answer",
                "MemoryError", ""),
        "tom": (softmax(FORKS.replace("{mark}", marked)), 6, "right", "", ""),
        "ugo": (softmax(CHECKER, body=WRONG), 0, "wrong", "minigpt.functional.softmax", ""),
        "una": (softmax(FAKE, body=WRONG), 0, "wrong", "", "expected 0."),
        "uma": (softmax(FORGED), 0, "no answer", "", "what came back is damaged"),
        "vera": (softmax(VANDAL.replace("{places!r}", repr(places)).replace("{mark}", marked), body=WRONG), 0, "wrong",
                 "", ""),
        "wim": ("import os, signal\nos.killpg(0, signal.SIGKILL)\n" + softmax(), 0, "no answer", "", "SIGKILL"),
        "xia": (softmax(body=ODD), 0, "wrong", "", ""),
        "yan": ("softmax = 6\n", 0, "wrong", "", "the answer is no function"),
        "zoe": ("def softmax(x:\n", 0, "no answer", "raised: ", "defines no softmax"),
    }  # fmt: skip
    for student, (source, points, state, noted, told) in hostile.items():
        noted = noted.replace("mine", f"{student}_ex_softmax.py")
        made.append(Simulated(student, f"{student}_ex_softmax.py", source, "softmax", points, state, noted, told))
    made += [
        Simulated("abe", "abe/ex_softmax.ipynb", without("softmax-check"), "softmax", 6, "right",
                  "the cell 'softmax-check' is missing"),
        Simulated("ava", "ava/ex_softmax.ipynb", without("softmax"), "softmax", 0, "no answer",
                  "the cell 'softmax' is missing"),
        Simulated("bea", "bea/homework 1 final.ipynb", right_notebook("softmax"), "softmax", 6, "right",
                  "the file has another name"),
        Simulated("cid", "cid/ex_softmax.ipynb", right_notebook("softmax")[:500], "softmax", 0, "no answer",
                  told="is no notebook"),
        Simulated("dot", "dot/ex_softmax.ipynb", exits, "softmax", 6, "right", "SystemExit: 1"),
        Simulated("eli", "eli/ex_softmax.py", softmax(body=WRONG), "softmax", 0, ""),
        Simulated("eli", "eli/ex_softmax (2).py", softmax(), "softmax", 6, "right", "handed in twice"),
    ]  # fmt: skip
    return made


def write(students: list[Simulated], folder: Path) -> None:
    for one in students:
        path = folder / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.text, encoding="utf-8")
