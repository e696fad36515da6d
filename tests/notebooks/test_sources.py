"""The notebooks of the course, without running them (`make check-notebooks` does): rules, built files, contents."""

import importlib
import re
from pathlib import Path

import pytest

pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupytext")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))


@pytest.fixture
def build(monkeypatch):
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    return importlib.import_module("build")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source_and_built_file_keep_the_rules(build, path):
    rules = importlib.import_module("_rules")
    notebook = build.read(path)
    assert rules.of_source(notebook.cells, rules.language(path)) == []
    built = nbformat.read(notebook.built, as_version=4)
    assert rules.same_cells(notebook.cells, built) == []
    assert rules.of_outputs(built, notebook.built.stat().st_size) == []
    assert any("picture" in cell.metadata.get("tags", ()) for cell in notebook.cells.cells), "one for the contents"


def test_contents(build):
    contents = importlib.import_module("_contents")
    assert contents.update(NOTEBOOKS, {path: build.read(path).cells for path in SOURCES}, writing=False) == []


def test_every_built_notebook_has_a_source():
    built = {path.name.removesuffix(".ipynb") for path in NOTEBOOKS.glob("*.ipynb")}
    assert built == {path.name.removesuffix(".py") for path in SOURCES}


def test_numbers_are_not_given_twice():
    stems = [path.stem for path in SOURCES if not path.stem.endswith(".zh")]
    assert len({stem[:2] for stem in stems}) == len(stems)


def test_files_that_the_prose_names_exist():
    """`minigpt/…`, `kernels/…` in code marks; pictures and documents in links and other notebooks in links."""
    root, missing = NOTEBOOKS.parent, []
    for path in [*SOURCES, NOTEBOOKS / "README.md"]:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"`((?:minigpt|kernels|tests|docs)/[\w./]+)`", text)
        linked = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if ":" not in link]
        missing += [f"{path.name}: {name}" for name in named if not (root / name).exists()]
        missing += [f"{path.name}: {link}" for link in linked if not (NOTEBOOKS / link).exists()]
    assert missing == []
