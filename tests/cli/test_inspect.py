"""minigpt inspect: a page for a folder of any family; what is wrong is said in one line, and nothing is written."""

import io
import os

import pytest
from tiny_models import make

from minigpt.cli import main
from minigpt.cli.inspect import layer_numbers


@pytest.fixture
def folder(tmp_path):
    make("gpt").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs `minigpt inspect`, which must refuse, and returns the one line of its error."""

    def run(*words):
        before = sorted(str(path) for path in tmp_path.rglob("*"))
        assert main(["inspect", *map(str, words), "--backend", "numpy"]) == 2
        out, err = capsys.readouterr()
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in err
        assert out == ""
        assert sorted(str(path) for path in tmp_path.rglob("*")) == before, "something was written"
        return line

    return run


def test_a_page_is_written_and_said(folder, tmp_path, capsys):
    out = tmp_path / "page.html"
    words = ["--views", "surprise", "attention-grid", "--layers", "1", "--max-tokens", "4", "--backend", "numpy"]
    assert main(["inspect", "--model", str(folder), "--prompt", "the cat", "--out", str(out), *words]) == 0
    said, progress = capsys.readouterr()
    assert said == f"{out}: 2 views, {out.stat().st_size / 1e6:.1f} MB; open it in a browser\n"
    assert progress.splitlines()[1:4] == ["  surprise", "  attention-grid", "  drawing"]
    assert "note: the prompt is read in part: 4 tokens, the first of 7; more with --max-tokens" in progress
    text = out.read_text(encoding="utf-8")
    assert 'id="surprise"' in text
    assert '"layers":[1]' in text
    assert f"Inside {folder}" in text


@pytest.mark.parametrize("family", ["encoder-decoder", "masked", "classifier", "gpt-classifier", "lstm", "seq2seq"])
def test_folders_of_every_family(family, tmp_path, capsys, monkeypatch):
    """The prompt comes from stdin; an encoder–decoder is asked about a target."""
    make(family).save_pretrained(tmp_path / "model")
    view = {"encoder-decoder": "cross-attention", "masked": "blanks", "lstm": "states", "seq2seq": "cross-attention"}
    words = ["--views", view.get(family, "classes")]
    words += ["--target", "on"] if family in ("encoder-decoder", "seq2seq") else []
    monkeypatch.setattr("sys.stdin", io.StringIO("the c_t\n".replace("_", "___" if family == "masked" else "a")))
    out = tmp_path / "page.html"
    command = ["inspect", "--model", str(tmp_path / "model"), "--prompt", "-", "--out", str(out), *words]
    assert main([*command, "--backend", "numpy"]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 1 views")
    assert out.stat().st_size > 10_000


def test_what_has_no_numbers_is_noted(folder, tmp_path, capsys):
    out = tmp_path / "page.html"
    words = ["--prompt", "t", "--views", "surprise", "positions", "--out", str(out), "--backend", "numpy"]
    assert main(["inspect", "--model", str(folder), *words]) == 0
    assert "note: no surprise: the prompt is a single token" in capsys.readouterr().err
    assert "Left out:" in out.read_text(encoding="utf-8")


def test_bad_input(folder, tmp_path, refused):
    out = ["--out", tmp_path / "x.html"]
    assert "no checkpoint folder at" in refused("--model", tmp_path / "none", "--prompt", "the", *out)
    assert "the prompt is empty" in refused("--model", folder, "--prompt", "", *out)
    long = refused("--model", folder, "--prompt", "the cat " * 4, *out)
    assert "32 tokens, but this model reads at most block_size = 24 at once" in long
    assert "--max-tokens 24" in long
    assert "nearest: attention-grid" in refused("--model", folder, "--prompt", "the", "--views", "attention", *out)
    assert "layers 0 to 1" in refused("--model", folder, "--prompt", "the", "--layers", "1-2", *out)
    assert "a target belongs" in refused("--model", folder, "--prompt", "the", "--target", "x", *out)
    assert "does not exist" in refused("--model", folder, "--prompt", "the", "--out", tmp_path / "no" / "x.html")
    assert "is a folder" in refused("--model", folder, "--prompt", "the", "--out", make_folder(tmp_path / "d.html"))
    assert "a report is a page" in refused("--model", folder, "--prompt", "the", "--out", tmp_path / "x.png")
    (folder / "char_tokenizer.json").unlink()
    line = refused("--model", folder, "--prompt", "the", *out)
    assert f"{folder} has no tokenizer, so the prompt cannot be read" in line


def make_folder(path):
    path.mkdir()
    return path


def test_a_place_without_permission_is_refused_before_any_work(folder, tmp_path, refused, monkeypatch):
    """The superuser may write everywhere, so the answer of the system is put in its mouth."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "no permission to write into" in refused("--model", folder, "--prompt", "the", "--out", tmp_path / "x.html")


@pytest.mark.parametrize(("text", "numbers"), [("0", [0]), ("0,3-5", [0, 3, 4, 5]), ("2-2", [2])])
def test_layers(text, numbers):
    assert layer_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-2", "1,,2"])
def test_layers_that_are_none(text, capsys):
    with pytest.raises(SystemExit):
        main(["inspect", "--prompt", "x", "--layers", text])
    assert "--layers" in capsys.readouterr().err
