"""`minigpt data`: the corpora by name, and what a text looks like."""

import hashlib

import pytest

from minigpt.cli import main
from minigpt.data import fetch


def test_list_names_every_corpus_and_how_to_get_it(capsys):
    assert main(["data", "list"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("python ")
    assert out.splitlines()[1].startswith("chinese ")
    for name, entry in fetch.DOWNLOADS.items():
        assert f"{name} " in out
        assert f"{entry.size_bytes:,} bytes" in out
        assert f"minigpt data fetch {name}" in out


def test_show_counts_characters_and_bytes(tmp_path, capsys):
    path = tmp_path / "poem.txt"
    path.write_text("süß λ\n" * 200, encoding="utf-8")
    assert main(["data", "show", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "poem: 1,200 characters, 6 distinct, 1,800 bytes" in out
    assert str(path) in out
    assert out.endswith("---\n" + ("süß λ\n" * 200)[:500] + "\n")
    assert err == ""


def test_show_the_prose_of_python(capsys):
    pytest.importorskip("pydoc_data.topics")
    assert main(["data", "show", "python"]) == 0
    assert "PSF-2.0" in capsys.readouterr().out


def test_fetch_prints_where_the_file_lies_and_show_finds_it(tmp_path, capsys, monkeypatch):
    """A file that is already whole is not fetched again, so this needs no network."""
    content = b"To be, or not to be.\n" * 10
    entry = fetch.Download("tiny", "https://example.org/t", len(content), hashlib.sha256(content).hexdigest(), "t.txt",
                           "public domain")  # fmt: skip
    monkeypatch.setitem(fetch.DOWNLOADS, "tiny", entry)
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    assert main(["data", "show", "tiny"]) == 2
    assert "minigpt data fetch tiny" in capsys.readouterr().err
    (tmp_path / "t.txt").write_bytes(content)
    assert main(["data", "fetch", "tiny"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 't.txt'}\n"
    assert main(["data", "show", "tiny"]) == 0
    assert "tiny: 210 characters" in capsys.readouterr().out
