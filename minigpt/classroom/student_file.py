"""An exercise as one Python file, for work in an editor: made of the student's notebook.

Prose becomes comments. Code up to the last solution stands at the top of the file; what follows (trying out, the check)
runs only when the file itself is run, so that a debugger, pytest and the checker can import it half-written.
"""

from __future__ import annotations

import re
from textwrap import indent

TEST = '''
def test_{stem}():
    """For pytest, and for "Debug the tests or the exercise in this file" in VS Code."""
    report = mg.classroom.examine("{stem}", {answer})
    assert report.passed, f"\\n{{report}}"
'''


def python_file(book: dict, answer: str) -> str:
    """book: the student's notebook as read from JSON. answer: the name of what the student writes."""
    name = book["metadata"]["minigpt"]["name"]
    last = max(i for i, cell in enumerate(book["cells"]) if _nbgrader(cell).get("solution"))
    above = [_text(cell) for cell in book["cells"][: last + 1]]
    below = [_text(cell) for cell in book["cells"][last + 1 :]]
    how = f"# Check: python -m minigpt.classroom check {name} FILE, or pytest FILE, or run the file.\n"
    test = TEST.format(stem=name.removeprefix("ex_"), answer=answer)
    main = 'if __name__ == "__main__":\n' + indent("\n\n".join(below), "    ")
    return "\n\n".join([how + above[0], *above[1:-1]]) + f"\n\n\n{above[-1]}\n\n{test}\n\n{main}\n"


def _nbgrader(cell: dict) -> dict:
    return cell["metadata"].get("nbgrader", {})


def _text(cell: dict) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "code":
        return source
    source = re.sub(r"</?details>\n?", "", source)
    source = re.sub(r"<summary>(.*?)</summary>\n*", r"\1:\n", source)
    source = re.sub(r"^#+ ", "", source, flags=re.MULTILINE)  # headings
    return "\n".join(f"# {line}".rstrip() for line in source.strip().splitlines())
