"""`minigpt generate`: what it prints, and that seeds, stop strings and counts do what they say."""

import io
import sys

import pytest

import minigpt as mg
from minigpt.cli import main
from minigpt.models import GPT

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
