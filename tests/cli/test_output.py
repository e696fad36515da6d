"""Output into a pipe that nobody reads any more, as in `minigpt … | head -1`: no traceback, no complaint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigpt
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer

ROOT = Path(minigpt.__file__).parents[1]


@pytest.fixture
def model(tmp_path):
    gpt = GPT(GPTConfig(vocab_size=4, block_size=4, n_layer=1, n_head=1, n_embd=4), seed=0)
    gpt.tokenizer = CharTokenizer("abc\n")
    gpt.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows reports a closed pipe in another way")
@pytest.mark.parametrize("amount", ["little", "much"])
def test_a_closed_pipe(model, amount):
    """Little output is written only when Python ends, much (past the buffer) while the command still runs."""
    command = {
        "little": ["data", "list"],
        "much": [
            "generate",
            "--model",
            str(model),
            "--prompt",
            "a",
            "--n",
            "3000",
            "--max-new-tokens",
            "2",
            "--backend",
            "numpy",
        ],
    }[amount]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "minigpt", *command], stdout=write_end, stderr=subprocess.PIPE, text=True,
        env={**buffered, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(read_end)  # long before anything is printed
    os.close(write_end)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "BrokenPipeError" not in err
    assert "error" not in err
    assert process.returncode in (0, 141)
