"""Weights in files: shards and their index, damaged and hostile folders, types, and how little memory reading takes."""

import itertools
import json
import os
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import minigpt as mg
from minigpt.models import GPT, GPTConfig, weights
from minigpt.models.weights import INDEX, WEIGHTS, read_header, split_into_shards, stored_tensors

CONFIG = GPTConfig(7, 6, 2, 2, 8)


def make_model(config=CONFIG, seed=1):
    return GPT(config, seed=seed)


def assert_same_weights(a, b):
    x, y = a.state_dict(), b.state_dict()
    assert list(x) == list(y)
    for name in x:
        np.testing.assert_array_equal(x[name], y[name], err_msg=name)


@pytest.fixture
def sharded(tmp_path):
    make_model().save_pretrained(tmp_path, max_shard_bytes=2000)
    return tmp_path


def change_index(folder, change):
    path = folder / INDEX
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")


def change_map(folder, **names):
    """Set the files of tensors in the index."""
    change_index(folder, lambda index: {**index, "weight_map": {**index["weight_map"], **names}})


WTE = "transformer.wte.weight"


# ---- shards


@pytest.mark.parametrize("max_shard_bytes", [1, 1000, 5000, 10**9, None])
def test_round_trip(tmp_path, max_shard_bytes):
    model = make_model()
    model.save_pretrained(tmp_path, max_shard_bytes)
    assert_same_weights(GPT.from_pretrained(tmp_path), model)
    names = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    n = len(names)
    if max_shard_bytes in (10**9, None):
        assert names == [WEIGHTS]
        assert not (tmp_path / INDEX).exists()
        return
    assert names == [f"model-{i:05d}-of-{n:05d}.safetensors" for i in range(1, n + 1)]
    assert n == len(list(model.parameters())) if max_shard_bytes == 1 else n > 1
    index = json.loads((tmp_path / INDEX).read_text(encoding="utf-8"))
    assert index["metadata"]["total_size"] == 4 * model.num_parameters()
    for shard in names:
        tensors = load_file(tmp_path / shard)
        assert len(tensors) == 1 or sum(a.nbytes for a in tensors.values()) <= max_shard_bytes
        assert {name for name, file in index["weight_map"].items() if file == shard} == set(tensors)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 200))
def test_every_tensor_is_in_one_shard_in_order(sizes, max_bytes):
    arrays = {f"t{i}": np.zeros(n, np.float32) for i, n in enumerate(sizes)}
    files, _ = split_into_shards(arrays, max_bytes)
    assert [name for group in files.values() for name in group] == list(arrays)
    assert all(group for group in files.values())
    for group in files.values():
        assert len(group) == 1 or sum(a.nbytes for a in group.values()) <= max_bytes
    neighbours = list(files.values())
    for left, right in itertools.pairwise(neighbours):  # no shard ends before it has to
        assert sum(a.nbytes for a in left.values()) + next(iter(right.values())).nbytes > max_bytes


@pytest.mark.parametrize(("first", "second"), [(None, 1000), (1000, None), (1000, 3000), (1, 10**9)])
def test_saving_again_leaves_no_weights_of_before(tmp_path, first, second):
    make_model(seed=1).save_pretrained(tmp_path, first)
    model = make_model(seed=2)
    model.save_pretrained(tmp_path, second)
    assert_same_weights(GPT.from_pretrained(tmp_path), model)
    model.save_pretrained(tmp_path / "fresh", second)
    fresh = {path.name for path in (tmp_path / "fresh").iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == fresh | {"fresh"}


@pytest.mark.parametrize("value", [0, -1, 1.5, "1GB", True])
def test_bad_shard_size(tmp_path, value):
    with pytest.raises(mg.ArgumentError, match="max_shard_bytes is a positive number of bytes, or None"):
        make_model().save_pretrained(tmp_path, value)


def test_one_file_counts_before_an_index(sharded):
    """As for Transformers; our own saving never leaves both."""
    model = make_model(seed=5)
    model.save_pretrained(sharded / "other")
    (sharded / WEIGHTS).write_bytes((sharded / "other" / WEIGHTS).read_bytes())
    assert_same_weights(GPT.from_pretrained(sharded), model)


# ---- damaged and hostile folders


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors", "/etc/passwd", "sub/model.safetensors", "..\\outside.safetensors", "C:x.safetensors",
        "model.bin", "..", "", "a\0.safetensors",
    ],
)  # fmt: skip
def test_a_shard_is_a_file_beside_the_index(sharded, name):
    """Refused by its name alone, whether or not there is such a file."""
    make_model().save_pretrained(sharded.parent / "elsewhere")
    (sharded.parent / "outside.safetensors").write_bytes((sharded.parent / "elsewhere" / WEIGHTS).read_bytes())
    change_map(sharded, **{WTE: name})
    with pytest.raises(
        mg.CheckpointError, match=r"index\.json names \[.*refused, since a shard is a \.safetensors file"
    ):
        GPT.from_pretrained(sharded)


@pytest.mark.parametrize(
    "index",
    [{}, {"weight_map": None}, {"weight_map": ["a"]}, {"weight_map": {WTE: 3}}, {"weight_map": {WTE: None}}],
    ids=str,
)
def test_damaged_index(sharded, index):
    change_index(sharded, lambda _: index)
    with pytest.raises(mg.CheckpointError, match='is damaged: wanted "weight_map"'):
        GPT.from_pretrained(sharded)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"weight_map": ' + b"[" * 100_000])
def test_an_index_that_is_no_json_object(sharded, content):
    (sharded / INDEX).write_bytes(content)
    with pytest.raises(mg.CheckpointError, match=INDEX.replace(".", r"\.")):
        GPT.from_pretrained(sharded)


def test_an_empty_index_lists_all_that_is_missing(sharded):
    change_index(sharded, lambda _: {"weight_map": {}})
    with pytest.raises(mg.CheckpointError) as caught:
        GPT.from_pretrained(sharded)
    without_biases = [name for name, _ in make_model().named_parameters() if not name.endswith(".bias")]
    assert str(caught.value).count(": missing (shape ") == len(without_biases)


def test_missing_shards_are_all_named(sharded):
    gone = sorted(sharded.glob("model-*"))[:2]
    n = len(list(sharded.glob("model-*")))
    for path in gone:
        path.unlink()
    with pytest.raises(mg.CheckpointError) as caught:
        GPT.from_pretrained(sharded)
    assert f"lacks 2 of the {n} files that its index names: {[path.name for path in gone]}" in str(caught.value)


def test_shards_that_are_not_what_the_index_says(sharded):
    shards = sorted(path.name for path in sharded.glob("model-*"))
    change_map(sharded, **{WTE: shards[-1], "transformer.more": shards[0]})
    with pytest.raises(mg.CheckpointError) as caught:
        GPT.from_pretrained(sharded)
    message = str(caught.value)
    assert f"{WTE}: lies in {shards[0]}, but the index says {shards[-1]}" in message
    assert f"{WTE}: is not in {shards[-1]}" in message
    assert f"transformer.more: is not in {shards[0]}" in message
    change_index(sharded, lambda i: {"weight_map": {n: s for n, s in i["weight_map"].items() if n != WTE}})
    with pytest.raises(mg.CheckpointError, match=f"{WTE}: lies in {shards[0]}, but the index says nothing of it"):
        GPT.from_pretrained(sharded)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin"])
def test_pickles_are_refused_with_the_way_out(tmp_path, name):
    make_model().save_pretrained(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / name).write_bytes(b"\x80\x04cposix\nsystem\n")
    with pytest.raises(mg.CheckpointError) as caught:
        GPT.from_pretrained(tmp_path)
    message = str(caught.value)
    assert f"there is {name}, which is not read: it is a pickle" in message
    assert f'GPT2LMHeadModel.from_pretrained(r"{tmp_path}").save_pretrained("converted")' in message


# ---- what does not fit is listed whole


def test_everything_that_does_not_fit_is_listed(tmp_path):
    make_model().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    del tensors["transformer.h.0.ln_1.weight"], tensors["transformer.ln_f.bias"]
    tensors["transformer.wpe.weight"] = np.ones((5, 8), np.float32)
    tensors["transformer.h.1.attn.c_attn.weight"] = np.ones((24, 8), np.float32)  # transposed
    tensors["transformer.h.2.mlp.c_fc.bias"] = np.ones(32, np.float32)
    tensors["score.weight"] = np.ones((2, 8), np.float32)
    tensors["transformer.h.0.mlp.c_fc.bias"] = np.ones(32, np.int32)
    tensors["ln_f.weight"] = tensors["transformer.ln_f.weight"].copy()
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(mg.CheckpointError) as caught:
        GPT.from_pretrained(tmp_path)
    for problem in [
        "ln_f.weight: there with and without 'transformer.'",
        "wpe.weight: shape (5, 8) given, (6, 8) needed",
        "h.1.attn.c_attn.weight: shape (24, 8) given, (8, 24) needed",
        "h.0.ln_1.weight: missing (shape (8,))",
        "ln_f.bias: missing (shape (8,))",
        "h.2.mlp.c_fc.bias: not a parameter of this GPT (shape (32,))",
        "score.weight: not a parameter of this GPT (shape (2, 8))",
        "h.0.mlp.c_fc.bias: dtype I32 is not one of F64, F32, F16, BF16",
    ]:
        assert problem in str(caught.value)


@pytest.mark.parametrize("head", [np.ones((7, 8), np.int64), np.ones((8, 7), np.float32), np.ones((7, 8), np.float16)])
def test_a_head_of_another_kind(tmp_path, head):
    make_model().save_pretrained(tmp_path)
    save_file({**load_file(tmp_path / WEIGHTS), "lm_head.weight": head}, tmp_path / WEIGHTS)
    with pytest.raises(mg.CheckpointError, match=r"lm_head\.weight differs from wte\.weight"):
        GPT.from_pretrained(tmp_path)


def test_a_tied_head_with_values_that_are_no_numbers(tmp_path):
    """A diverged model can be looked at: NaN equals NaN here."""
    model = make_model()
    model.wte.weight.data[0, :2] = np.nan, -np.inf
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    save_file({**tensors, "lm_head.weight": tensors[WTE].copy()}, tmp_path / WEIGHTS)
    assert_same_weights(GPT.from_pretrained(tmp_path), model)


# ---- reading in pieces


def write_tensor(path, dtype, array, shape, padding):
    """A safetensors file with one tensor, behind a header of any length, so that numbers may lie at odd places."""
    raw = array.tobytes()
    header = {"t": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(raw)]}}
    text = json.dumps(header).encode() + b" " * padding
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw)


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize("padding", [0, 1, 2, 3])
@pytest.mark.parametrize("piece", [8, 24, 8 * 2**20])
def test_pieces_of_any_size_at_any_place(tmp_path, rng, monkeypatch, dtype, padding, piece):
    monkeypatch.setattr(weights, "PIECE", piece)
    numbers = rng.normal(size=(3, 7)).astype(np.float32)
    if dtype == "BF16":
        stored = (numbers.view(np.uint32) >> 16).astype(np.uint16)
        expected = (stored.astype(np.uint32) << 16).view(np.float32)
    else:
        stored = expected = numbers.astype({"F64": "f8", "F32": "f4", "F16": "f2"}[dtype])
    write_tensor(tmp_path / "t", dtype, stored, [3, 7], padding)
    tensor = read_header(tmp_path / "t")["t"]
    for target in (np.float32, np.float64):
        out = np.full((3, 7), np.nan, target)
        tensor.copy_into(out)
        np.testing.assert_array_equal(out, expected.astype(target))
        assert tensor.equals(out)
        out[2, 6] += 1
        assert not tensor.equals(out)
    assert not tensor.equals(out.T)


@pytest.mark.parametrize("shape", [[], [0, 4], [1]])
def test_scalars_and_empty_tensors(tmp_path, shape):
    write_tensor(tmp_path / "t", "F32", np.arange(np.prod(shape), dtype=np.float32), shape, 0)
    out = np.full(shape, 7, np.float32)
    read_header(tmp_path / "t")["t"].copy_into(out)
    np.testing.assert_array_equal(out, np.zeros(shape))


def test_the_header_names_every_tensor(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    stored = stored_tensors(tmp_path)
    assert {name: tensor.shape for name, tensor in stored.items()} == {
        f"transformer.{name}": p.shape for name, p in model.named_parameters()
    }


def test_nothing_stays_mapped(tmp_path):
    """The file may be cut to nothing under a loaded model; a mapped one would end the process."""
    make_model().save_pretrained(tmp_path)
    model = GPT.from_pretrained(tmp_path)
    with open(tmp_path / WEIGHTS, "rb+") as file:
        file.truncate(0)
    assert_same_weights(model, make_model())
    for p in model.parameters():
        assert p.requires_grad
        assert p.data.flags.writeable
        assert type(p.data) is np.ndarray


CHILD = """
    import sys
    import safetensors.numpy
    from minigpt.models import GPT
    from minigpt.training.memory import peak_bytes

    GPT.from_pretrained(sys.argv[1])  # a tiny one, so that everything is imported
    before = peak_bytes()
    model = GPT.from_pretrained(sys.argv[2])
    print(peak_bytes() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak is read from /proc")
@pytest.mark.parametrize("head", [False, True])
def test_loading_takes_little_more_than_the_weights(tmp_path, head):
    """In a process of its own, over 100 MB: weights drawn first, or held twice while they are read, would be 200."""
    make_model().save_pretrained(tmp_path / "tiny")
    model = GPT(GPTConfig(10_000, 64, 3, 4, 752), seed=0)
    model.save_pretrained(tmp_path / "large")
    if head:
        tensors = load_file(tmp_path / "large" / WEIGHTS)
        save_file({**tensors, "lm_head.weight": tensors[WTE].copy()}, tmp_path / "large" / WEIGHTS)
    weights_bytes = 4 * model.num_parameters()
    assert weights_bytes > 100e6
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path / "tiny"), str(tmp_path / "large")],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert 0.9 * weights_bytes < int(done.stdout) < 1.15 * weights_bytes
