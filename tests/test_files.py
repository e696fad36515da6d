"""FileGroup: files that change together or not at all; and what reading says about files that are no good."""

import json
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt.files import FileGroup, data_folder, read_json, read_tensors


def content(folder):
    """Name -> bytes of everything in the folder, temporary files included."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


# ---- writing


def test_writes_what_it_is_given(tmp_path):
    folder = tmp_path / "a" / "b"
    arrays = {"x": np.arange(6.0).reshape(2, 3), "scalar": np.array(3, np.int64), "none": np.zeros((0, 4), np.float32)}
    with FileGroup(folder) as files:
        files.bytes("raw", b"\x00\r\n")
        files.text("text", "Zeile\r\nзвук\n")
        files.json("values.json", {"π": [1, None, True]})
        files.tensors("arrays.safetensors", arrays)
        assert not any(not name.startswith(".") for name in content(folder))  # nothing under its name yet
    assert sorted(content(folder)) == ["arrays.safetensors", "raw", "text", "values.json"]
    assert content(folder)["raw"] == b"\x00\r\n"
    assert content(folder)["text"] == "Zeile\r\nзвук\n".encode()  # line ends as given, on every system
    assert read_json(folder / "values.json") == {"π": [1, None, True]}
    assert "π" in (folder / "values.json").read_text(encoding="utf-8")
    loaded = read_tensors(folder / "arrays.safetensors")
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)


def test_arrays_that_are_not_contiguous(tmp_path):
    base = np.arange(24.0).reshape(4, 6)
    arrays = {
        "transposed": base.T,
        "strided": base[::2, 1::3],
        "reversed": base[::-1],
        "repeated": np.broadcast_to(base, (2, 4, 6)),
    }
    with FileGroup(tmp_path) as files:
        files.tensors("t", arrays)
    for name, array in read_tensors(tmp_path / "t").items():
        np.testing.assert_array_equal(array, arrays[name])


def test_replaces_old_files(tmp_path):
    for text in ("a long first version", "second"):
        with FileGroup(tmp_path) as files:
            files.text("a", text)
        assert content(tmp_path) == {"a": text.encode()}


def test_nothing_added(tmp_path):
    with FileGroup(tmp_path / "new"):
        pass
    assert content(tmp_path / "new") == {}


# ---- failures: the files from before stay, no temporary file is left


@pytest.fixture
def old(tmp_path):
    """A folder with two files from before."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"old " + name.encode())
    return tmp_path


def full_disk(path):
    path.write_bytes(b"half")
    raise OSError(28, "No space left on device")


def new_text(path):
    path.write_bytes(b"new")


def write_group(folder, **writers):
    """A group with one file for each name; each writer gets the path of its temporary file."""
    with FileGroup(folder) as files:
        for name, write in writers.items():
            files.add(name, write)


@pytest.mark.parametrize(
    "writers", [{"a": new_text, "b": full_disk}, {"b": full_disk, "a": new_text}], ids=["second file", "first file"]
)
def test_failure_while_writing(old, writers):
    before = content(old)
    with pytest.raises(
        mg.CheckpointError, match=r"cannot write .*b: No space left on device; what was there before is"
    ):
        write_group(old, **writers)
    assert content(old) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_failure_of_the_caller(old, error):
    """Whatever ends the block, Ctrl-C included."""
    before = content(old)

    def stopped(path):
        path.write_bytes(b"half")
        raise error

    with pytest.raises(error):
        write_group(old, a=new_text, b=stopped)
    assert content(old) == before


def test_values_that_json_cannot_hold(old):
    before = content(old)

    def both():
        with FileGroup(old) as files:
            files.text("a", "new")
            files.json("b", {"array": np.zeros(2)})

    with pytest.raises(TypeError):
        both()
    assert content(old) == before


def test_failure_while_moving(old):
    """The second name is taken by a folder: the first file must not be new while the second is not."""
    (old / "c").mkdir()
    before = content(old)
    with pytest.raises(mg.CheckpointError, match="cannot write"):
        write_group(old, a=new_text, c=new_text)
    assert content(old) == before


def test_a_caught_failure_does_not_write_half_a_file(old):
    """A caller may go on after an error; the file that failed keeps its old content all the same."""
    with FileGroup(old) as files:
        with pytest.raises(mg.CheckpointError):
            files.add("a", full_disk)
        files.text("b", "new b")
    assert content(old) == {"a": b"old a", "b": b"new b"}


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(mg.CheckpointError, match=r"cannot make the folder .*file"):
        write_group(tmp_path / "file" / "sub", a=new_text)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user whom permissions stop")
def test_folder_without_permission(old):
    old.chmod(0o500)
    try:
        with pytest.raises(mg.CheckpointError, match=r"cannot write .*Permission denied"):
            write_group(old, a=new_text)
    finally:
        old.chmod(0o700)
    assert content(old) == {"a": b"old a", "b": b"old b"}


CHILD = """
    import resource, sys
    import numpy as np
    import minigpt as mg
    from minigpt.files import FileGroup
    from minigpt.models import GPT, GPTConfig

    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))  # no file may grow beyond this
    kind, folder = sys.argv[1:]
    try:
        if kind == "model":
            GPT(GPTConfig(200, 16, 2, 2, 64), seed=1).save_pretrained(folder)
        else:
            with FileGroup(folder) as files:
                files.text("first", "new")
                files.tensors("big", {"x": np.ones(10_000)}) if kind == "tensors" else files.bytes("big", b"x" * 80_000)
    except mg.CheckpointError as error:
        print("refused:", error)
    else:
        print("written")
"""


@pytest.mark.parametrize("kind", ["bytes", "tensors", "model"])
def test_disk_that_is_really_full(tmp_path, kind):
    """A child process whose files may not grow: every write beyond that fails, as on a full disk."""
    pytest.importorskip("resource")
    from minigpt.models import GPT, GPTConfig

    small = GPT(GPTConfig(5, 4, 1, 1, 4), seed=0)
    small.save_pretrained(tmp_path)
    (tmp_path / "first").write_bytes(b"old")
    (tmp_path / "big").write_bytes(b"old")
    before = content(tmp_path)
    root = Path(mg.__file__).parents[1]
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), kind, str(tmp_path)],
        capture_output=True, text=True, encoding="utf-8", timeout=60,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    name = "model.safetensors" if kind == "model" else "big"
    assert child.stdout.startswith(f"refused: cannot write {tmp_path / name}: "), child.stdout
    assert "large" in child.stdout  # the system's own words: file too large
    assert "Traceback" not in child.stderr
    assert content(tmp_path) == before
    assert GPT.from_pretrained(tmp_path).config == small.config


# ---- permissions


@pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_the_usual_ones(tmp_path, umask, mode):
    """As open() would make them, not readable by the owner alone as temporary files are."""
    previous = os.umask(umask)
    try:
        with FileGroup(tmp_path) as files:
            files.text("a", "x")
            files.tensors("b", {"x": np.ones(2)})
        assert os.umask(umask) == umask  # and the process's own setting is as before
    finally:
        os.umask(previous)
    for name in "ab":
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode


# ---- reading


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "cannot read"), (b"{", "cannot read"), (b"{'a': 1}", "cannot read"), (b'{"a": "\xff"}', "cannot read"),
     (b"[" * 100_000, "cannot read"), (b"[1]", "holds a list, a JSON object is needed"), (b"3", "holds a int"),
     (b"null", "holds a NoneType")],
    ids=["empty", "cut off", "quotes", "no UTF-8", "deep", "list", "number", "null"],
)  # fmt: skip
def test_unreadable_json(tmp_path, data, message):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(mg.CheckpointError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("read", [read_json, read_tensors])
def test_missing_files_and_folders(tmp_path, read):
    with pytest.raises(mg.CheckpointError, match=r"x is missing"):
        read(tmp_path / "x")
    with pytest.raises(mg.CheckpointError, match="cannot read"):
        read(tmp_path)


def safetensors(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        b"\xff" * 100,
        safetensors(b"{", b""),
        safetensors({"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}, b"\0" * 8),
        safetensors({"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, b"\0" * 8),
        safetensors({"x": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8),
        safetensors({"x": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}, b"\0" * 8),
    ],
    ids=["empty", "short", "huge header", "broken header", "cut off", "shape", "unknown dtype", "float8"],
)
def test_unreadable_tensors(tmp_path, data):
    """Damaged, or of a kind that NumPy cannot hold."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(mg.CheckpointError) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)


# ---- where fetched files lie


def test_default_folder(monkeypatch, tmp_path):
    # ntpath has its own idea of absolute paths, so only this platform's own names are compared.
    home = tmp_path / "home"
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: home))
    for name in ("MINIGPT_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)

    monkeypatch.setattr(sys, "platform", "linux")
    assert data_folder() == home / ".cache" / "minigpt"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert data_folder() == home / ".cache" / "minigpt"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_folder() == tmp_path / "xdg" / "minigpt"

    monkeypatch.setattr(sys, "platform", "darwin")
    assert data_folder() == home / "Library" / "Caches" / "minigpt"

    monkeypatch.setattr(sys, "platform", "win32")
    assert data_folder() == home / "AppData" / "Local" / "minigpt"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert data_folder() == tmp_path / "local" / "minigpt"

    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"
