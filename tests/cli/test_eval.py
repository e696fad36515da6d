"""`minigpt eval`: the numbers of the library, printed and written; comparison; memorisation; what is refused."""

import json
import math
import re

import numpy as np
import pytest

from minigpt.cli import main
from minigpt.models import GPT
from minigpt.tokenizers import CharTokenizer
from minigpt.training import evaluate
from minigpt.training.checkpoint import saved_data
from minigpt.training.evaluation import evaluate_text

TEXT = "".join(f"{k} and {k * k} are numbers.\n" for k in range(150))
OTHER = "!" + TEXT.upper()  # its digits have other ids
MODEL = ["--block-size", "8", "--n-layer", "1", "--n-head", "2", "--n-embd", "8", "--batch-size", "4", "--warmup", "1"]
QUIET = ["--no-progress", "--backend", "numpy", "--workers", "1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """text.txt, two checkpoints of it (a: 2 steps, b: 60), one of another text (c), and weights without data."""
    place = tmp_path_factory.mktemp("eval")
    (place / "text.txt").write_text(TEXT, encoding="utf-8")
    (place / "other.txt").write_text(OTHER, encoding="utf-8")
    for name, text, steps in (("a", "text.txt", 2), ("b", "text.txt", 60), ("c", "other.txt", 1)):
        command = ["train", "--data", str(place / text), "--out", str(place / name), *MODEL, "--steps", str(steps)]
        assert main([*command, "--lr", "0.01", *QUIET]) == 0
    GPT.from_pretrained(place / "b").save_pretrained(place / "weights")
    return place


def test_the_saved_validation_part(run_eval, place, tmp_path):
    out, err = run_eval("--model", "b", "--json", tmp_path / "new" / "e.json")
    report = json.loads((tmp_path / "new" / "e.json").read_text(encoding="utf-8"))
    model, data = GPT.from_pretrained(place / "b"), saved_data(place / "b")
    e = report["models"]["b"]
    nats = evaluate(model, data.with_block_size(8))
    assert e["measures"]["nats per token"]["value"] == pytest.approx(nats, rel=1e-6)
    assert e["measures"]["perplexity"]["value"] == pytest.approx(math.exp(nats), rel=1e-6)
    assert e["measures"]["bits per byte"]["value"] == pytest.approx(nats / math.log(2), rel=1e-6)  # ASCII
    assert e["tokens"] == len(data.val_ids) - 1 == e["bytes"]
    assert "b on the validation part saved in b" in out
    assert f"{nats:.4f}" in out
    assert err == "running on the 'numpy' row\n"  # no bar for what is done at once


def test_a_text_gives_the_same_as_the_saved_part_of_it(run_eval):
    saved, given = run_eval("--model", "b").out, run_eval("--model", "b", "--data", "text.txt").out
    assert saved.splitlines()[1:] == given.splitlines()[1:]
    assert "the last 10% of 'text'" in given
    assert "note" not in saved + given


def test_a_text_that_was_trained_on_is_named(run_eval):
    assert "trained on this text" in run_eval("--model", "b", "--data", "text.txt", "--val-fraction", "0.9").out


def test_tokens_bins_parts_and_seed(run_eval, tmp_path):
    def report(*words):
        run_eval("--model", "b", "--json", tmp_path / "x.json", *words)
        return json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["models"]["b"]

    assert report("--tokens", 50)["tokens"] == 50
    assert report("--bins", 3, "--binning", "equal-width")["calibration"]["edges"] == pytest.approx(
        [0, 1 / 3, 2 / 3, 1]
    )
    assert report("--part", "all")["tokens"] == len(TEXT) - 1
    assert report("--seed", 1)["measures"] != report("--seed", 2)["measures"]
    assert report("--seed", 1) == report("--seed", 1)


@pytest.mark.parametrize("suffix", ["html", "png"])
def test_reliability_diagram(run_eval, tmp_path, suffix):
    path = tmp_path / f"calibration.{suffix}"
    out = run_eval("--model", "a", "--compare", "b", "--calibration", path).out
    assert f"reliability diagram: {path}" in out
    content = path.read_bytes()
    assert len(content) > 5000
    if suffix == "html":
        assert b"calibration error" in content


def test_comparison(run_eval, place, tmp_path):
    out = run_eval("--model", "a", "--compare", "b", "--json", tmp_path / "c.json").out
    report = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    values = [e["measures"]["nats per token"]["value"] for e in report["models"].values()]
    difference = report["comparison"]["second_minus_first"]["nats per token"]
    assert difference["value"] == pytest.approx(values[1] - values[0])
    assert difference["interval"][1] < 0
    assert "first: a; second: b" in out
    assert out.count("the second is better") >= 2


def test_a_model_and_itself(run_eval):
    out = run_eval("--model", "b", "--compare", "b").out
    assert out.count("no difference shown") == 4
    assert "second: b (again)" in out


def test_comparison_of_different_tokenizers(run_eval, place, tmp_path):
    """The model of another alphabet, given a text that both can write: bits per byte alone."""
    digits = " 12.\n345 6789 0" * 30
    (tmp_path / "digits.txt").write_text(digits, encoding="utf-8")
    words = ["--data", tmp_path / "digits.txt", "--part", "all", "--json", tmp_path / "d.json"]
    out = run_eval("--model", "a", "--compare", "c", *words).out
    comparison = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))["comparison"]
    assert comparison["same_tokens"] is False
    assert list(comparison["second_minus_first"]) == ["bits per byte"]
    assert "only bits per byte can be compared" in out
    bits = []
    for name, text in (("a", TEXT), ("c", OTHER)):
        tok, model = CharTokenizer.train(text), GPT.from_pretrained(place / name)
        bits.append(evaluate_text(model, tok, np.array(tok.encode(digits))).measures["bits per byte"].value)
    assert comparison["second_minus_first"]["bits per byte"]["value"] == pytest.approx(bits[1] - bits[0])


def test_memorisation(run_eval, tmp_path):
    words = ["--windows", 20, "--samples", 3, "--prompt-tokens", 4, "--json", tmp_path / "m.json"]
    out = run_eval("--model", "b", "--memorisation", "text.txt", *words).out
    report = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert report["prompted"]["windows"] == report["unseen_prompted"]["windows"] == 20
    assert report["prompt_tokens"] == 4
    assert report["window_tokens"] == 50
    assert report["free"]["windows"] == 3 * (report["sample_tokens"] - 49)
    assert "the first 90% of 'text'" in out
    assert "prompted with 4 tokens, greedy" in out
    assert "note" not in out
    whole = run_eval("--model", "b", "--memorisation", "other.txt", "--part", "all", *words, code=2)
    assert "error: " in whole.err  # capital letters have no ids


def test_memorisation_of_what_was_never_read(run_eval, tmp_path):
    (tmp_path / "new.txt").write_text("a mad red bear ran under a bus. " * 20, encoding="utf-8")
    words = ["--windows", 2, "--samples", 1, "--part", "all"]
    out = run_eval("--model", "b", "--memorisation", tmp_path / "new.txt", *words).out
    assert "was not trained on this text: only 0 of 20" in out
    assert "never trained on" not in out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--model", "weights"], "holds no text.*--data"),
        (["--model", "nowhere"], "no checkpoint folder"),
        (["--model", "b", "--data", "nowhere.txt"], "no corpus and no file"),
        (["--model", "b", "--data", "other.txt"], "unknown character '!'"),
        (["--model", "b", "--compare", "c"], "different texts for validation.*--data PATH --part all"),
        (["--model", "b", "--compare", "weights"], "weights holds no text"),
        (["--model", "b", "--calibration", "x.gif"], "format by the suffix"),
        (["--model", "b", "--calibration", "nowhere/x.png"], "does not exist"),
        (["--model", "b", "--json", "a"], "is a folder"),
        (["--model", "b", "--memorisation", "text.txt", "--compare", "a"], "leave --data, --compare"),
        (["--model", "b", "--memorisation", "text.txt", "--prompt-tokens", "5000"], "5000 and 50 more need 5050"),
    ],
)
def test_refused(run_eval, place, words, hint):
    before = {str(p): p.stat().st_mtime_ns for p in place.rglob("*")}
    out, err = run_eval(*words, code=2)
    assert out == ""
    *earlier, line = err.splitlines()
    assert line.startswith("error: ")
    assert re.search(hint, line), line
    assert not [other for other in earlier if not other.startswith("running on")]
    assert {str(p): p.stat().st_mtime_ns for p in place.rglob("*")} == before
