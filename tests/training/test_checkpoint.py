"""Checkpoints: going on bit for bit, and a folder that stays whole whatever happens while saving."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import minigpt
from minigpt.data import TokenData
from minigpt.errors import CheckpointError, MiniGPTError, TokenizerError
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer

V, T = 11, 8
FILES = {"config.json", "model.safetensors", "trainer.json", "trainer.safetensors", "data.safetensors"}


def new_trainer(out=None, data=None, seed=0, **changes):
    shape = {"vocab_size": V, "block_size": T, "n_layer": 1, "n_head": 2, "n_embd": 8, "dropout": 0.2}
    usual = {"steps": 8, "batch_size": 2, "warmup": 2, "lr": 1e-2, "accumulate": 2, "eval_interval": 3}
    config = TrainConfig(
        **{**usual, "out": out and str(out), "backend": "numpy", "workers": 1, "progress": False, **changes}
    )
    return Trainer(GPT(GPTConfig(**shape), seed=seed), data or random_data(), config)


def random_data(seed=5, n=200):
    rng = np.random.default_rng(seed)
    return TokenData(rng.integers(0, V, n), rng.integers(0, V, 50))


def everything(trainer) -> dict[str, np.ndarray]:
    """All that a later step depends on, and what was noted so far."""
    return {
        **{f"model.{k}": a for k, a in trainer.model.state_dict().items()},
        **{f"optimizer.{k}": a for k, a in trainer.optimizer.state_dict().items()},
        **{f"history.{k}": a for k, a in trainer.history.items()},
        "rng": np.array(json.dumps(trainer.rng.bit_generator.state)),
        "step": np.array(trainer.step_number),
    }


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def saved(folder, steps=2, **changes) -> Path:
    trainer = new_trainer(folder, **changes)
    for _ in range(steps):
        trainer.step()
    trainer.save()
    return Path(folder)


@pytest.mark.parametrize("k", [0, 1, 3, 7])
def test_resumed_equals_never_interrupted(tmp_path, k):
    whole = new_trainer()
    whole.fit()
    first = new_trainer()
    for _ in range(k):
        first.step()
        if first.step_number % 3 == 0:
            first.evaluate()
    first.save(tmp_path)
    resumed = Trainer.resume(tmp_path)
    assert_same_bits(everything(resumed), everything(first))
    assert resumed.step_number == k
    resumed.fit()
    assert_same_bits(everything(resumed), everything(whole))


def test_resume_after_the_end_has_nothing_left_to_do(tmp_path):
    new_trainer(tmp_path).fit()
    resumed = Trainer.resume(tmp_path)
    before = everything(resumed)
    assert_same_bits(everything(Trainer.resume(tmp_path)), before)
    assert len(resumed.fit()["loss"]) == 8


def test_settings_come_back_and_out_is_where_it_lies_now(tmp_path):
    saved(tmp_path / "there", seed=3, grad_clip=0.5, betas=(0.8, 0.9))
    shutil.move(tmp_path / "there", tmp_path / "here")
    config = Trainer.resume(tmp_path / "here").config
    assert (config.grad_clip, config.betas, config.accumulate) == (0.5, (0.8, 0.9), 2)
    assert Path(config.out) == tmp_path / "here"


def test_float64_stays_float64(tmp_path):
    trainer = new_trainer()
    trainer.model.astype(np.float64)
    trainer.step()
    trainer.save(tmp_path)
    assert_same_bits(everything(Trainer.resume(tmp_path)), everything(trainer))


def test_only_safetensors_and_json(tmp_path):
    saved(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    for path in tmp_path.iterdir():
        json.loads(path.read_text("utf-8")) if path.suffix == ".json" else load_file(path)
    assert load_file(tmp_path / "data.safetensors")["train_ids"].dtype == np.uint8  # the smallest type that fits


def test_save_needs_a_folder():
    with pytest.raises(CheckpointError, match="needs a folder"):
        new_trainer().save()


def test_memory_maps_are_not_copied_but_passed_again(tmp_path):
    ids = random_data().train_ids
    ids.astype(np.uint16).tofile(tmp_path / "train.bin")

    def mapped():
        return TokenData(np.memmap(tmp_path / "train.bin", np.uint16, "r"), ids[:40])

    first = new_trainer(data=mapped())
    first.step()
    first.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES - {"data.safetensors"}
    with pytest.raises(CheckpointError, match=r"does not hold its data.*Trainer\.resume\(folder, data="):
        Trainer.resume(tmp_path / "run")
    resumed = Trainer.resume(tmp_path / "run", data=mapped())
    first.fit()
    resumed.fit()
    assert_same_bits(everything(resumed), everything(first))


def test_data_of_another_run_in_the_same_folder_is_replaced(tmp_path):
    """Training again into the same folder (runs/train is the default) used to keep the first run's text."""
    saved(tmp_path, data=random_data(seed=1))
    second = new_trainer(tmp_path, data=random_data(seed=2, n=150))
    second.step()
    second.save()
    resumed = Trainer.resume(tmp_path)
    np.testing.assert_array_equal(resumed.data.train_ids, second.data.train_ids)
    assert_same_bits(everything(resumed), everything(second))


def test_tokenizer_lies_beside_and_comes_back(tmp_path):
    trainer = new_trainer()
    trainer.model.tokenizer = CharTokenizer("abcdefghij\n")
    trainer.save(tmp_path)
    for model in (Trainer.resume(tmp_path).model, GPT.from_pretrained(tmp_path)):
        assert model.tokenizer.encode("bad\n") == [1, 0, 3, 10]


def test_a_stale_tokenizer_does_not_join_a_model_without_one(tmp_path):
    """What is saved must load: here the folder's old tokenizer knows more tokens than the new model."""
    old = GPT(GPTConfig(vocab_size=26, block_size=T, n_layer=1, n_head=2, n_embd=8), seed=0)
    old.tokenizer = CharTokenizer("abcdefghijklmnopqrstuvwxyz")
    old.save_pretrained(tmp_path)
    saved(tmp_path)
    with pytest.raises(TokenizerError, match="no tokenizer"):
        Trainer.resume(tmp_path).model.tokenizer.encode("a")


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "noise"])
def test_missing_and_damaged_files(tmp_path, name, damage):
    path = saved(tmp_path) / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "noise": b"\xff\xfe" * 60}[damage])
    with pytest.raises(CheckpointError, match=name):
        Trainer.resume(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", "{", "null", '{"step": 2}'])
@pytest.mark.parametrize("name", ["trainer.json", "config.json"])
def test_json_of_another_kind(tmp_path, name, text):
    (saved(tmp_path) / name).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError):
        Trainer.resume(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"step": "two"},
        {"step": None},
        {"rng": None},
        {"rng": {"bit_generator": "MT19937"}},
        {"rng": {"bit_generator": "PCG64", "state": {}}},
        {"config": []},
        {"config": {"steps": -1}},
        {"config": {"speed": 3}},
        {"data": "../elsewhere.safetensors"},
        {"data": 5},
    ],
    ids=str,
)
def test_damaged_values_in_trainer_json(tmp_path, change):
    path = saved(tmp_path) / "trainer.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), encoding="utf-8")
    with pytest.raises(CheckpointError):
        Trainer.resume(tmp_path)


def test_histories_of_different_lengths(tmp_path):
    path = saved(tmp_path) / "trainer.safetensors"
    save_file({**load_file(path), "history.val_step": np.array([1, 2])}, path)
    with pytest.raises(CheckpointError):
        Trainer.resume(tmp_path)


@pytest.mark.parametrize("foreign", ["trainer.json", "trainer.safetensors", "model.safetensors"])
def test_files_of_two_checkpoints_mixed(tmp_path, foreign):
    """A crash between two renames, or a copy by hand, leaves one file of another step."""
    saved(tmp_path / "a", steps=2)
    saved(tmp_path / "b", steps=3)
    shutil.copy(tmp_path / "b" / foreign, tmp_path / "a" / foreign)
    with pytest.raises(CheckpointError):
        Trainer.resume(tmp_path / "a")


def test_no_folder_and_a_file_instead_of_one(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        Trainer.resume(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(MiniGPTError):
        Trainer.resume(tmp_path / "file")
    with pytest.raises(MiniGPTError, match="is a file; checkpoints need a folder"):
        saved(tmp_path / "file")


FULL_DISK = """
import resource, sys
from pathlib import Path
import minigpt as mg
from minigpt.cli import main
from minigpt.training import Trainer

old, fresh, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
trainer = Trainer.resume(old)
trainer.step()
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # no file may grow past this: writing fails part of the way
for folder in (old, fresh):
    try:
        trainer.save(folder)
    except mg.CheckpointError as error:
        print("refused:", error)
print("exit code", main(["train", "--resume", old]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files with the resource module")
def test_full_disk_leaves_the_old_checkpoint_as_it_was(tmp_path):
    """The limit lets model.safetensors through, and stops trainer.safetensors, which is written after it."""
    old = saved(tmp_path / "old")
    before, files = everything(Trainer.resume(old)), contents(old)
    limit = len(files["model.safetensors"]) + 100
    assert len(files["trainer.safetensors"]) > limit
    command = [sys.executable, "-c", FULL_DISK, str(old), str(tmp_path / "fresh"), str(limit)]
    path = os.pathsep.join([str(Path(minigpt.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path})
    assert done.stdout.count("refused: cannot write") == 2, done.stderr
    assert "trainer.safetensors" in done.stdout
    assert "exit code 2" in done.stdout
    assert done.stderr.count("error: cannot write") == 1
    assert "Traceback" not in done.stderr
    assert contents(old) == files  # bit for bit, and no temporary files
    assert_same_bits(everything(Trainer.resume(old)), before)
    assert contents(tmp_path / "fresh") == {}
