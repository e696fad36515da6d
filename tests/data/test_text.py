"""Reading text files and folders: what comes out, and what each kind of bad file says."""

import re

import pytest

from minigpt.data.text import read_folder, read_text
from minigpt.errors import DataError


def test_line_ends_and_byte_order_mark_do_not_change_the_text(tmp_path):
    variants = {
        "unix.txt": "né\nb\n".encode(),
        "windows.txt": "né\r\nb\r\n".encode(),
        "old_mac.txt": "né\rb\r".encode(),
        "bom.txt": "né\nb\n".encode("utf-8-sig"),
    }
    for name, data in variants.items():
        (tmp_path / name).write_bytes(data)
        assert read_text(tmp_path / name) == "né\nb\n", name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"holds no text \(0 bytes\)"),
        (b" \n\t\n", r"holds no text \(4 bytes\)"),
        (b"%PDF-1.7\n\x00\x01", "binary file, not text: NUL byte at byte 9"),
        ("hi".encode("utf-16"), "is UTF-16, wanted UTF-8.*Convert it in Python"),
        ("a\nb\ncafé".encode("latin-1"), r"byte 0xE9 at byte 7 \(line 3\).*cp1252"),
        (b"\xef\xbb\xbf" + b"a\nb\ncaf\xe9", r"byte 0xE9 at byte 10 \(line 3\)"),
        (b"abc\xe2\x82", r"byte 0xE2 at byte 3 \(line 1\)"),  # cut in the middle of a character
    ],
)
def test_bad_files(tmp_path, data, message):
    path = tmp_path / "file.txt"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as info:
        read_text(path)
    assert str(path) in str(info.value)


def test_the_conversion_that_the_message_proposes_works(tmp_path):
    path = tmp_path / "old's.txt"  # a quote in the name must not break the command
    path.write_bytes("café\n".encode("cp1252"))
    with pytest.raises(DataError) as info:
        read_text(path)
    command = re.search(r"Convert it in Python: (.*)", str(info.value)).group(1)
    exec(command, {})  # noqa: S102 - the command is ours
    assert read_text(tmp_path / "old's-utf8.txt") == "café\n"


def test_missing_file_and_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(DataError, match=r"no file .*nowhere\.txt \(looked from the folder "):
        read_text(tmp_path / "nowhere.txt")
    with pytest.raises(DataError):  # the wording of the reason is the platform's
        read_text(tmp_path)


def test_folder_is_joined_in_path_order(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.rst").write_text("one\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("first\n\n\n", encoding="utf-8")
    (tmp_path / "z.MD").write_text("last", encoding="utf-8")
    (tmp_path / "blank.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "code.py").write_text("not text", encoding="utf-8")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "licence.txt").write_text("hidden", encoding="utf-8")
    assert read_folder(tmp_path) == "first\n\none\n\nlast\n"


def test_folder_without_text(tmp_path):
    (tmp_path / "code.py").write_text("x = 1", encoding="utf-8")
    with pytest.raises(DataError, match=r"wanted files \*\.txt, \*\.md or \*\.rst, found none"):
        read_folder(tmp_path)
    (tmp_path / "blank.txt").write_text(" \n", encoding="utf-8")
    with pytest.raises(DataError, match="found 1 such files, all of them blank"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match=r"no folder .*nowhere"):
        read_folder(tmp_path / "nowhere")


def test_one_bad_file_in_a_folder_is_named(tmp_path):
    (tmp_path / "good.txt").write_text("good", encoding="utf-8")
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"bad\.txt is not UTF-8"):
        read_folder(tmp_path)
