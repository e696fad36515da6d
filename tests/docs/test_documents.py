"""What the documents say is run as written: code blocks, their printed output, commands, links, and files named."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import minigpt as mg
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
        words = re.findall(r'"[^"]*"|\S+', command.split("-m minigpt", 1)[1])
        build_parser().parse_args([word.strip('"') for word in words])  # exits if one is wrong
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(lines), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("name", [*READMES, "docs/writing-an-op.md", "docs/chat.md", "CHANGELOG.md"])
def test_links_and_files_exist(name):
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'src="([^":]+)"', text):
        assert (document.parent / target).exists(), f"{name} links to {target}"
    for path in re.findall(r"`((?:minigpt|kernels|tests|docs)/[\w/.]*)`", text):
        assert (ROOT / path).exists(), f"{name} names {path}"
