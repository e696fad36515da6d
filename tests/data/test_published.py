"""Published models: several files as one named set, from a server on this machine; nothing leaves loopback."""

import hashlib
import http.server
import json
import re
import threading

import numpy as np
import pytest

import minigpt as mg
from minigpt.cli import main
from minigpt.data.fetch import Download
from minigpt.data.published import MODELS, fetch_named
from minigpt.models import GPT, GPTConfig
from minigpt.models.config import PUBLISHED, SHAPES


class Server:
    """Serves the files of a dictionary, with ranges. `requests` logs (path, Range), `cut` says where to break off."""

    def __init__(self, files):
        self.files, self.requests, self.cut = files, [], {}
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                server.requests.append((self.path, asked))
                content = server.files.get(self.path.removeprefix("/models/tiny/"))
                if content is None:
                    self.send_error(404)
                    return
                start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1)) if asked else 0
                self.send_response(206 if asked else 200)
                if asked:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                cut = server.cut.get(self.path.rpartition("/")[2])
                self.wfile.write(content[start:] if cut is None else content[start : start + cut])

            def log_message(self, *args):
                """Not on the screen."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/models/tiny"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def model():
    return GPT(GPTConfig(20, 8, 2, 2, 16), seed=3)


@pytest.fixture
def server(model, tmp_path, monkeypatch):
    """A server that has a model, which takes the place of gpt2 in the table; its notes have no checksum."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path / "data"))
    model.save_pretrained(tmp_path / "original")
    names = ("config.json", "model.safetensors")
    files = {name: (tmp_path / "original" / name).read_bytes() for name in names} | {"notes.txt": b"made up\n"}
    server = Server(files)
    entries = []
    for name, content in files.items():
        checked = name in names
        size, sha256 = (len(content), hashlib.sha256(content).hexdigest()) if checked else (None, None)
        entries.append(Download(f"gpt2/{name}", f"{server.url}/{name}", size, sha256, name, "made up"))
    monkeypatch.setitem(MODELS, "gpt2", tuple(entries))
    yield server
    server.close()


def test_the_files_become_a_folder_that_loads_by_name(server, model, tmp_path):
    with pytest.raises(mg.CheckpointError, match=r"gpt2 is not there yet .*`minigpt data fetch gpt2`"):
        GPT.from_pretrained("gpt2")
    folder = fetch_named("gpt2", progress=False)
    assert folder == tmp_path / "data" / "gpt2"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "notes.txt"]
    for loaded in (GPT.from_pretrained("gpt2"), GPT.from_pretrained(folder)):
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(loaded.state_dict()[name], value)
    n = len(server.requests)
    assert fetch_named("gpt2", progress=False) == folder
    assert len(server.requests) == n == 3  # whole files are not asked for again


def test_a_folder_of_that_name_comes_first(server, tmp_path, monkeypatch):
    fetch_named("gpt2", progress=False)
    GPT(GPTConfig(5, 4, 1, 1, 4), seed=0).save_pretrained(tmp_path / "here" / "gpt2")
    monkeypatch.chdir(tmp_path / "here")
    assert GPT.from_pretrained("gpt2").config.vocab_size == 5


def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path):
    server.cut = {"model.safetensors": 1000}
    with pytest.raises(mg.DataError, match=r"cannot fetch gpt2/model\.safetensors .*1000 bytes are kept"):
        fetch_named("gpt2", progress=False)
    with pytest.raises(mg.CheckpointError, match="gpt2 is not there yet"):  # one file of it is
        GPT.from_pretrained("gpt2")
    server.cut = {}
    server.requests.clear()
    folder = fetch_named("gpt2", progress=False)
    asked = {path.rpartition("/")[2]: range_ for path, range_ in server.requests}
    assert asked == {"model.safetensors": "bytes=1000-", "notes.txt": None}
    assert (folder / "model.safetensors").read_bytes() == server.files["model.safetensors"]
    assert list(folder.glob("*.part")) == []


def test_a_file_without_checksum_is_not_resumed(server, tmp_path):
    """Two halves of different files would pass for a whole one."""
    folder = tmp_path / "data" / "gpt2"
    folder.mkdir(parents=True)
    (folder / "notes.txt.part").write_bytes(b"MADE")
    fetch_named("gpt2", progress=False)
    assert (folder / "notes.txt").read_bytes() == b"made up\n"
    server.cut = {"notes.txt": 3}
    (folder / "notes.txt").unlink()
    with pytest.raises(mg.DataError, match=r"closed after 3 of 8 bytes\. What to do: 3 bytes are kept") as caught:
        fetch_named("gpt2", progress=False)
    assert "SHA-256" not in str(caught.value)
    assert f"get the file any other way and put it at {folder / 'notes.txt'}" in str(caught.value)


def test_wrong_weights_do_not_take_the_name(server, tmp_path):
    server.files["model.safetensors"] = b"x" * len(server.files["model.safetensors"])
    with pytest.raises(mg.DataError, match="wrong content: wanted SHA-256"):
        fetch_named("gpt2", progress=False)
    assert not (tmp_path / "data" / "gpt2" / "model.safetensors").exists()


def test_on_the_command_line_with_a_mirror(server, tmp_path, capsys, monkeypatch):
    entries = [Download(**{**vars(e), "url": "http://127.0.0.1:9/unused"}) for e in MODELS["gpt2"]]
    monkeypatch.setitem(MODELS, "gpt2", tuple(entries))
    target = tmp_path / "elsewhere"
    assert main(["data", "fetch", "gpt2", "--folder", str(target), "--url", server.url + "/"]) == 0
    assert capsys.readouterr().out == f"{target / 'gpt2'}\n"
    assert GPT.from_pretrained(target / "gpt2").config.n_embd == 16


def test_unknown_names(tmp_path, capsys):
    with pytest.raises(mg.DataError, match=r"nothing to fetch is called 'gpt5': wanted one of tinyshakespeare, gpt2,"):
        fetch_named("gpt5", tmp_path)
    with pytest.raises(mg.CheckpointError, match=r"no checkpoint folder at gpt5; .* or a name: gpt2, gpt2-medium"):
        GPT.from_pretrained("gpt5")
    assert main(["generate", "--model", "gpt2-xl-of-mine"]) == 2
    assert "no checkpoint folder at gpt2-xl-of-mine" in capsys.readouterr().err


# ---- the table


def test_the_table_has_every_published_shape():
    assert tuple(MODELS) == PUBLISHED
    assert set(PUBLISHED) <= set(SHAPES)


@pytest.mark.parametrize("name", MODELS)
def test_entries_are_whole(name):
    entries = {entry.file: entry for entry in MODELS[name]}
    assert sorted(entries) == ["config.json", "merges.txt", "model.safetensors", "vocab.json"]
    assert MODELS[name][-1].file == "model.safetensors"  # by which from_pretrained knows that all are there
    commits = set()
    for file, entry in entries.items():
        assert entry.name == f"{name}/{file}"
        match = re.fullmatch(r"https://[^/]+/openai-community/([\w-]+)/resolve/([0-9a-f]{40})/([\w.]+)", entry.url)
        assert (match[1], match[3]) == (name, file)
        commits.add(match[2])
        assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
    assert len(commits) == 1  # all files of one state
    assert entries["model.safetensors"].sha256 is not None
    if entries["model.safetensors"].size_bytes is not None:
        # the weights in float32, the causal mask (T, T) of every block, and a header
        config = GPTConfig.named(name)
        content = 4 * (config.n_parameters() + config.n_layer * config.block_size**2)
        header = entries["model.safetensors"].size_bytes - content
        assert 0 < header < 100_000
    assert json.dumps([entry.licence for entry in entries.values()]).count("MIT") == 4
