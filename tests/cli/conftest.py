"""Shared by the tests of the command line."""

import pytest

from minigpt.cli import main


@pytest.fixture
def text(tmp_path):
    """The path of a small text to train on."""
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat.\n" * 30, encoding="utf-8")
    return str(path)


@pytest.fixture
def run_eval(place, capsys, monkeypatch):
    """A function (words of `minigpt eval`, exit code wanted) -> what it printed, run in the folder `place`.

    place: a fixture of the module that asks, the folder in which its checkpoints lie
    """
    monkeypatch.chdir(place)

    def run(*words, code=0):
        capsys.readouterr()
        assert main(["eval", *map(str, words), "--backend", "numpy"]) == code
        return capsys.readouterr()

    return run
