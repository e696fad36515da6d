"""What the documents say is run as written: code blocks, their printed output, commands, links, and files named."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import minigpt as mg
from minigpt.classroom.__main__ import parser as classroom
from minigpt.cli import build_parser

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")


def code_blocks(name, language):
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def printed_by(code):
    output = io.StringIO()
    with redirect_stdout(output):
        exec(compile(code, "document", "exec"), {"__name__": "document"})  # noqa: S102
    return output.getvalue()


def test_writing_an_op_runs_as_written():
    (code,) = code_blocks("docs/writing-an-op.md", "python")
    output, error = code_blocks("docs/writing-an-op.md", "text")
    assert printed_by(code) == output
    broken = code.replace("dy / scale**2", "dy / scale")
    assert broken != code
    with pytest.raises(mg.GradcheckError) as caught:
        printed_by(broken)
    assert str(caught.value) == error.strip()


def test_chat_runs_as_written():
    (code,) = code_blocks("docs/chat.md", "python")
    (output,) = code_blocks("docs/chat.md", "text")
    assert printed_by(code) == output


@pytest.mark.parametrize(("name", "least"), [("docs/debugging.md", 12), ("docs/inspect.md", 24)])
def test_a_page_runs_as_written(name, least):
    """All blocks of the page in one program; the text after a block is what that block prints."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|text)\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= least
    program, printed = {"__name__": "document"}, ""
    for language, block in blocks:
        if language == "text":
            assert printed == block
            printed = ""
        else:
            with redirect_stdout(io.StringIO()) as output:
                exec(compile(block, "document", "exec"), program)  # noqa: S102
            printed += output.getvalue()
    assert printed == ""


def test_the_page_on_inspect_shows_all_of_it():
    text = (ROOT / "docs/inspect.md").read_text(encoding="utf-8")
    shown = {name for name in mg.inspect.__all__ if name[0].islower()}
    assert {name for name in shown if not re.search(rf"\b{name}\b", text)} == set()


def test_commands_of_debugging_run(tmp_path):
    """Each with the first block of the page as wrong_gradient.py beside it; variables in front are set."""
    (tmp_path / "wrong_gradient.py").write_text(code_blocks("docs/debugging.md", "python")[0], encoding="utf-8")
    results = {}
    for command in "".join(code_blocks("docs/debugging.md", "bash")).splitlines():
        words = shlex.split(command)
        variables = dict(words.pop(0).split("=") for _ in list(words) if "=" in words[0])
        assert words[0] == "python"
        done = subprocess.run(
            [sys.executable, *words[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        results[command] = done.stdout
    assert len(results) == 8
    (cost,) = (out for command, out in results.items() if "bench observers" in command)
    assert float(re.search(r"together +([\d.]+)% of a step", cost)[1]) < 0.1  # as the page says
    (pdb,) = (out for command, out in results.items() if "-m pdb" in command)
    assert "((64, 8), (True, True))" in pdb  # it stopped in backward
    assert sum("0.26894" in out or "0.2689" in out for out in results.values()) == 2  # softmax of 1, 2 on two rows


def test_launch_files_start_what_exists():
    """.vscode/launch.json: JSON with comments. Its files, modules, commands and kernels are there."""
    text = (ROOT / ".vscode/launch.json").read_text(encoding="utf-8")
    launch = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    document = (ROOT / "docs/debugging.md").read_text(encoding="utf-8")
    for configuration in launch["configurations"]:
        assert configuration["justMyCode"] is False  # a breakpoint in the library is the purpose
        for word in configuration.get("args", ()):
            assert not word.startswith("tests/") or (ROOT / word).is_dir()
        if configuration.get("module") == "minigpt":  # ${file} is any word
            build_parser().parse_args(configuration["args"])
    names = [configuration["name"] for configuration in launch["configurations"]]
    assert [name for name in re.findall(r"\*(Debug [^*]+)\*", document.replace("\n", " ")) if name not in names] == []
    options = launch["inputs"][0]["options"]
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/kernels/cpu").glob("*.py"))
    assert [name for name in options if name not in tests] == []


def test_writing_an_op_is_short():
    (code,) = code_blocks("docs/writing-an-op.md", "python")
    the_op = code[code.index("class Softsign") : code.index("\n\n\nx = ")]
    assert len(the_op.splitlines()) <= 20


@pytest.mark.parametrize("name", READMES)
def test_readme_example_prints_what_it_says(name):
    (code,) = code_blocks(name, "python")
    output = code_blocks(name, "text")[0]
    assert printed_by(code) == output


def test_both_readmes_have_the_same_commands_and_code():
    english, chinese = ({kind: code_blocks(name, kind) for kind in ("bash", "python")} for name in READMES)
    assert english == chinese


@pytest.mark.parametrize("name", READMES)
def test_commands_of_the_readme_exist(name):
    lines = "\n".join(code_blocks(name, "bash")).splitlines()
    commands = [re.sub(r"\s+#.*", "", line) for line in lines if "-m minigpt" in line]
    assert len(commands) >= 5
    for command in commands:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command.split("-m minigpt", 1)[1])]
        parser, given = (classroom, words[1:]) if words[0] == ".classroom" else (build_parser, words)
        parser().parse_args(given)  # exits if a word is wrong
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(lines), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    [
        *READMES,
        "docs/writing-an-op.md",
        "docs/chat.md",
        "docs/debugging.md",
        "docs/inspect.md",
        "docs/teaching.md",
        "CHANGELOG.md",
    ],
)
def test_links_and_files_exist(name):
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'src="([^":]+)"', text):
        assert (document.parent / target).exists(), f"{name} links to {target}"
    for path in re.findall(r"`((?:minigpt|kernels|tests|docs)/[\w/.]*)`", text):
        if not path.endswith("__pycache__"):  # Python makes these
            assert (ROOT / path).exists(), f"{name} names {path}"


def test_the_exercise_of_teaching_works_as_written():
    from minigpt.classroom.checking import outcomes

    program = {"__name__": "document"}
    exec(compile(code_blocks("docs/teaching.md", "python")[0], "document", "exec"), program)  # noqa: S102
    exercise = program["exercise"]
    right, squared = (outcomes(exercise, program[name], 0) for name in ("doubling", "squared"))
    assert (exercise.points, len(right)) == (3, 3)
    assert not any(a.same(b, (0,), None) for a, b in zip(right, squared, strict=True))


def test_commands_of_teaching_exist():
    from minigpt.classroom.__main__ import parser

    lines = "".join(code_blocks("docs/teaching.md", "bash")).splitlines()
    commands = [shlex.split(line, comments=True)[3:] for line in lines if "-m minigpt.classroom" in line]
    assert len(commands) >= 5
    for words in commands:
        parser().parse_args(words)  # exits if one is wrong
