"""The same notebooks under nbgrader: generate, autograde, feedback, for a right and a wrong submission."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import simulated_class as simulated

import minigpt as mg
from minigpt.classroom import examine, exercise
from minigpt.classroom.places import student_path

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("nbgrader") is None, reason="nbgrader is missing: pip install .[teach]"
    ),
    pytest.mark.slow,
]

SETTINGS = """
c = get_config()
c.CourseDirectory.course_id = "minigpt"
c.IncludeHeaderFooter.header = ""
"""


@pytest.fixture(scope="module")
def nbgrader(tmp_path_factory):
    """A function (words) -> output of `nbgrader words`, in a course with one assignment."""
    course = tmp_path_factory.mktemp("course")
    (course / "nbgrader_config.py").write_text(SETTINGS, encoding="utf-8")

    def put(path, text):
        (course / path).parent.mkdir(parents=True, exist_ok=True)
        (course / path).write_text(text, encoding="utf-8")

    put("source/ps1/ex_softmax.ipynb", simulated.right_notebook("softmax"))
    put("submitted/ann/ps1/ex_softmax.ipynb", simulated.notebook_with("softmax", simulated.softmax()))
    wrong = simulated.mistake_source("softmax", "without_shift")
    put("submitted/fay/ps1/ex_softmax.ipynb", simulated.notebook_with("softmax", wrong))
    put("submitted/cem/ps1/ex_softmax.ipynb", student_path("softmax").read_text(encoding="utf-8"))
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls alembic by its name
    environment = {**os.environ, "PYTHONPATH": str(Path(mg.__file__).parents[1]), "PATH": programs,
                   "HOME": str(course), "IPYTHONDIR": str(course / ".ipython")}  # fmt: skip

    def run(*words):
        done = subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=course, env=environment, text=True,
                              capture_output=True, timeout=300)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return course

    return run


def test_generate_autograde_feedback(nbgrader):
    course = nbgrader("generate_assignment", "ps1", "--create")
    released = json.loads((course / "release" / "ps1" / "ex_softmax.ipynb").read_text(encoding="utf-8"))
    text = "\n".join("".join(cell["source"]) for cell in released["cells"])
    assert "raise NotImplementedError" in text
    assert "SOLUTION" not in text
    assert "np.where(m == -np.inf" not in text.split("def softmax")[1], "no line of the solution"
    assert "HIDDEN" not in text

    nbgrader("autograde", "ps1", "--create")
    nbgrader("generate_feedback", "ps1")
    table = nbgrader("export") / "grades.csv"
    lines = [line.split(",") for line in table.read_text(encoding="utf-8").splitlines()]
    score, student = lines[0].index("score"), lines[0].index("student_id")
    scores = {line[student]: float(line[score]) for line in lines[1:]}
    naive = next(mistake.answer for mistake in exercise("softmax").mistakes if mistake.name == "without_shift")
    assert scores == {"ann": 6.0, "fay": float(examine("softmax", naive, 20).points), "cem": 0.0}

    page = (course / "feedback" / "fay" / "ps1" / "ex_softmax.html").read_text(encoding="utf-8")
    told = re.sub(r"\s+", " ", page)
    assert "exp overflows: exp(1000) is inf" in told
    assert "softmax: 4 of 6 points" in told
