"""The package: lazy names, nothing heavy at import."""

import subprocess
import sys

import pytest

import minigpt.viz as viz


def test_names_are_listed_and_load():
    assert {"AttentionGrid", "LossCurve", "ReliabilityDiagram", "TokenScores", "View", "visible"} <= set(dir(viz))
    for name in viz.__all__:
        assert getattr(viz, name).__name__ == name


def test_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="AttentionGrid"):
        _ = viz.AttentionGird


def test_import_loads_no_matplotlib():
    """Neither the package nor the classes; Matplotlib comes with the first picture, and pyplot never."""
    code = (
        "import sys, minigpt.viz as viz; viz.AttentionGrid; viz.LossCurve\n"
        "print('matplotlib' in sys.modules)\n"
        "viz.AttentionGrid([[[[1.0]]]], ['a']).fig()\n"
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
