"""`minigpt demo` with few steps on a small text: everything that it writes, and figures that add up."""

import contextlib
import io
import json
import math
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest

from minigpt.cli import main
from minigpt.models import GPT
from minigpt.tensor import no_grad
from minigpt.training import Trainer, ngram_baselines

PROMPT = "The class statement "
# Not ASCII on purpose: there bits per byte and bits per character differ.
TEXT = "".join(f"The class statement nº{i} süß naïve λ—{i * i}.\n" for i in range(72))
CHECKPOINT = {"config.json", "model.safetensors", "char_tokenizer.json", "trainer.json", "trainer.safetensors",
              "data.safetensors"}  # fmt: skip
RESULTS = {"loss.png", "attention.png", "attention.html", "samples.txt", "report.json"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """(folder, stdout, stderr) of one run."""
    place = tmp_path_factory.mktemp("demo")
    (place / "text.txt").write_text(TEXT, encoding="utf-8")
    out, err = io.StringIO(), io.StringIO()
    words = ["--data", str(place / "text.txt"), "--out", str(place / "run"), "--steps", "3", "--backend", "numpy"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main(["demo", *words]) == 0
    return place / "run", out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def report(demo):
    return json.loads((demo[0] / "report.json").read_text(encoding="utf-8"))


def test_every_file_is_there_and_nothing_else(demo):
    folder = demo[0]
    assert {path.name for path in folder.iterdir()} == CHECKPOINT | RESULTS
    for name in ("loss.png", "attention.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    page = (folder / "attention.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")


def test_samples_continue_the_prompt(demo):
    samples = (demo[0] / "samples.txt").read_text(encoding="utf-8")
    for i in (1, 2, 3):
        assert f"--- sample {i}\n{PROMPT}" in samples
    assert len(samples) > 3 * 400
    assert samples.strip() in demo[1]
    texts = samples.split("--- sample ")[1:]
    assert len({text[2:] for text in texts}) == 3  # not three times the same


def test_report_beside_a_computation_by_hand(demo, report):
    """Total loss over the validation text in nats, divided by its characters, and by its bytes and ln 2."""
    model = GPT.from_pretrained(demo[0])
    T = model.config.block_size
    val_text = TEXT[int(len(TEXT) * (1 - 0.1)) :]
    ids = np.array(model.tokenizer.encode(val_text))
    losses = []
    with no_grad():
        for start in range(0, len(ids) - 1, T):
            window = ids[start : start + T + 1]
            logits = model(window[None, :-1])[0].numpy()[0].astype(np.float64)  # (T, V)
            log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            losses += list(-log_p[np.arange(len(window) - 1), window[1:]])
    assert len(losses) == len(val_text) - 1
    nats_per_char = np.mean(losses)
    assert report["nats_per_char"]["GPT"] == pytest.approx(nats_per_char, rel=1e-5)
    bits, n_bytes = nats_per_char * len(val_text) / math.log(2), len(val_text.encode("utf-8"))
    assert n_bytes > 1.1 * len(val_text)
    assert report["bits_per_byte"]["GPT"] == pytest.approx(bits / n_bytes, rel=1e-5)


def test_report_holds_the_baselines_in_both_units(report):
    cut = int(len(TEXT) * (1 - 0.1))
    vocabulary = {c: i for i, c in enumerate(sorted(set(TEXT)))}
    ids = np.array([vocabulary[c] for c in TEXT])
    expected = ngram_baselines(ids[:cut], ids[cut:], len(vocabulary))
    assert list(report["nats_per_char"]) == list(report["bits_per_byte"])
    for name, loss in expected.items():
        assert report["nats_per_char"][f"{name} (interpolated)"] == pytest.approx(loss, rel=1e-12)
    ratios = [report["bits_per_byte"][n] / report["nats_per_char"][n] for n in report["nats_per_char"]]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-12)
    gap = report["nats_per_char"]["trigram (interpolated)"] - report["nats_per_char"]["GPT"]
    assert report["nats_below_trigram"] == pytest.approx(gap, rel=1e-12)
    assert (report["steps"], report["row"], report["characters"]) == (3, "numpy", len(TEXT))
    assert report["validation_characters"] == len(TEXT) - cut


def test_what_it_prints(demo, report):
    _, out, err = demo
    for name, loss in report["nats_per_char"].items():
        assert any(name in line and f"{loss:.3f}" in line for line in out.splitlines()), name
    assert "\n  peak memory " in out
    assert f"{len(TEXT):,} characters" in err
    assert "3/3" in err
    assert "val=" in err
    assert "Traceback" not in err
    assert "note:" not in err  # no warning on the way: not of pictures, nor of numbers


def test_the_checkpoint_goes_on_and_generates(demo, capsys):
    folder = demo[0]
    assert Trainer.resume(folder).step_number == 3
    assert (
        main(["generate", "--model", str(folder), "--prompt", "naïve ", "--max-new-tokens", "5", "--backend", "numpy"])
        == 0
    )
    assert capsys.readouterr().out.startswith("naïve ")


def test_ctrl_c_saves_and_leaves_the_results_out(tmp_path, monkeypatch, capsys):
    class Interrupted(Trainer):
        def _order_step(self):
            signal.raise_signal(signal.SIGINT)
            super()._order_step()

    monkeypatch.setattr("minigpt.training.Trainer", Interrupted)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    out = tmp_path / "run"
    words = ["--data", str(tmp_path / "text.txt"), "--out", str(out), "--steps", "3", "--backend", "numpy"]
    assert main(["demo", *words]) == 130
    printed, noted = capsys.readouterr()
    assert printed == ""
    assert f"train --resume {out}" in noted
    assert {path.name for path in out.iterdir()} == CHECKPOINT
    assert Trainer.resume(out).step_number == 1


def test_the_next_command_that_it_names_works_as_printed(demo, capsys, monkeypatch):
    line = demo[1].splitlines()[-1]
    monkeypatch.chdir(Path(demo[0]).parent)
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "minigpt"]
    assert main([*words[3:], "--max-new-tokens", "3", "--backend", "numpy"]) == 0
    assert capsys.readouterr().out.startswith("The ")
