"""The tool that builds and checks notebooks: what it writes, and that it reports every kind of mistake by its cell."""

import base64
import importlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nbclient")
pytest.importorskip("jupytext")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
HEAD = """\
# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # A small one
#
# **Aim** See that the tool works,
# in two lines.
#
# **Time** 5 minutes
#
# **Prerequisites** none

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg
"""
QUESTIONS = """
# %% [markdown]
# ## In your own words
#
# 1. What?
# 2. Why?
# 3. How?
"""
PICTURE = """
# %% tags=["picture"]
import numpy as np
from minigpt.viz import PositionCosine

PositionCosine(np.eye(4))
"""


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    for name in ("_rules", "_contents", "build"):
        monkeypatch.delitem(importlib.sys.modules, name, raising=False)
    return importlib.import_module("build")


@pytest.fixture
def rules(tool):
    return importlib.import_module("_rules")


@pytest.fixture
def folder(tmp_path, tool):
    contents = importlib.import_module("_contents")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "README.md").write_text(f"# Course\n\n{contents.BEGIN}\n{contents.END}\n\nend\n", encoding="utf-8")
    return folder


def write(folder, body, name="01_small.py"):
    (folder / name).write_text(HEAD + body + QUESTIONS, encoding="utf-8")


def source_complaints(tool, rules, folder, body):
    write(folder, body)
    return rules.of_source(tool.read(folder / "01_small.py").cells)


# ---- building


@pytest.mark.slow
def test_build_twice_check_and_each_mistake_in_the_file(tool, folder, capsys):
    """One pass over the whole way, since every kernel takes seconds."""
    write(folder, PICTURE + "\n# %%\nprint(sorted({'a', 'b'}), end='')\nprint(hash('seed'))\nnp.ones(3)\n")
    built = folder / "01_small.ipynb"
    assert tool.main([], folder) == 0, capsys.readouterr().err
    first, readme = built.read_bytes(), (folder / "README.md").read_text(encoding="utf-8")
    assert tool.main(["01"], folder) == 0
    assert built.read_bytes() == first
    assert tool.main(["--check"], folder) == 0
    out, err = capsys.readouterr()
    assert (err, "note:" in out, "s in all" in out) == ("", False, True)

    nb = json.loads(first)
    assert [cell["id"] for cell in nb["cells"]] == [f"c{k:03d}" for k in range(5)]
    assert nb["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert "%pip install -q .." in "".join(nb["cells"][1]["source"]).splitlines()[3]
    (view,) = nb["cells"][2]["outputs"]  # a picture, with its description, and no script
    assert set(view["data"]) == {"image/png", "text/plain"}
    assert view["metadata"]["image/png"]["alt"] == "".join(view["data"]["text/plain"])
    assert base64.b64decode(view["data"]["image/png"]).startswith(b"\x89PNG")
    assert "| 5 minutes | none |" in readme
    assert "[01 A small one](01_small.ipynb)<br>See that the tool works, in two lines." in readme
    assert readme.endswith("\n\nend\n")
    picture = folder / "pictures" / "01_small.png"
    assert f'src="pictures/{picture.name}"' in readme
    assert picture.stat().st_size <= 30_000

    # the file is changed by hand: a cell, an output, one too many; then the table
    def broken(change):
        nb = json.loads(first)
        change(nb)
        built.write_text(json.dumps(nb), encoding="utf-8")
        notebook = tool.read(folder / "01_small.py")
        tool.check(notebook)
        return notebook.wrong

    assert broken(lambda nb: nb["cells"][2].update(source="1 + 1"))[0].startswith("c002: its source is not that of")
    assert broken(lambda nb: nb["cells"][3].update(id="new"))[0].startswith("c003: its id is not")
    assert broken(lambda nb: nb["cells"].pop())[-1].startswith("c004: the .py has 5 cells, the .ipynb 4")
    path = {"output_type": "stream", "name": "stdout", "text": "saved to /home/ada/x.png\n"}
    assert "c003: its output (stdout) names a place on one machine, '/home/ada'" in " ".join(
        broken(lambda nb: nb["cells"][3]["outputs"].append(path))
    )
    (large,) = broken(lambda nb: nb["cells"][3]["outputs"].append({**path, "text": "x" * 300_000}))
    assert large.startswith("c003: the file has 30")
    built.unlink()
    assert tool.main(["--check"], folder) == 1
    assert "01_small.py, c000: there is no .ipynb" in capsys.readouterr().err


@pytest.mark.slow
def test_what_goes_wrong_while_running_is_reported(tool, folder, capsys):
    write(folder, "\n# %%\nx = 1\n\n# %%\nx / 0\n", "01_raises.py")
    write(folder, "\n# %%\nimport sys\n\nprint('50%', file=sys.stderr)\nobject()\n", "02_noisy.py")
    write(folder, "\n# %%\nfrom matplotlib.figure import Figure\n\nFigure()\n", "03_blind.py")
    assert tool.main([], folder) == 1
    errors = capsys.readouterr().err
    assert errors.count("01_raises.py") == 1
    assert "notebooks/01_raises.py, c003: raised ZeroDivisionError: division by zero" in errors.replace("\\", "/")
    assert "03_blind.py, c002: ends with a figure that does not show itself" in errors
    assert "02_noisy.py, c002: writes to stderr (a warning, a progress bar?): '50%'" in errors
    assert "02_noisy.py, c002: its output (text/plain) names a place on one machine, 'object at 0x" in errors
    assert not (folder / "01_raises.ipynb").exists()  # the others are there to be looked at, the check refuses them
    assert (folder / "02_noisy.ipynb").exists()
    notebook = tool.read(folder / "02_noisy.py")
    tool.check(notebook)
    assert "c002: writes to stderr (a warning, a progress bar?): '50%'" in notebook.wrong


@pytest.mark.slow
def test_limits_and_hidden_numba(tool, folder, monkeypatch):
    write(
        folder,
        "\n# %%\nimport time\n\nwhile time.process_time() < 2:\n    pass\nprint(mg.backends()['cpu'])\n",
        "01_slow.py",
    )
    write(folder, "", "02_needs_numba.py")
    source = folder / "02_needs_numba.py"
    source.write_text(source.read_text(encoding="utf-8").replace("training: true", "numba: true"), encoding="utf-8")
    monkeypatch.setattr(tool, "TRAINING_LIMIT", 1)
    (slow,) = tool.run(folder, [], checking=True, without_numba=True)
    assert next(line for line in slow.wrong if "took" in line).startswith("c000: took ")
    printed = slow.executed.cells[2].outputs[0].text
    assert printed.strip() != "True"
    assert "umba" in printed


@pytest.mark.slow
def test_a_cell_that_does_not_end(tool, folder, monkeypatch):
    write(folder, "\n# %%\nwhile True:\n    pass\n")
    path = folder / "01_small.py"
    path.write_text(path.read_text(encoding="utf-8").replace("import minigpt as mg", "import math"), encoding="utf-8")
    monkeypatch.setattr(tool, "CELL_LIMIT", 5)
    (notebook,) = tool.run(folder, [], checking=False)
    assert "c002: raised CellTimeoutError" in notebook.wrong
    assert not notebook.built.exists()


def test_limits_are_declared(tool, folder):
    write(folder, "")
    notebook = tool.read(folder / "01_small.py")
    assert (notebook.settings, notebook.limit) == ({"training": True}, 60)
    source = notebook.path.read_text(encoding="utf-8")
    notebook.path.write_text(source[source.index("# %% ") :], encoding="utf-8")
    assert tool.read(notebook.path).limit == 20


def test_a_name_that_nothing_has(tool, folder):
    with pytest.raises(SystemExit, match="no notebook begins with 77"):
        tool.main(["77"], folder)


# ---- rules of the source


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("\n# %%\ndef softmax(x):\n    return x\n", "c002: line 1 defines 'softmax', which minigpt.functional has"),
        ("\n# %%\nif True:\n    class GPT:\n        pass\n", "c002: line 2 defines 'GPT', which minigpt.models has"),
        ("\n# %%\ngelu = lambda x: x\n", "c002: line 1 defines 'gelu'"),
        ("\n# %%\nx = '/home/ada/data.txt'\n", "c002: the source names a place on one machine, '/home/ada'"),
        ("\n# %% [markdown]\n# It lies in C:\\Users\n", "c002: the source names a place on one machine"),
        ("\n# %% [markdown]\n# The loss falls to 2.31.\n", "c002: the prose says '2.31'"),
        ("\n# %% [markdown]\n# That is 40 % of it.\n", "c002: the prose says '40 %'"),
        ("\n# %%\n# %time f()\n", "c002: '%time f()': no magics"),
        ("\n# %%\nx = (\n", "c002: line 1 is no Python"),
        ("\n# %%\nx = '" + "y" * 96 + "'\n", "c002: line 1 has 102 characters; at most 100"),
        ("\n# %%\n" + "x = 1\n" * 26, "c002: 26 lines; a cell has at most 25"),
    ],
)
def test_mistakes_in_the_source(tool, rules, folder, body, complaint):
    (found,) = source_complaints(tool, rules, folder, body)
    assert found.startswith(complaint)


@pytest.mark.parametrize(
    "body",
    [
        "\n# %%\ndef softmax(x):  # from scratch on purpose: to see it overflow\n    return x\n",
        "\n# %%\nclass Mine(mg.Op):\n    def dropout(self):\n        return 1\n",  # a method is no second dropout
        "\n# %% [markdown]\n# eps is `0.00001`, half of it $0.05$; a 3 by 4 matrix, GPT-2, step 1.5, [a](x-1.234)\n",
        "\n# %%\nx = 'https://example.org/home/page, ../data/x, and/or'\n",
    ],
)
def test_what_is_allowed(tool, rules, folder, body):
    assert source_complaints(tool, rules, folder, body) == []


def test_an_exception_needs_a_reason(tool, rules, folder):
    body = "\n# %%\ndef softmax(x):  # from scratch on purpose:\n    return x\n"
    assert len(source_complaints(tool, rules, folder, body)) == 1


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("# # A small one", "# A small one", "c000: the first cell is Markdown and begins with the title"),
        ("**Aim**", "Aim:", "c000: the first cell needs a line `**Aim** …`"),
        ("**Prerequisites** none", "", "c000: the first cell needs a line `**Prerequisites** …`"),
        ("except ImportError", "except OSError", "c001: the first code cell begins with the guarded installation"),
        ("# 3. How?", "", "c002: `## In your own words` asks three questions"),
        ("## In your own words", "## Questions", "c002: at the end stands `## In your own words`"),
    ],
)
def test_frame_of_a_notebook(tool, rules, folder, old, new, complaint):
    write(folder, "")
    path = folder / "01_small.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    (found,) = rules.of_source(tool.read(path).cells)
    assert found.startswith(complaint)


def test_an_edition_in_another_language_has_the_same_code(tool, rules, folder):
    write(folder, "\n# %%\nx = 1\n")
    original = tool.read(folder / "01_small.py").cells
    for body, complaint in (
        ("\n# %% [markdown]\n# 中文\n\n# %%\nx = 1\n", []),
        ("\n# %%\nx = 2\n", ["c002: its code is not that of the original, c002"]),
        ("", ["c000: 1 code cells, the original has 2; the code is the same, only prose differs"]),
    ):
        write(folder, body, "01_small.zh.py")
        assert rules.same_code(tool.read(folder / "01_small.zh.py").cells, original) == complaint
    assert rules.language(folder / "01_small.zh.py") == "zh"


def test_of_a_view_its_picture_is_kept_and_of_other_html_everything(tool):
    import nbformat

    from minigpt.viz import PositionCosine

    view = PositionCosine(np.eye(3), title='a "b" & <c>')
    outputs = [
        nbformat.v4.new_output("display_data", {"text/html": html, "text/plain": "<object>"})
        for html in (view.to_html(), "<table></table>")
    ]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    tool.views_as_pictures(nb)
    first, second = nb.cells[0].outputs
    assert 'a "b" & <c>' in first.data["text/plain"]
    assert first.metadata["image/png"]["alt"] == first.data["text/plain"] == view.alt()
    assert "text/html" not in first.data
    assert set(second.data) == {"text/html", "text/plain"}


def test_the_order_in_which_an_output_is_stored_does_not_count(tool, rules):
    """A file has the kinds of an output in alphabetical order, a kernel sends text/plain first."""
    import nbformat

    both = {"text/plain": "Chat(1 turn)", "text/html": "<table></table>"}
    output = nbformat.v4.new_output("execute_result", both, execution_count=1)
    stored = nbformat.v4.new_output("execute_result", dict(reversed(both.items())), execution_count=1)
    assert (
        rules.texts(output) == rules.texts(stored) == [("text/html", "<table></table>"), ("text/plain", "Chat(1 turn)")]
    )
    assert rules.texts(nbformat.v4.new_output("execute_result", {"text/plain": "other"})) != rules.texts(output)


def test_names_of_the_library(rules):
    names = rules.public_names()
    assert {"Tensor", "softmax", "GPT", "AttentionGrid", "Adam", "backward_steps", "BPETokenizer"} <= set(names)
    assert not {"np", "annotations", "Path"} & set(names)


# ---- pictures and the table


def test_pictures_of_the_contents_are_small(tool, folder):
    """Even of noise, which no PNG makes smaller."""
    from PIL import Image

    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, format="png")
    small = importlib.import_module("_contents").small(buffer.getvalue())
    assert Image.open(io.BytesIO(small)).size == (360, 270)
    assert len(small) < len(buffer.getvalue()) / 5


def test_the_table_is_checked(tool, folder):
    contents = importlib.import_module("_contents")
    write(folder, "")
    path = folder / "01_small.py"
    notebooks = {path: tool.read(path).cells}
    (stale,) = contents.update(folder, notebooks, writing=False)
    assert "its contents are not those of the notebooks" in stale
    assert contents.update(folder, notebooks, writing=True) == []
    assert contents.update(folder, notebooks, writing=False) == []
    (folder / "README.md").write_text("nothing\n", encoding="utf-8")
    (missing,) = contents.update(folder, notebooks, writing=True)
    assert "needs the lines" in missing
