"""The benchmark of recurrent layers beside PyTorch, as far as it goes without PyTorch."""

from importlib.util import find_spec

import pytest

from minigpt.bench import recurrent
from minigpt.bench.kernels_peer import Compared
from minigpt.cli import main


def test_the_report_shows_the_median_ratio():
    text = recurrent.report([Compared("nn.LSTM", [1.0, 2.0, 4.0], [1.0, 3.0, 2.0])])
    assert "3 rounds in turn" in text
    assert "1.00 (0.50 to 1.50)" in text


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed here")
def test_without_pytorch_it_says_so(capsys):
    assert main(["bench", "recurrent", "--cell", "lstm"]) == 2
    assert "PyTorch is not installed" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.parametrize("kind", recurrent.KINDS)
def test_both_sides_agree_and_are_timed(kind):
    (result,) = recurrent.compare([kind], shape=(3, 5, 4, 6), rounds=2)
    assert len(result.ratios) == 2
