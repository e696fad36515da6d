"""Bad input on the command line: one line that starts with "error:", exit code 2, nothing half-written."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minigpt.cli import main

TINY = ["--block-size", "8", "--n-layer", "1", "--n-head", "2", "--n-embd", "8", "--batch-size", "2", "--steps", "2",
        "--warmup", "1", "--no-progress", "--backend", "numpy"]  # fmt: skip


@pytest.fixture
def model(tmp_path, text, capsys):
    folder = tmp_path / "model"
    assert main(["train", "--data", text, "--out", str(folder), *TINY]) == 0
    capsys.readouterr()
    return folder


def snapshot(folder) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in Path(folder).rglob("*")}


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs a command that must be refused, and returns the one line of its error."""

    def run(*words):
        before = snapshot(tmp_path)
        assert main([str(word) for word in words]) == 2
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        *earlier, line = err.splitlines()
        assert line.startswith("error: "), err
        assert not any("rror" in other for other in earlier), err
        assert out == ""
        assert snapshot(tmp_path) == before, "something was written"
        return line

    return run


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no corpus and no file"),
        (b"", "no text"),
        (b" \n\n\t", "no text"),
        (b"caf\xe9 " * 50, "not UTF-8"),
        ("Zeichen".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04\x00\x00", "binary"),
        (b"short", "too short"),
        (b"0123456789" * 8, "too short"),  # 80 characters, so 8 to validate; 9 are needed
    ],
)
@pytest.mark.parametrize("command", ["train", "demo"])
def test_text_files(tmp_path, refused, command, content, expected):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    flags = TINY if command == "train" else ["--steps", "2", "--backend", "numpy", "--prompt", "s"]
    if command == "demo" and expected == "too short":
        flags[-1] = content.decode()[0]
    line = refused(command, "--data", path, "--out", tmp_path / "out", *flags)
    assert expected in line


def test_a_folder_without_text(tmp_path, refused):
    (tmp_path / "empty").mkdir()
    assert "no text in the folder" in refused("train", "--data", tmp_path / "empty", *TINY)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--n-embd", "9"], "n_embd 9 is not divisible by n_head 2"),
        (["--n-layer", "0"], "n_layer"),
        (["--block-size", "0"], "block_size"),
        (["--block-size", "600"], "too short"),
        (["--dropout", "1.5"], "dropout"),
        (["--dropout", "nan"], "dropout"),
        (["--steps", "0"], "steps"),
        (["--warmup", "5"], "warmup"),
        (["--lr", "-1"], "lr"),
        (["--lr", "nan"], "lr"),
        (["--betas", "0.9", "1.5"], "betas"),
        (["--seed", "-1"], "seed"),
        (["--workers", "0"], "workers"),
        (["--val-fraction", "0"], "val_fraction"),
        (["--val-fraction", "1.5"], "val_fraction"),
        (["--backend", "nonsense"], "no row 'nonsense'"),
        (["--vocab-size", "300"], "vocab_size is for the bpe and word tokenizers"),
        (["--tokenizer", "bpe", "--vocab-size", "255"], "at least 256"),
        (["--tokenizer", "bpe", "--val-fraction", "2"], "val_fraction"),
    ],
    ids=" ".join,
)
def test_settings_of_train(tmp_path, refused, text, flags, expected):
    assert expected in refused("train", "--data", text, "--out", tmp_path / "out", *TINY, *flags)


def test_out_that_is_a_file(refused, text):
    assert "checkpoints need a folder" in refused("train", "--data", text, "--out", text, *TINY)


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("[train", "cannot read"),
        ("[training]\nsteps = 2", "unknown tables ['training']"),
        ("steps = 2", "unknown tables ['steps']"),
        ("[train]\nstep = 2", "['step']"),
        ("[model]\nlayers = 2", "['layers']"),
        ("[data]\nfile = 'x'", "['file']"),
        ("train = 2", "train"),
        ("model = 2", "model"),
        ("[[data]]\nsource = 'x'", "data"),
        ("[train]\nsteps = '2'", "steps"),
        ("[train]\nbetas = 0.9", "betas"),
        ("[train]\nlr = 'fast'", "lr"),
        ("[train]\nbackend = 3", "3"),
        ("[train]\nbackend = ['numpy']", "numpy"),
        ("[model]\nn_layer = '2'", "n_layer"),
        ("[model]\nn_layer = 2.0", "n_layer"),
        ("[model]\nshape = 3", "shape"),
        ("[model]\nshape = ['baby']", "shape"),
        ("[model]\nseed = 'x'", "seed"),
        ("[model]\ndropout = 'some'", "dropout"),
        ("[model]\nbias = 'no'", "bias"),
        ("[model]\nlayer_norm_eps = 'small'", "layer_norm_eps"),
        ("[data]\nval_fraction = 'some'", "val_fraction"),
        ("[data]\ntokenizer = 'wordpiece'", "no tokenizer 'wordpiece': wanted char, word, bpe"),
        ("[data]\ntokenizer = ['bpe']", "no tokenizer ['bpe']"),
        ("[data]\ntokenizer = 'bpe'\nvocab_size = '300'", "vocab_size needs an integer"),
    ],
)
def test_a_bad_toml_file(tmp_path, refused, text, toml, expected):
    path = tmp_path / "run.toml"
    path.write_text(toml, encoding="utf-8")
    shape = ["--n-embd", "8", "--n-head", "2", "--block-size", "8", "--no-progress"]
    few = [] if "steps" in toml else ["--steps", "2", "--warmup", "1"]
    assert expected in refused("train", "--config", path, "--data", text, "--out", tmp_path / "out", *shape, *few)


def test_data_in_toml_of_the_wrong_type(tmp_path, refused):
    (tmp_path / "run.toml").write_text("[data]\nsource = 3\n", encoding="utf-8")
    assert "source" in refused("train", "--config", tmp_path / "run.toml", *TINY)


def test_no_toml_file(tmp_path, refused):
    assert "no configuration file" in refused("train", "--config", tmp_path / "run.toml", *TINY)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--prompt", "the dog"], "unknown character 'd' (U+0064 LATIN SMALL LETTER D) at index 4"),
        (["--prompt", ""], "prompt is empty"),
        (["--temperature", "-1"], "temperature"),
        (["--temperature", "nan"], "temperature"),
        (["--top-k", "0"], "top_k"),
        (["--top-p", "2"], "top_p"),
        (["--top-p", "0"], "top_p"),
        (["--n", "0"], "n, the number"),
        (["--max-new-tokens", "-1"], "max_new_tokens"),
        (["--stop", ""], "stop"),
        (["--seed", "-1"], "seed"),
        (["--repetition-penalty", "0"], "repetition_penalty"),
        (["--min-new-tokens", "400"], "min_new_tokens 400 is more than max_new_tokens 300"),
        (["--beams", "0"], "beams"),
        (["--beams", "2", "--top-k", "3"], "beam search draws nothing"),
        (["--logprobs", "-1"], "logprobs"),
        (["--logprobs", "1", "--stream"], "leave out --beams and --stream"),
        (["--microscope", "x.html", "--n", "2"], "leave out --beams, --n"),
        (["--microscope", "none/x.html", "--max-new-tokens", "1"], "does not exist"),
        (["--backend", "nonsense"], "no row 'nonsense'"),
    ],
    ids=" ".join,
)
def test_settings_of_generate(refused, model, flags, expected):
    usual = ["--prompt", "the ", "--backend", "numpy"]  # what is given twice counts as given last
    assert expected in refused("generate", "--model", model, *usual, *flags)


def test_generate_without_a_checkpoint(tmp_path, refused, text):
    assert "no checkpoint folder" in refused("generate", "--model", tmp_path / "none")
    assert "no checkpoint folder" in refused("generate", "--model", text)
    (tmp_path / "empty").mkdir()
    assert "config.json is missing" in refused("generate", "--model", tmp_path / "empty")


def test_generate_without_a_tokenizer(refused, model):
    (model / "char_tokenizer.json").unlink()
    assert "no tokenizer" in refused("generate", "--model", model, "--backend", "numpy")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "char_tokenizer.json"])
def test_generate_from_a_damaged_checkpoint(refused, model, name):
    path = model / name
    path.write_bytes(path.read_bytes()[:-20])
    assert name in refused("generate", "--model", model)


def test_weights_of_the_wrong_shape_are_still_one_line(refused, model):
    path = model / "model.safetensors"
    weights = load_file(path)
    save_file({name: np.concatenate([array, array]) for name, array in weights.items()}, path)
    assert "shape" in refused("generate", "--model", model)


def test_resume_of_nothing_and_of_a_damaged_run(tmp_path, refused, model):
    assert "missing" in refused("train", "--resume", tmp_path / "none")
    (model / "trainer.safetensors").write_bytes(b"")
    assert "trainer.safetensors" in refused("train", "--resume", model)


def test_demo_refuses_a_prompt_before_it_trains(tmp_path, refused, text):
    demo = ["demo", "--data", text, "--out", tmp_path / "out", "--steps", "1", "--backend", "numpy"]
    assert "unknown character 'X'" in refused(*demo, "--prompt", "the X")
    assert "prompt is empty" in refused(*demo, "--prompt", "")


def test_other_commands(tmp_path, refused, text):
    assert "wanted one of tinyshakespeare" in refused("data", "fetch", "shakespeer", "--folder", tmp_path)
    assert "http" in refused("data", "fetch", "tinyshakespeare", "--folder", tmp_path, "--url", "ftp://example.org/x")
    assert "no corpus and no file" in refused("data", "show", tmp_path / "none.txt")
    assert "no row" in refused("bench", "recipe", "--data", text, "--seeds", "1", "--steps", "1", "--backend", "fast")
    for argv in (["bench", "recipe", "--seeds", "0"], ["bench", "import", "--rounds", "0"]):
        with pytest.raises(SystemExit) as stopped:  # argparse's own refusal, with the usage
            main(argv)
        assert stopped.value.code == 2


def test_bench_kernels(tmp_path, refused):
    page = tmp_path / "page.md"
    page.write_text("no markers here", encoding="utf-8")
    assert "there is no kernel 'softmaxx'; there are adam_step" in refused("bench", "kernels", "--kernel", "softmaxx")
    assert "needs the line <!-- table: begin --> once" in refused("bench", "kernels", "--write", page)
    for path in (tmp_path / "none.md", tmp_path, ""):
        assert "cannot read" in refused("bench", "kernels", "--write", path)
    for more in (["--quick"], ["--kernel", "gelu"], ["--peer", "torch"]):
        assert "table of all kernels" in refused("bench", "kernels", "--write", page, *more)
