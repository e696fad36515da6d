"""from_pretrained on folders that Transformers wrote (golden/pretrained.npz): several shapes, shards, half precision.

The files are in the .npz byte for byte; what Transformers computes after reading them is the reference.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from minigpt.models import GPT

with np.load(Path(__file__).parent / "golden" / "pretrained.npz") as stored:
    ARRAYS = dict(stored)
CASES = json.loads(ARRAYS["cases"].tobytes())


def write_folder(case, folder):
    for key, content in ARRAYS.items():
        if key.startswith(f"{case}/file/"):
            (folder / key.rpartition("/")[2]).write_bytes(content.tobytes())


def assert_close(actual, expected, tolerance):
    """max|actual - expected| <= tolerance * max|expected|, same shape."""
    assert actual.shape == expected.shape
    error, scale = np.abs(actual - expected).max(), np.abs(expected).max()
    assert error <= tolerance * scale, f"off by {error:.3g}, allowed {tolerance * scale:.3g}"


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case, tmp_path):
    write_folder(case, tmp_path)
    model = GPT.from_pretrained(tmp_path)
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64 if case == "float64" else np.float32)}
    logits = model(ARRAYS[f"{case}/ids"])[0].numpy()
    assert_close(logits, ARRAYS[f"{case}/logits.float32"], 1e-4)
    wide = model.astype(np.float64)(ARRAYS[f"{case}/ids"])[0].numpy()  # half precision became float32 without loss
    assert_close(wide, ARRAYS[f"{case}/logits.float64"], 1e-9)


@pytest.mark.parametrize("case", CASES)
def test_saved_again_they_stay_the_same(case, tmp_path):
    """Through our own files, in one piece and in shards, nothing changes."""
    write_folder(case, tmp_path)
    model = GPT.from_pretrained(tmp_path)
    for max_shard_bytes in (None, 10_000):
        model.save_pretrained(tmp_path / "again", max_shard_bytes)
        again = GPT.from_pretrained(tmp_path / "again")
        assert again.config == model.config
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(again.state_dict()[name], value)


def test_the_sharded_folder_has_shards(tmp_path):
    write_folder("sharded", tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
