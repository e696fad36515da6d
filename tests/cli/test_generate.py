"""`minigpt generate`: what it prints, and that seeds, stop strings and counts do what they say."""

import io
import sys

import pytest

import minigpt as mg
from minigpt.cli import main
from minigpt.cli.generate import unescaped
from minigpt.models import GPT
from minigpt.viz import visible

TEXT = "the cat sat on the mat.\n" * 30
MODEL = ["--block-size", "8", "--n-layer", "1", "--n-head", "2", "--n-embd", "8", "--batch-size", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("generate")
    (place / "text.txt").write_text(TEXT, encoding="utf-8")
    run = ["train", "--data", str(place / "text.txt"), "--out", str(place / "run"), *MODEL, "--steps", "3"]
    assert main([*run, "--warmup", "1", "--no-progress", "--backend", "numpy"]) == 0
    return place / "run"


@pytest.fixture
def generate(folder, capsys):
    def run(*words):
        flags = ["generate", "--model", folder, "--prompt", "the ", "--max-new-tokens", 4, "--backend", "numpy", *words]
        assert main([str(word) for word in flags]) == 0
        return capsys.readouterr()

    return run


def test_prompt_and_continuation(generate, folder):
    out, err = generate("--seed", 1, "--temperature", 0.7, "--top-k", 5, "--top-p", 0.9)
    model = GPT.from_pretrained(folder)
    (text,) = mg.generate(model, None, "the ", 4, temperature=0.7, top_k=5, top_p=0.9, seed=1)
    assert out == f"the {text}\n"
    assert err == "running on the 'numpy' row\n"


def test_seeds(generate):
    long = ["--prompt", "t", "--max-new-tokens", 7, "--temperature", 1.5]
    texts = [generate(*long, "--seed", seed).out for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3
    assert len({generate(*long).out for _ in range(4)}) > 1  # without a seed each run differs


def test_temperature_0_is_greedy(generate):
    assert generate("--temperature", 0, "--seed", 1).out == generate("--temperature", 0, "--seed", 2).out


def test_several_continuations_are_numbered(generate):
    out = generate("--n", 2, "--seed", 1).out
    assert out.count("--- 1 of 2\nthe ") == out.count("--- 2 of 2\nthe ") == 1


def test_stop_may_be_given_several_times(generate, folder):
    whole = mg.generate(GPT.from_pretrained(folder), None, "the ", 4, n=2, seed=5)
    stops = [whole[0][2], whole[1][1]]
    out = generate("--n", 2, "--seed", 5, "--temperature", 1, "--stop", stops[0], "--stop", stops[1]).out
    cut = [min(text.find(s) if s in text else 4 for s in stops) for text in whole]
    assert out == "".join(f"--- {i + 1} of 2\nthe {whole[i][: cut[i]]}\n" for i in range(2))


@pytest.mark.parametrize("count", [0, 1])
def test_few_new_tokens(generate, count):
    assert len(generate("--max-new-tokens", count).out) == len("the \n") + count


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("prompt", "count", "note"), [("the cat sat", 5, "the prompt has 11 tokens"), ("the cat", 9, "has grown past")]
)
def test_past_the_context_it_goes_on_and_says_so_once(generate, prompt, count, note):
    out, err = generate("--prompt", prompt, "--max-new-tokens", count, "--n", 2)
    assert err.count("note: ") == 1
    assert note in err
    assert "the last 8 tokens" in err
    first = out.removeprefix("--- 1 of 2\n").split("--- 2 of 2")[0]
    assert len(first) == len(prompt) + count + 1


def test_a_prompt_of_the_whole_context_needs_no_note(generate):
    assert "note" not in generate("--prompt", "the cat ", "--max-new-tokens", 1).err


def test_a_console_that_cannot_show_every_character(tmp_path, monkeypatch, capsys):
    """Windows writes cp1252 into pipes and files; a λ in the text is no reason to stop with a traceback."""
    path = tmp_path / "greek.txt"
    path.write_text("λόγος και μέτρο. " * 40, encoding="utf-8")
    run = ["train", "--data", str(path), "--out", str(tmp_path / "run"), *MODEL, "--steps", "1", "--warmup", "1"]
    assert main([*run, "--no-progress", "--backend", "numpy"]) == 0
    generate = ["generate", "--model", str(tmp_path / "run"), "--prompt", "λό", "--backend", "numpy"]
    for words in ([*generate, "--max-new-tokens", "4"], ["data", "show", str(path)]):
        narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
        monkeypatch.setattr(sys, "stdout", narrow)
        assert main(words) == 0
        narrow.flush()
        assert narrow.buffer.getvalue()


# ---- streams, stdin, beams, log-probabilities, the microscope


def test_stop_understands_escapes(generate):
    out = generate("--temperature", 5, "--n", 30, "--stop", r"\n", "--seed", 3).out
    texts = [text.split("\n", 1)[1] for text in out.split("--- ")[1:]]
    assert len({len(text) for text in texts}) > 1  # some met a new line
    assert all(text.count("\n") == 1 for text in texts)
    assert [unescaped(s) for s in (r"\n", r"a\tb", r"\\n", r"\x", "n")] == ["\n", "a\tb", r"\n", r"\x", "n"]


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(
    "more", [["--seed", 1], ["--beams", 3, "--temperature", 0], ["--seed", 2, "--stop", "a"]], ids=str
)
def test_a_stream_prints_what_is_printed_without_it(generate, n, more):
    plain = generate("--n", n, *more)
    assert generate("--n", n, "--stream", *more) == plain


@pytest.mark.filterwarnings("default")
def test_a_note_does_not_fall_into_the_stream(generate):
    out, err = generate("--stream", "--max-new-tokens", 20)
    assert "note" not in out
    assert err.count("note: the text has grown past the context") == 1


def test_ctrl_c_while_streaming_ends_the_line(folder, capsys, monkeypatch):
    steps = []
    next_logits = GPT._next_logits

    def impatient(self, ids, cache):
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return next_logits(self, ids, cache)

    monkeypatch.setattr(GPT, "_next_logits", impatient)
    words = ["generate", "--model", str(folder), "--prompt", "the ", "--stream", "--backend", "numpy", "--seed", "1"]
    assert main(words) == 130
    out, err = capsys.readouterr()
    assert out.startswith("the ")
    assert out.endswith("\n")
    assert len(out) == len("the ") + 2 + 1
    assert err.endswith("stopped\n")
    assert "Traceback" not in err


def test_prompt_from_stdin(generate, monkeypatch):
    wanted = generate("--seed", 1)
    monkeypatch.setattr(sys, "stdin", io.StringIO("the \n"))
    assert generate("--prompt", "-", "--seed", 1) == wanted


def test_beams_and_penalty(generate, folder):
    (best,) = mg.generate(GPT.from_pretrained(folder), None, "the ", 4, beams=3)
    assert generate("--beams", 3).out == f"the {best}\n"
    settings = {"temperature": 0, "repetition_penalty": 9.0}
    (other,) = mg.generate(GPT.from_pretrained(folder), None, "the ", 4, **settings)
    assert generate("--temperature", 0, "--repetition-penalty", 9).out == f"the {other}\n"


def test_logprobs(generate):
    out, err = generate("--logprobs", 2, "--seed", 1)
    text, *table = out.splitlines()
    assert generate("--seed", 1).out == text + "\n"
    assert len(table) == 4
    for token, line in zip(text.removeprefix("the "), table, strict=True):
        shown, logprob, _, best, *_ = line.split()
        assert shown == visible(token)
        assert float(logprob) <= float(best) + 0.01 <= 0.01
    assert err.endswith("4 tokens read, 4 written\n")


def test_microscope(generate, tmp_path):
    path = tmp_path / "look.html"
    out, err = generate("--microscope", path, "--seed", 1, "--top-k", 3)
    assert out == generate("--seed", 1, "--top-k", 3).out
    assert "top-k 3" in path.read_text(encoding="utf-8")
    assert str(path) in err
