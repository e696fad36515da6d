"""The loading benchmark: real processes on a tiny model, and the line that it prints."""

import pytest

from minigpt.bench import load
from minigpt.cli import main
from minigpt.errors import BackendError
from minigpt.models import GPT, GPTConfig


@pytest.fixture
def small(monkeypatch):
    """A tiny model in place of gpt2."""
    config = GPTConfig(50, 16, 2, 2, 32)
    monkeypatch.setattr(GPTConfig, "named", classmethod(lambda cls, name: config))
    return config


def test_on_the_command_line(small, capsys):
    assert main(["bench", "load", "--runs", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{small.n_parameters():,} parameters, 0.1 MB of files: loaded in ")
    assert "(median of 2); peak memory " in out


def test_shards_are_measured_whole(small):
    (whole,) = load.load_runs(runs=1)
    (cut,) = load.load_runs(runs=1, shard_bytes=20_000)
    assert whole["parameters"] == cut["parameters"] == small.n_parameters()
    assert 4 * small.n_parameters() < whole["file"] < cut["file"]  # several headers are longer than one
    assert 0 < cut["before"] <= cut["peak"]
    assert cut["seconds"] > 0


def test_the_line():
    runs = [
        {"file": 100e6, "parameters": 25_000_000, "before": 50e6, "peak": 150e6 + extra, "seconds": seconds}
        for extra, seconds in ((2e6, 1.0), (0, 3.0), (5e6, 2.0))
    ]
    assert load.report(runs) == (
        "25,000,000 parameters, 100.0 MB of files: loaded in 2.00 s (median of 3); peak memory 1.020 of the files "
        "(worst 1.050) above the 50 MB of Python, NumPy and minigpt"
    )


def test_a_process_that_fails_gives_no_figure(tmp_path):
    GPT(GPTConfig(5, 4, 1, 1, 4)).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BackendError, match=r"ended with code 1: .*CheckpointError"):
        load.one_load(str(tmp_path))
