"""`minigpt train` as a user runs it: train, look, generate, go on; flags and the TOML file."""

import json
from pathlib import Path

import numpy as np
import pytest

from minigpt.cli import main
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import BPETokenizer, load_tokenizer
from minigpt.training import TrainConfig, Trainer

TEXT = "the cat sat on the mat.\n" * 30
TINY = ["--block-size", "8", "--n-layer", "1", "--n-head", "2", "--n-embd", "8", "--batch-size", "2", "--warmup", "1",
        "--no-progress", "--backend", "numpy"]  # fmt: skip


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


def train(*words):
    assert main(["train", *(str(word) for word in words)]) == 0


def settings_of(folder) -> tuple[dict, dict]:
    model, run = (json.loads((Path(folder) / n).read_text("utf-8")) for n in ("config.json", "trainer.json"))
    return model, run["config"]


def test_train_says_what_it_did_and_what_comes_next(tmp_path, text, capsys):
    out = tmp_path / "run"
    train("--data", text, "--out", out, *TINY, "--steps", 3)
    printed, noted = capsys.readouterr()
    loss = Trainer.resume(out).history["val_loss"][-1]
    assert f"3 steps, validation loss {loss:.4f} nats per token" in printed
    assert "\npeak memory " in printed
    assert f"python -m minigpt generate --model {out}" in printed
    assert f"{len(TEXT):,} characters, {len(set(TEXT))} distinct" in noted


def test_the_bar_is_on_stderr_and_can_be_switched_off(tmp_path, text, capsys):
    train("--data", text, "--out", tmp_path / "a", *TINY, "--steps", 3, "--progress")
    printed, noted = capsys.readouterr()
    assert "3/3" in noted
    assert "tok_s=" in noted
    assert "3/3" not in printed
    train("--data", text, "--out", tmp_path / "b", *TINY, "--steps", 3)
    assert "3/3" not in capsys.readouterr().err


def test_the_same_seed_gives_the_same_weights(tmp_path, text):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train("--data", text, "--out", tmp_path / name, *TINY, "--steps", 3, "--seed", seed)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_train_generate_resume(tmp_path, text, capsys):
    out = tmp_path / "run"
    train("--data", text, "--out", out, *TINY, "--steps", 3)
    capsys.readouterr()
    generate = [
        "generate",
        "--model",
        str(out),
        "--prompt",
        "the ",
        "--max-new-tokens",
        "4",
        "--seed",
        "3",
        "--backend",
        "numpy",
    ]
    assert main(generate) == 0
    first = capsys.readouterr().out
    assert first.startswith("the ")
    assert len(first) == len("the ") + 4 + 1

    before = Trainer.resume(out).model.state_dict()
    train("--resume", out)
    printed, noted = capsys.readouterr()
    assert "going on after step 3 of 3" in noted
    assert "done: 3 steps" in printed
    for name, array in Trainer.resume(out).model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert main(generate) == 0
    assert capsys.readouterr().out == first


def test_bpe_tokens(tmp_path, text, capsys):
    out = tmp_path / "run"
    train("--data", text, "--out", out, *TINY, "--steps", 3, "--tokenizer", "bpe", "--vocab-size", 265)
    tok = load_tokenizer(out)
    assert isinstance(tok, BPETokenizer)
    assert tok.vocab_size == settings_of(out)[0]["vocab_size"] == 265
    n_tokens = len(tok.encode(TEXT))
    noted = capsys.readouterr().err
    assert f"{len(TEXT):,} characters, vocabulary of 265, {len(TEXT) / n_tokens:.2f} characters per token;" in noted
    assert main(["generate", "--model", str(out), "--prompt", "好", "--max-new-tokens", "2", "--backend", "numpy"]) == 0
    assert capsys.readouterr().out.startswith("好")
    train("--resume", out)


def test_resume_says_that_other_flags_do_nothing(tmp_path, text, capsys):
    train("--data", text, "--out", tmp_path / "run", *TINY, "--steps", 2)
    capsys.readouterr()
    for flags in (["--steps", "9"], ["--data", text], ["--n-embd", "16"], ["--val-fraction", "0.2"],
                  ["--tokenizer", "bpe"], ["--vocab-size", "300"], []):  # fmt: skip
        train("--resume", tmp_path / "run", *flags)
        assert ("other flags are ignored" in capsys.readouterr().err) == bool(flags), flags


def test_resume_of_a_run_without_a_validation_part(tmp_path, capsys):
    """Saved from Python, where a validation part may be missing; the end of the run must not trip over that."""
    model = GPT(GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=4), seed=0)
    config = TrainConfig(steps=3, warmup=1, batch_size=2, backend="numpy", progress=False, out=str(tmp_path))
    trainer = Trainer(model, TokenData(np.arange(40) % 5), config)
    trainer.step()
    trainer.save()
    train("--resume", tmp_path)
    assert "3 steps" in capsys.readouterr().out
    assert Trainer.resume(tmp_path).step_number == 3


def test_resume_of_a_run_on_a_memory_map_tells_what_to_do(tmp_path, capsys):
    (np.arange(60) % 5).astype(np.uint16).tofile(tmp_path / "ids.bin")
    model = GPT(GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=4), seed=0)
    config = TrainConfig(steps=3, warmup=1, backend="numpy", progress=False, out=str(tmp_path / "run"))
    Trainer(model, TokenData(np.memmap(tmp_path / "ids.bin", np.uint16, "r")), config).save()
    assert main(["train", "--resume", str(tmp_path / "run")]) == 2
    assert "data=" in capsys.readouterr().err


def test_settings_from_toml_and_flags_win(tmp_path, text):
    """The text's name is in the file; flags replace single settings of each table and leave the others."""
    path = tmp_path / "run.toml"
    path.write_text(
        f"""
        [data]
        source = '{text}'
        val_fraction = 0.5
        [model]
        block_size = 8
        n_layer = 2
        n_head = 2
        n_embd = 8
        bias = false
        [train]
        steps = 3
        warmup = 1
        batch_size = 2
        betas = [0.8, 0.9]
        progress = false
        backend = "numpy"
        out = '{tmp_path / "from_file"}'
        """,
        encoding="utf-8",
    )
    train("--config", path)
    model, run = settings_of(tmp_path / "from_file")
    assert (model["n_layer"], model["n_embd"], model["n_positions"]) == (2, 8, 8)
    assert GPT.from_pretrained(tmp_path / "from_file").ln_f.bias is None
    assert (run["steps"], run["batch_size"], run["betas"]) == (3, 2, [0.8, 0.9])
    assert len(Trainer.resume(tmp_path / "from_file").data.val_ids) == len(TEXT) // 2

    out = tmp_path / "from_flags"
    train("--config", path, "--out", out, "--n-layer", 1, "--steps", 2, "--val-fraction", 0.25, "--betas", 0.7, 0.8)
    model, run = settings_of(out)
    assert (model["n_layer"], model["n_embd"]) == (1, 8)
    assert GPT.from_pretrained(out).ln_f.bias is None
    assert (run["steps"], run["batch_size"], run["betas"], run["out"]) == (2, 2, [0.7, 0.8], str(out))
    assert len(Trainer.resume(out).data.val_ids) == len(TEXT) // 4


def test_the_model_may_have_a_seed_of_its_own(tmp_path, text):
    files = []
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / "run.toml").write_text(f"[model]\nseed = {seed}\n[train]\nlr = 1e-12\nmin_lr = 0.0\n", "utf-8")
        train("--config", tmp_path / "run.toml", "--data", text, "--out", tmp_path / name, *TINY, "--steps", 1)
        files.append((tmp_path / name / "model.safetensors").read_bytes())
    assert files[0] != files[1]


def test_a_short_run_needs_no_second_flag(tmp_path, text):
    """`--steps 50` alone is the first thing that one tries; the default warm-up of 100 steps must not forbid it."""
    shape = ["--block-size", 8, "--n-layer", 1, "--n-head", 1, "--n-embd", 8, "--no-progress"]
    train("--data", text, "--out", tmp_path / "run", *shape, "--backend", "numpy", "--steps", 2)


def test_a_folder_of_texts(tmp_path, text, capsys):
    (tmp_path / "second.md").write_text(TEXT.upper(), encoding="utf-8")
    train("--data", tmp_path, "--out", tmp_path / "run", *TINY, "--steps", 1)
    assert set(Trainer.resume(tmp_path / "run").model.tokenizer.characters) == set(TEXT + TEXT.upper())


def test_a_second_run_into_the_same_folder_is_the_second_run(tmp_path, text):
    """Without --out all runs write into runs/train; resuming must not train on the first run's text."""
    other = tmp_path / "other.txt"
    other.write_text("a man, a plan, a canal. " * 30, encoding="utf-8")
    out = tmp_path / "run"
    train("--data", text, "--out", out, *TINY, "--steps", 2)
    train("--data", other, "--out", out, *TINY, "--steps", 2)
    resumed = Trainer.resume(out)
    decoded = resumed.model.tokenizer.decode(resumed.data.train_ids)
    assert decoded == other.read_text("utf-8")[: len(decoded)]
