"""Downloads against a server on this machine that can break off, lie, and refuse; nothing leaves loopback."""

import hashlib
import http.server
import re
import socket
import threading
import time

import numpy as np
import pytest

from minigpt.data.fetch import DOWNLOADS, Download, fetch, fetched_file
from minigpt.errors import ArgumentError, DataError

CONTENT = np.random.default_rng(0).bytes(300_000)  # several chunks
OTHER = np.random.default_rng(1).bytes(300_000)


class Server:
    """Serves `content` at any path; the attributes say how it misbehaves. `ranges` logs each Range header."""

    def __init__(self):
        self.content = CONTENT
        self.cut_after = None  # close the connection after that many bytes of the body
        self.status = None  # answer this error
        self.use_ranges = True
        self.send_length = True
        self.shift_range = 0  # answer another range than the one asked for
        self.silent = False  # accept and say nothing
        self.ranges = []
        self.stop_waiting = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *args):
                """Not on the screen."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/file.txt"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def answer(self, request):
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        if self.silent:
            self.stop_waiting.wait(10)
            return
        if self.status is not None:
            request.send_error(self.status)
            return
        start = 0
        if asked and self.use_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1))
            if start >= len(self.content):
                request.send_error(416)
                return
            start += self.shift_range
            request.send_response(206)
            end = len(self.content) - 1
            request.send_header("Content-Range", f"bytes {start}-{end}/{len(self.content)}")
        else:
            request.send_response(200)
        body = self.content[start:]
        if self.send_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body if self.cut_after is None else body[: self.cut_after])

    def close(self):
        self.stop_waiting.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    entry = Download(
        name="noise",
        url="http://127.0.0.1:9/unused",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        file="noise.txt",
        licence="made up",
    )
    monkeypatch.setitem(DOWNLOADS, "noise", entry)
    server = Server()
    yield server
    server.close()


def get(server, folder, **kwargs):
    return fetch("noise", folder, url=server.url, progress=False, timeout=5, **kwargs)


def part_of(folder):
    return folder / "noise.txt.part"


def test_download_and_second_call(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = get(server, folder)
    assert path == folder / "noise.txt"
    assert path.read_bytes() == CONTENT
    assert get(server, folder) == path
    assert server.ranges == [None]  # one request in all
    assert [file.name for file in folder.iterdir()] == ["noise.txt"]
    assert fetched_file("noise", folder) == path


def test_cut_connection_is_resumed(server, tmp_path):
    server.cut_after = 100_000
    with pytest.raises(DataError, match=r"closed after 100000 of 300000 bytes.*100000 bytes are kept"):
        get(server, tmp_path)
    assert part_of(tmp_path).read_bytes() == CONTENT[:100_000]
    with pytest.raises(DataError, match="closed after 200000 of 300000 bytes"):
        get(server, tmp_path)
    server.cut_after = None
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert not part_of(tmp_path).exists()


def test_server_without_ranges_starts_again(server, tmp_path):
    part_of(tmp_path).write_bytes(CONTENT[:1000])
    server.use_ranges = False
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_server_that_answers_another_range(server, tmp_path):
    part_of(tmp_path).write_bytes(CONTENT[:1000])
    server.shift_range = 5
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]


def test_part_of_an_older_file_is_thrown_away(server, tmp_path):
    """The halves of two different files: the hash is wrong, so the download runs once more from the start."""
    part_of(tmp_path).write_bytes(OTHER[:100_000])
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=100000-", None]


@pytest.mark.parametrize("extra", [0, 1000])
def test_part_that_is_whole_or_longer(server, tmp_path, extra):
    part_of(tmp_path).write_bytes(CONTENT + b"x" * extra)
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ([None] if extra else [])  # a whole part needs no request


def test_unknown_size(server, tmp_path, monkeypatch):
    entry = Download("noise", server.url, None, DOWNLOADS["noise"].sha256, "noise.txt", "made up")
    monkeypatch.setitem(DOWNLOADS, "noise", entry)
    server.cut_after = 100_000
    with pytest.raises(DataError, match="closed after 100000 of 300000 bytes"):  # the server told the size
        get(server, tmp_path)
    server.cut_after = None
    assert get(server, tmp_path).read_bytes() == CONTENT
    # A part as long as the file: the server answers 416, and the download starts again.
    (tmp_path / "noise.txt").unlink()
    part_of(tmp_path).write_bytes(OTHER)
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-2:] == ["bytes=300000-", None]


def test_server_that_does_not_tell_the_size(server, tmp_path):
    server.send_length = False
    assert get(server, tmp_path).read_bytes() == CONTENT
    (tmp_path / "noise.txt").unlink()
    server.content = CONTENT + b"more"
    with pytest.raises(DataError, match="more than the 300000 bytes"):
        get(server, tmp_path)
    server.content = CONTENT
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_wrong_bytes_are_thrown_away(server, tmp_path):
    server.content = OTHER
    with pytest.raises(DataError) as info:
        get(server, tmp_path)
    message = str(info.value)
    assert f"wanted SHA-256 {DOWNLOADS['noise'].sha256}, got {hashlib.sha256(OTHER).hexdigest()}" in message
    assert server.url in message
    assert "bytes are kept" not in message
    assert list(tmp_path.iterdir()) == []


def test_changed_size_is_noticed_before_the_download(server, tmp_path):
    part_of(tmp_path).write_bytes(CONTENT[:1000])
    server.content = b"<html>please log in</html>"
    server.use_ranges = False
    with pytest.raises(DataError, match=r"server's file has 26 bytes, wanted 300000.*1000 bytes are kept"):
        get(server, tmp_path)
    server.use_ranges = True
    server.content = CONTENT
    assert get(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500])
def test_http_errors_name_url_reason_and_the_manual_way(server, tmp_path, status):
    part_of(tmp_path).write_bytes(CONTENT[:1000])
    server.status = status
    with pytest.raises(DataError) as info:
        get(server, tmp_path)
    message = str(info.value)
    assert f"HTTP {status}" in message
    assert server.url in message
    assert "1000 bytes are kept" in message
    assert f"put it at {tmp_path / 'noise.txt'}" in message
    assert DOWNLOADS["noise"].sha256 in message
    assert part_of(tmp_path).stat().st_size == 1000


def test_the_manual_way_works(server, tmp_path):
    server.status = 404
    (tmp_path / "noise.txt").write_bytes(CONTENT)
    assert get(server, tmp_path) == tmp_path / "noise.txt"
    assert server.ranges == []


def test_damaged_file_is_replaced_only_by_a_good_one(server, tmp_path):
    (tmp_path / "noise.txt").write_bytes(OTHER)
    with pytest.raises(DataError, match="is not the file noise"):
        fetched_file("noise", tmp_path)
    server.status = 500
    with pytest.raises(DataError):
        get(server, tmp_path)
    assert (tmp_path / "noise.txt").read_bytes() == OTHER
    server.status = None
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_time_out(server, tmp_path):
    server.silent = True
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"no (answer|connection) within 0\.2 seconds"):
        fetch("noise", tmp_path, url=server.url, progress=False, timeout=0.2)
    assert time.perf_counter() - start < 5


def test_offline(server, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        with pytest.raises(DataError, match=r"cannot reach the server .*check the network connection"):
            fetch("noise", tmp_path, url=url, progress=False, timeout=2)


def test_server_that_breaks_off_at_once(tmp_path, server):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(DataError, match="cannot reach the server"):
            fetch("noise", tmp_path, url=f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=2)
        thread.join()


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot read or write the file"):
        get(server, tmp_path / "file" / "folder")


def test_disk_errors(server, tmp_path, monkeypatch):
    import errno
    import os

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        get(server, tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "noise.txt", ""])
def test_only_http_urls(server, tmp_path, url):
    with pytest.raises(ArgumentError, match="starts with http:// or https://"):
        fetch("noise", tmp_path, url=url)


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:port/", "http://127.0.0.1/a b"])
def test_malformed_urls(server, tmp_path, url):
    with pytest.raises(DataError, match="cannot reach the server"):
        fetch("noise", tmp_path, url=url, progress=False, timeout=2)


def test_unknown_name(tmp_path):
    with pytest.raises(DataError, match="nothing to fetch is called 'war': wanted one of tinyshakespeare"):
        fetch("war", tmp_path)
    with pytest.raises(DataError, match="nothing to fetch is called 'war'"):
        fetched_file("war", tmp_path)


def test_progress_bar_counts_bytes(server, tmp_path, capsys):
    part_of(tmp_path).write_bytes(CONTENT[:1000])
    fetch("noise", tmp_path, url=server.url, timeout=5)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "300k/300k" in shown.err
    assert "noise" in shown.err


# ---- where the files lie


def test_fetch_uses_the_default_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    assert fetch("noise", url=server.url, progress=False, timeout=5) == tmp_path / "noise.txt"


def test_tinyshakespeare_entry():
    entry = DOWNLOADS["tinyshakespeare"]
    assert entry.url.startswith("https://raw.githubusercontent.com/karpathy/char-rnn/master/")
    assert (entry.size_bytes, len(entry.sha256)) == (1_115_394, 64)
    assert all(name == entry.name for name, entry in DOWNLOADS.items())
