"""What int8 costs: the figures are those of evaluating both models on the held-out tenth."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.bench import int8
from minigpt.cli import main
from minigpt.data import tokenize_and_split
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import evaluate

TEXT = "the cat sat on the mat and saw a bat.\n" * 20


@pytest.fixture
def folder(tmp_path):
    tokenizer = CharTokenizer.train(TEXT)
    model = GPT(GPTConfig(tokenizer.vocab_size, 8, n_layer=1, n_head=2, n_embd=16), seed=1)
    model.wte.weight.data *= 20  # untrained, but not indifferent
    model.tokenizer = tokenizer
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_both_losses_are_those_of_the_held_out_part(folder):
    model = GPT.from_pretrained(folder / "model")
    with mg.use("cpu"):
        result = int8.measure(model, TEXT)
        data = tokenize_and_split(TEXT, model.tokenizer, 8)
        wanted = [evaluate(m, data) for m in (model, model.quantize())]
    assert result["tokens"] == len(TEXT) // 10 - 1
    assert result["loss"] == pytest.approx(wanted, rel=1e-5)
    assert 0 < abs(result["loss"][1] - result["loss"][0]) < 0.05
    assert result["bytes"][1] < 0.6 * result["bytes"][0]
    assert int8.measure(model, TEXT, max_tokens=20)["tokens"] == 20


def test_the_report():
    text = int8.report({"tokens": 1234, "loss": [np.log(10), np.log(10.05)], "bytes": [4_000_000, 1_100_000]})
    assert "1,234 tokens" in text
    assert "   10.0000 " in text
    assert text.endswith("changes perplexity by +0.500%, with 28% of the bytes")


def test_on_the_command_line(folder, capsys):
    arguments = ["--model", str(folder / "model"), "--data", str(folder / "text.txt"), "--max-tokens", "30"]
    assert main(["bench", "int8", *arguments, "--backend", "cpu"]) == 0
    assert "held-out text, 30 tokens" in capsys.readouterr().out


def test_generate_with_int8_weights(folder, capsys):
    arguments = ["--model", str(folder / "model"), "--prompt", "the ", "--max-new-tokens", "4", "--temperature", "0"]
    for more in ([], ["--int8"]):
        assert main(["generate", *arguments, *more]) == 0
    outputs = capsys.readouterr().out.splitlines()
    assert all(line.startswith("the ") for line in outputs)


def test_the_flag_makes_the_model_small(folder, monkeypatch):
    used = []
    quantize = GPT.quantize
    monkeypatch.setattr(GPT, "quantize", lambda self: used.append(quantize(self)) or used[-1])
    main(["generate", "--model", str(folder / "model"), "--prompt", "the ", "--max-new-tokens", "1"])
    assert not used
    main(["generate", "--model", str(folder / "model"), "--prompt", "the ", "--max-new-tokens", "1", "--int8"])
    assert len(used) == 1
