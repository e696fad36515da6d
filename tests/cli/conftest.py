"""Shared by the tests of the command line."""

import pytest

from minigpt.cli import main


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
