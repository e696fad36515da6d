"""`minigpt eval --task`: models that answer always the same, asked for tasks and files; who can't be asked."""

import json
import re

import pytest

from minigpt.cli import main
from minigpt.data.file_task import FileTask
from minigpt.models import GPT, GPTConfig, MaskedLM
from minigpt.models.encoder import EncoderConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training.evaluation import wilson
from minigpt.training.finetune import FinetuneSettings

FAST = ["--n-layer", "1", "--n-head", "2", "--n-embd", "8", "--batch-size", "8", "--warmup", "1", "--lr", "0.02",
        "--test-examples", "20", "--no-progress", "--backend", "numpy"]  # fmt: skip
REPLIES = {"a": "b" * 9 + "c", "b": "c" * 9 + "b"}  # of ten records; what most of them say is what a model learns


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """a, b: models that answer any question alike; words: a head for tags; plain, encoder: never tuned."""
    place = tmp_path_factory.mktemp("eval_tasks")
    for name, replies in REPLIES.items():
        lines = [f"{i} {i * 7}\t{replies[i % 10]}" for i in range(200)]
        (place / f"{name}.tsv").write_text("\n".join(["prompt\treply", *lines]), encoding="utf-8")
        words = ["--data", str(place / f"{name}.tsv"), "--out", str(place / name), "--steps", "40"]
        assert main(["finetune", *words, *FAST]) == 0
    words = ["--task", "tagging", "--method", "head", "--out", str(place / "words"), "--examples", "40", "--steps", "1"]
    assert main(["finetune", *words, *FAST]) == 0
    tok = CharTokenizer("abc ")
    models = {
        "plain": GPT(GPTConfig(tok.vocab_size, 8, 1, 2, 8), seed=0),
        "encoder": MaskedLM(EncoderConfig(tok.vocab_size, 8, 1, 2, 8), seed=0),
    }
    for name, model in models.items():
        model.tokenizer = tok
        model.save_pretrained(place / name)
    return place


def shares(name):
    """(right for a model that says "b", right for one that says "c", n) of a file's test part."""
    replies = [e.reply for e in FileTask(name).examples("test", None, None)]
    return replies.count("b"), replies.count("c"), len(replies)


def test_a_file(run_eval, tmp_path):
    out, err = run_eval("--model", "a", "--task", "a.tsv", "--json", tmp_path / "new" / "t.json")
    right, _, n = shares("a.tsv")
    assert 0 < right < n < 60
    low, high = wilson(right, n)
    assert f"({right} of {n} questions)" in out
    assert f"{low:.1%} … {high:.1%}" in out
    assert re.search(r"wrong  a.tsv: '\d+ \d+' -> 'c', not 'b'", out)
    assert "bag of words" not in out
    assert "note" not in err
    report = json.loads((tmp_path / "new" / "t.json").read_text(encoding="utf-8"))
    (found,) = report["models"]["a"]
    assert (found["right"], found["n"], found["interval"]) == (right, n, [low, high])
    assert [w["right"] for w in found["wrong"]] == ["c"] * (n - right)
    assert (report["part"], report["seed"]) == ("test", 0)


def test_comparison(run_eval, tmp_path):
    out = run_eval("--model", "a", "--task", "a.tsv", "--compare", "b", "--json", tmp_path / "c.json").out
    report = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    first, second, n = shares("a.tsv")
    assert [report["models"][name][0]["right"] for name in "ab"] == [first, second]
    (difference,) = report["comparison"]
    assert difference["right"] == {"both": 0, "first": first, "second": second, "neither": 0}
    assert difference["second_minus_first"] == pytest.approx((second - first) / n)
    assert "first: a; second: b" in out
    assert "the first is better" in out
    assert "note: b was tuned on b.tsv, not on a.tsv" in run_eval("--model", "b", "--task", "a.tsv").err
    again = run_eval("--model", "a", "--task", "a.tsv", "--compare", "a").out
    assert "no difference shown" in again
    assert "a (again)" in again


def test_words_and_parts(run_eval, tmp_path):
    for part in ("test", "train"):
        out = run_eval("--model", "words", "--task", "tagging", "--test-examples", 9, "--part", part).out
        assert f"words on the {part} part" in out
        assert re.search(r"\(\d+ of \d+ words\)", out)


def test_the_questions_are_those_of_finetuning(run_eval, capsys, monkeypatch):
    """The same figures after training and in a later measurement, and a line for each of several tasks."""
    monkeypatch.setattr(FinetuneSettings, "examples", 40)  # what the bag of words learns from
    words = ["--mix", "copy,sentiment", "--out", "two", "--steps", "1", "--examples", "40", "--seed", "5"]
    assert main(["finetune", *words, *FAST]) == 0
    told = capsys.readouterr().out
    out = run_eval("--model", "two", "--task", "copy", "sentiment", "--test-examples", 20, "--seed", 5).out
    told_wrong = re.findall(r"wrong  (.*)", told)
    assert len(told_wrong) == 6
    assert re.findall(r"wrong  (?:copy|sentiment): (.*)", out) == told_wrong
    assert "bag of words" in out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--model", "plain", "--task", "copy"], "never tuned for dialogue.*finetune --task copy --from plain"),
        (["--model", "a", "--compare", "plain", "--task", "a.tsv"], "plain was never tuned.*finetune --data a.tsv"),
        (["--model", "encoder", "--task", "copy"], "encoder holds a MaskedLM"),
        (["--model", "words", "--task", "copy"], "copy has none"),
        (["--model", "words", "--task", "sentiment"], "trained on another task than sentiment"),
        (["--model", "words", "--data", "a.tsv"], "has a head for classes.*--task NAME"),
        (["--model", "a", "--task", "cooking"], "no task 'cooking'; there are arithmetic.*files of your own"),
        (["--model", "a", "--task", "missing.tsv"], "missing.tsv"),
        (["--model", "a", "--task", "summary"], "summary has questions of .* tokens, this model reads"),
        (["--model", "nowhere", "--task", "copy"], "no checkpoint folder at nowhere"),
        (["--model", "a", "--task", "copy", "--part", "all"], "--part of a task is one of test, val, train"),
        (["--model", "a", "--data", "a.tsv", "--part", "test"], "--part of a text is one of val, train, all"),
        (["--model", "a", "--task", "copy", "--tokens", "5"], "leave --data, --tokens"),
        (["--model", "a", "--task", "copy", "--memorisation", "python"], "--task out"),
    ],
)
def test_refused(run_eval, words, hint):
    out, err = run_eval(*words, code=2)
    assert out == ""
    assert re.search(hint, err.splitlines()[-1]), err
