"""`minigpt chat` with pipes: one line of output for each line of input, commands, and what is refused."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import scripted_chat
from scripted_chat import ANSWERS, ScriptedChat

import minigpt
from minigpt.cli import main
from minigpt.cli.chat_session import COMMANDS
from minigpt.data import Conversation, add_dialogue_tokens, read_jsonl
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer

ROOT = Path(minigpt.__file__).parents[1]
ROW = "running on the 'numpy' row\n"


@pytest.fixture
def talk(monkeypatch, capsys):
    """A function (lines, flags, model) -> (lines of stdout, what stderr says after the row)."""

    def run(lines, *flags, model=None, code=0):
        model = model or ScriptedChat(ANSWERS)
        monkeypatch.setattr(GPT, "from_pretrained", lambda folder: model)
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(line + "\n" for line in lines)))
        assert main(["chat", "--model", "runs/x", "--backend", "numpy", *map(str, flags)]) == code
        out, err = capsys.readouterr()
        assert out.count("\n") == len(lines)
        assert "\x1b" not in out
        return out.split("\n")[:-1], err.removeprefix(ROW)

    return run


def test_line_n_answers_line_n(talk):
    out, err = talk(["hi", "", "two lines", "  ", "/temp 0", "nothing", "greek", "hm"])
    assert out == ["hello", "", r"a\nb\\n", "", "", "", "λόγος 🚀", "what?"]
    assert err == "temperature 0.0\n(no answer; the message is not kept either)\n"


@pytest.mark.parametrize("word", ["exit", "quit", " quit ", "/exit", "/quit"])
def test_leaving(monkeypatch, capsys, word):
    monkeypatch.setattr(GPT, "from_pretrained", lambda folder: ScriptedChat(ANSWERS))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"hi\n{word}\nhi\n"))
    assert main(["chat", "--model", "x", "--backend", "numpy"]) == 0
    assert capsys.readouterr().out == "hello\n\n"


def test_the_last_line_needs_no_end(monkeypatch, capsys):
    monkeypatch.setattr(GPT, "from_pretrained", lambda folder: ScriptedChat(ANSWERS))
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\nhi"))
    assert main(["chat", "--model", "x", "--backend", "numpy"]) == 0
    assert capsys.readouterr().out == "hello\nhello\n"


def test_several_turns_are_one_conversation(talk):
    model = ScriptedChat(ANSWERS)
    talk(["hi", "hm", "/reset", "hm"], "--system", "s", model=model)
    assert model.seen == [
        "<|system|>s<|end|><|user|>hi<|end|><|assistant|>",
        "<|system|>s<|end|><|user|>hi<|end|><|assistant|>hello<|end|><|user|>hm<|end|><|assistant|>",
        "<|system|>s<|end|><|user|>hm<|end|><|assistant|>",
    ]
    assert len(model.fed[6]) == 6  # the cache held the rest


@pytest.mark.filterwarnings("default")
def test_the_full_context_is_said_once(talk):
    out, err = talk(["hi"] * 9, model=ScriptedChat(ANSWERS, block_size=48))
    assert out == ["hello"] * 9
    assert err.count("note: the context of 48 tokens is full") == 1
    assert err.count("\n") == 1


@pytest.mark.filterwarnings("default")
def test_a_message_that_does_not_fit(talk):
    out, err = talk(["x" * 60, "hi", "x" * 40], model=ScriptedChat(ANSWERS, block_size=48))
    assert out == ["", "hello", "what?"]
    assert err.startswith("error: the message is too long: with the marks of its turn it takes 63 tokens, the context")
    assert "note: the context of 48 tokens is full" in err


def test_cut_answers_are_told(talk):
    assert talk(["hi"], "--max-new-tokens", 2) == (
        ["he"],
        "(cut after 2 tokens; --max-new-tokens allows for more)\n",
    )
    out, err = talk(["x" * 40], model=ScriptedChat({"x" * 40: "long answer"}, block_size=48))
    assert (out, err) == (["long "], "(cut: the context of 48 tokens is full)\n")


# ---- commands


def test_save_and_load(talk, tmp_path):
    path = tmp_path / "new" / "talk.jsonl"
    _, err = talk(["hi", "greek", f"/save {path}"], "--system", "s")
    assert err == f"5 messages saved in {path}\n"
    (saved,) = read_jsonl(path)
    assert [m.content for m in saved.messages] == ["s", "hi", "hello", "greek", "λόγος 🚀"]
    assert "λόγος" in path.read_text(encoding="utf-8")
    model = ScriptedChat(ANSWERS)
    _, err = talk(["hm", f"/load {path}", "hi", f"/save {path}"], model=model)
    assert err == f"5 messages loaded from {path}\n7 messages saved in {path}\n"
    assert model.seen[-1].startswith("<|system|>s<|end|><|user|>hi<|end|>")
    assert len(next(read_jsonl(path)).messages) == 7


def test_files_with_spaces_and_several_conversations(talk, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = tmp_path / "two talks.jsonl"
    lines = [{"prompt": "a?", "reply": "a"}, {"prompt": "b?", "reply": "b"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    model = ScriptedChat(ANSWERS)
    _, err = talk(["/load ~/two talks.jsonl", "hi"], model=model)
    assert err == f"2 messages loaded from {path} (the first conversation in it)\n"
    assert model.seen[-1].startswith("<|user|>a?<|end|><|assistant|>a<|end|>")


DAMAGED = {
    "broken.jsonl": (b'{"messages": [', "line 1, column 15: no valid JSON"),
    "empty.jsonl": (b"", "holds no record"),
    "binary.jsonl": (b"\x00\x01", "binary"),
    "latin.jsonl": (b"caf\xe9", "not UTF-8"),
    "label.jsonl": (b'{"text": "a", "label": "b"}', "labelled text"),
    "user.jsonl": (b'{"messages": [{"role": "user", "content": "a"}]}', "the last one needs to be the assistant's"),
    "roles.jsonl": (b'{"messages": [{"role": "bot", "content": "a"}]}', "role"),
    "half.jsonl": (b'{"prompt": "\\ud800", "reply": "a"}', "lone surrogate"),
    "none.jsonl": (None, "no file"),
    "notes.txt": (b"some text", "takes the name of a .jsonl file"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_loading_what_is_no_conversation_keeps_the_one_there_is(talk, tmp_path, name):
    content, message = DAMAGED[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    model = ScriptedChat(ANSWERS)
    out, err = talk(["hi", f"/load {tmp_path / name}", "hm"], model=model)
    assert out == ["hello", "", "what?"]
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert "hello" in model.seen[-1]


def test_saving_where_that_is_impossible(talk, tmp_path):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "text.txt").write_text("precious", encoding="utf-8")
    lines = ["/save a.jsonl", "hi", f"/save {tmp_path / 'folder.jsonl'}", f"/save {tmp_path / 'text.txt'}", "/save"]
    out, err = talk(lines)
    assert out == ["", "hello", "", "", ""]
    nothing, folder, text, nowhere = err.splitlines()
    assert nothing == "error: nothing was said yet, there is nothing to save"
    assert folder.startswith("error: cannot write")
    assert "takes the name of a .jsonl file, as in /save talk.jsonl" in text
    assert "got ''" in nowhere
    assert (tmp_path / "text.txt").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/temp", "temperature 0.8"),
        ("/temp 0.25", "temperature 0.25"),
        ("/temp -1", "error: temperature is a number from 0 (always the likeliest token) up, got -1.0"),
        ("/temp hot", "error: temperature is a number from 0 (always the likeliest token) up, got 'hot'"),
        ("/temp nan", "error: temperature is a number from 0 (always the likeliest token) up, got nan"),
        ("/seed 5", "seed 5"),
        ("/seed -5", "error: /seed takes an integer from 0 up, as in /seed 1; got '-5'"),
        ("/seed", "error: /seed takes an integer from 0 up, as in /seed 1; got ''"),
        ("/system Be brief.", "the system says: Be brief."),
        ("/system", "the system says nothing"),
        ("/reset", "the conversation begins anew"),
    ],
)
def test_commands(talk, line, told):
    assert talk([line, "hi"]) == (["", "hello"], told + "\n")


def test_an_unknown_command_lists_them(talk):
    out, err = talk(["/rest", " /rest", "/"])
    assert out == ["", "what?", ""]  # after a space it is a message
    assert err.startswith("error: there is no command /rest; there are /reset, /save FILE, ")
    assert all(usage in err for usage in COMMANDS)


def test_help_lists_every_command(talk):
    _, err = talk(["/help"])
    assert all(f"{usage} " in err and purpose in err for usage, purpose in COMMANDS.items())
    assert "exit, quit" in err


def test_seed_and_temperature_reach_the_model(talk):
    def uncertain(text):
        return "ab"

    class Uncertain(ScriptedChat):
        def next_logits(self, ids, cache):
            return super().next_logits(ids, cache) * 0.02  # so that drawing has something to draw

    out, _ = talk(["/seed 1", "a", "/reset", "/seed 1", "a", "/reset", "/seed 2", "a", "/temp 0", "a"],
                  "--max-new-tokens", 8, model=Uncertain(uncertain))  # fmt: skip
    assert out[1] == out[4] != out[7]
    assert out[9] == "ab"
    flags = ["--max-new-tokens", 8, "--seed", 1]
    assert talk(["a"], *flags, model=Uncertain(uncertain))[0] == [out[1]]
    assert talk(["a"], *flags, "--top-k", 1, model=Uncertain(uncertain))[0] == ["ab"]


# ---- what is refused, and completion


def test_a_model_that_was_never_tuned(monkeypatch, capsys):
    monkeypatch.setattr(GPT, "from_pretrained", lambda folder: ScriptedChat(ANSWERS, dialogue=False))
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\n"))
    assert main(["chat", "--model", "runs/demo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: the model in runs/demo was never tuned for dialogue")
    assert "minigpt finetune --task arithmetic --from runs/demo" in err
    assert "add --completion" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("dialogue", [False, True])
def test_completion(talk, dialogue):
    model = ScriptedChat(lambda text: "\nand on", dialogue=dialogue)
    if dialogue:  # without <|assistant|> in the text the fake counts from the end of the prompt
        del model.tokenizer.special_tokens["<|assistant|>"]
    out, err = talk(["once", "/temp 0", "/save x.jsonl", "/reset"], "--completion", "--max-new-tokens", 7, model=model)
    assert out == [r"\nand on", "", "", ""]
    assert err.startswith("temperature 0.0\nerror: /save belongs to a dialogue; here the model only continues")
    assert model.fed[0] == model.tokenizer.encode("once")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--temperature", -1], "temperature is a number from 0"),
        (["--top-k", 0], "top_k"),
        (["--top-p", 2], "top_p"),
        (["--max-new-tokens", 0], "max_new_tokens is an integer from 1 up"),
        (["--seed", -1], "seed"),
        (["--system", ""], "empty"),
        (["--system", "s", "--completion"], "--system belongs to a dialogue"),
        (["--completion", "--temperature", -1], "temperature is a number from 0"),
        (["--backend", "nonsense"], "no row 'nonsense'"),
    ],
    ids=str,
)
def test_wrong_settings(monkeypatch, capsys, flags, message):
    monkeypatch.setattr(GPT, "from_pretrained", lambda folder: ScriptedChat(ANSWERS))
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\n"))
    assert main(["chat", "--model", "x", "--backend", "numpy", *map(str, flags)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.removeprefix(ROW).startswith("error: ")
    assert message in err


def test_no_such_model(tmp_path, capsys):
    assert main(["chat", "--model", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("error: no checkpoint folder")
    with pytest.raises(SystemExit) as stopped:
        main(["chat"])
    assert stopped.value.code == 2


# ---- as a process of its own


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random model of characters, with dialogue tokens."""
    place = tmp_path_factory.mktemp("chat")
    tok = CharTokenizer("abcdefgh ?")
    add_dialogue_tokens(tok)
    model = GPT(GPTConfig(tok.vocab_size, 32, 1, 2, 8), seed=0)
    model.tokenizer = tok
    model.save_pretrained(place)
    return place


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **more}


@pytest.mark.parametrize("flags", [[], ["--int8"], ["--completion"]], ids=str)
def test_a_real_model_through_pipes(folder, flags):
    command = [sys.executable, "-m", "minigpt", "chat", "--model", str(folder), "--backend", "numpy",
               "--seed", "1", "--max-new-tokens", "6", "--temperature", "2", *flags]  # fmt: skip
    lines = b"abc?\n/temp 1.5\nunknown letters\ncaf\xe9\n\nabcdefgh\nab cd ef\nab\n"
    runs = [subprocess.run(command, input=lines, capture_output=True, timeout=60, env=environment()) for _ in range(2)]
    done = runs[0]
    assert done.returncode == 0, done.stderr
    out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert out.count("\n") == lines.count(b"\n")
    assert [bool(line) for line in out.splitlines()][:5] == [True, False, False, False, False]
    assert "unknown character 'u'" in err
    assert "lone surrogate" in err
    assert "Traceback" not in err
    assert runs[1].stdout == done.stdout


def test_answers_come_while_the_pipe_stays_open():
    command = [sys.executable, scripted_chat.__file__, "--model", "x"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    ) as process:
        for line, answer in ((b"hi\n", b"hello\n"), (b"hm\n", b"what?\n")):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().replace(b"\r", b"") == answer
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process alone")
def test_ctrl_c_ends_a_piped_chat():
    command = [sys.executable, scripted_chat.__file__, "--model", "x"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(DELAY="0.01")
    ) as process:
        process.stdin.write(b"long\nhi\n")
        process.stdin.flush()
        assert process.stdout.read(1) == b"w"  # the answer has begun
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.endswith(b"stopped\n")
    assert b"Traceback" not in err
    assert out.endswith(b"\n")
    assert b"hello" not in out


def test_a_saved_conversation_trains(tmp_path, talk):
    """What /save writes is what fine-tuning reads."""
    path = tmp_path / "talk.jsonl"
    talk(["hi", f"/save {path}"])
    assert list(read_jsonl(path)) == [Conversation.exchange("hi", "hello")]
