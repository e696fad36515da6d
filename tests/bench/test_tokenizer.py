"""The tokenizer benchmark: what it holds out, what it compares, and that it refuses to time a wrong result."""

import importlib.util
import os

import pytest

from minigpt.bench import tokenizer as bench
from minigpt.cli import main
from minigpt.errors import BackendError, DataError

TEXT = "the cat sat on the mat, the cat's hat\n" * 20


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(bench, "standard_library", lambda size: (TEXT, TEXT[:200] + "you 好\n"))
    monkeypatch.setattr(bench, "SMALL_MERGES", 10)


class Twin:
    """Stands in for the peer: ours, once more."""

    ids_differ = 0
    merges_differ = 0

    def trainer(self, vocab_size):
        assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
        return lambda text: len(bench.BPETokenizer.train(text, vocab_size).merges) + self.merges_differ

    def encoder(self, folder):
        return lambda text: bench.BPETokenizer.load(folder).encode(text) + [0] * self.ids_differ


def test_held_out_files_are_not_learned_from(tmp_path, monkeypatch):
    monkeypatch.setattr(bench.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    (tmp_path / "package" / "site-packages").mkdir(parents=True)
    for n in range(20):
        (tmp_path / "package" / f"m{n}.py").write_text(f"n = {n:02}\n", encoding="utf-8")
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n")
    (tmp_path / "package" / "site-packages" / "other.py").write_text("other\n", encoding="utf-8")
    learn, held = bench.standard_library(20)
    assert len(held.splitlines()) == 3  # of 7 bytes each
    assert sorted(learn.splitlines() + held.splitlines()) == [f"n = {n:02}" for n in range(20)]
    assert bench.standard_library(20) == (learn, held)
    with pytest.raises(DataError, match="holds less than 1,000 bytes"):
        bench.standard_library(1000)


def test_the_library_is_there():
    learn, held = bench.standard_library()
    assert 1_000_000 <= len(held.encode("utf-8")) < 3_000_000
    assert len(learn) > len(held)


def test_on_the_command_line_without_the_peer(small, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["bench", "tokenizer", "--vocab-size", "270", "--rounds", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "One thread; 1 rounds in turn, medians; encoding with 270 ids."
    assert [line.split("  ")[0] for line in out[2:7]] == [
        "train, 10 merges", "train, 270 ids", "encode, first call in a process", "encode, cold", "encode, warm",
    ]  # fmt: skip
    assert out[-1].endswith("is not installed here: pip install tokenizers")


def test_both_sides_take_turns(small, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(bench, "_Peer", Twin)
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    results, vocab_size = bench.run_benchmark(270, rounds=2)
    assert os.environ.get("TOKENIZERS_PARALLELISM") == before
    assert vocab_size == 270
    assert [(len(timed.ours), len(timed.theirs)) for timed in results] == [(2, 2), (1, 1), (2, 0), (2, 2), (2, 2)]
    assert all(len(timed.ratios) == len(timed.theirs) for timed in results)
    assert "not installed" not in bench.report(results, vocab_size)


@pytest.mark.parametrize(
    ("wrong", "message"), [("merges_differ", "we learned 10 merges, they 11"), ("ids_differ", "ids")]
)
def test_sides_that_differ_are_not_timed(small, monkeypatch, wrong, message):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(bench, "_Peer", type("Wrong", (Twin,), {wrong: 1}))
    with pytest.raises(BackendError, match=message):
        bench.run_benchmark(270, rounds=1)
    assert "TOKENIZERS_PARALLELISM" not in os.environ


def test_report_shows_medians_and_ratios():
    timed = bench.Timed("encode, cold", 2_000_000, [1.0, 2.0, 4.0], [2.0, 2.0, 2.0])
    line = bench.report([timed], 300).splitlines()[2]
    assert line.split() == ["encode,", "cold", "2.00", "2.000", "1.00", "2.000", "1.00", "(0.50", "to", "2.00)"]
