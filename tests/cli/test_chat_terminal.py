"""`minigpt chat` on a pseudo terminal: prompts, streaming, Ctrl-C, Ctrl-D, history, the question of completion."""

import codecs
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import scripted_chat

import minigpt

pty = pytest.importorskip("pty", reason="pseudo terminals are a matter of Unix")

ROOT = Path(minigpt.__file__).parents[1]
PATIENCE = 60  # seconds, on a busy machine


class Screen:
    """A chat in a terminal of its own."""

    def __init__(self, *flags, **more):
        keyboard, terminal = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "PYTHONIOENCODING": "utf-8", **more}
        command = [sys.executable, scripted_chat.__file__, "--model", "runs/x", *flags]
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True,
            preexec_fn=own_terminal,
        )  # fmt: skip
        os.close(terminal)
        self.keyboard, self.shown = keyboard, ""
        self.utf8 = codecs.getincrementaldecoder("utf-8")()  # strict: half a character is never shown

    def until(self, text):
        """What was shown from the last call up to `text`; fails after PATIENCE."""
        end = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert self.look(end), f"the chat ended before {text!r}: {self.shown!r}"
        before, _, self.shown = self.shown.partition(text)
        return before

    def look(self, end):
        """Wait for more on the screen until the clock shows `end`; False if there will be no more."""
        ready, _, _ = select.select([self.keyboard], [], [], max(0, end - time.monotonic()))
        assert ready, f"waited for more, got {self.shown!r}"
        try:
            more = os.read(self.keyboard, 65536)
        except OSError:  # how Linux says that the other side is closed
            more = b""
        self.shown += self.utf8.decode(more).replace("\r", "")
        return bool(more)

    def type(self, keys):
        os.write(self.keyboard, keys.encode("utf-8"))

    def press_until(self, key, text):
        """Press a key, once more each second until `text` is shown: a program between two reads does not notice it."""
        for _ in range(PATIENCE):
            self.type(key)
            end = time.monotonic() + 1
            while text not in self.shown and select.select([self.keyboard], [], [], max(0, end - time.monotonic()))[0]:
                self.look(end)
            if text in self.shown:
                break
        self.until(text)

    def end(self):
        """(exit code, the rest of what was shown)"""
        end = time.monotonic() + PATIENCE
        while self.look(end):
            pass
        return self.process.wait(timeout=PATIENCE), self.shown


def own_terminal():
    """Makes the pseudo terminal the one that Ctrl-C of this process comes from."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def screen():
    screens = []

    def make(*flags, **more):
        screens.append(Screen(*flags, **more))
        return screens[-1]

    yield make
    for one in screens:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        os.close(one.keyboard)


def test_two_turns_and_ctrl_d(screen):
    chat = screen()
    assert chat.until("you> ").endswith("/help lists the commands; exit or Ctrl-D leaves\n")
    chat.type("hi\n")
    assert chat.until("you> ") == "hi\nmodel> hello\n"
    chat.type("greek\n")
    assert chat.until("you> ") == "greek\nmodel> λόγος 🚀\n"
    chat.type("\n")  # nothing said, nothing answered
    assert chat.until("you> ") == "\n"
    chat.type("two lines\n")
    assert chat.until("you> ") == "two lines\nmodel> a\nb\\n\n"
    chat.type("\x04")
    assert chat.end() == (0, "\n")


def test_ctrl_c_stops_the_answer_and_keeps_what_was_said(screen, tmp_path):
    chat = screen(DELAY="0.02")
    chat.until("you> ")
    chat.type("long\n")
    chat.until("model> word word ")  # it streams: at most 2000 tokens of 20 ms are to come
    chat.type("\x03")
    shown = chat.until("you> ")
    assert shown.count("word") < 150
    assert shown.endswith("\n(stopped; what was said so far is kept)\n")
    chat.type(f"/save {tmp_path}/talk.jsonl\n")
    assert "2 messages saved" in chat.until("you> ")
    saved = (tmp_path / "talk.jsonl").read_text(encoding="utf-8")
    (answer,) = re.findall('"assistant", "content": "([^"]*)"', saved)
    assert "word word " + shown.split("\n")[0].replace("^C", "") == answer
    chat.type("hi\n")
    assert chat.until("you> ").endswith("model> hello\n")
    chat.type("quit\n")
    assert chat.end()[0] == 0


def test_ctrl_c_twice_stops_a_model_that_is_still_thinking(screen):
    chat = screen(DELAY="90")  # more than the patience of this test
    chat.until("you> ")
    chat.type("hi\n")
    chat.until("model> ")
    chat.press_until("\x03", "(no answer; the message is not kept either)")
    chat.until("you> ")


def test_ctrl_c_while_typing_gives_up_the_line(screen):
    chat = screen()
    chat.until("you> ")
    chat.type("something wrong")
    chat.until("something wrong")
    chat.press_until("\x03", "(Ctrl-D or exit leaves)\nyou> ")
    chat.type("\x04")  # leaves only from an empty line
    assert chat.end()[0] == 0


def test_history(screen):
    pytest.importorskip("readline", reason="this Python has no readline")
    chat = screen()
    chat.until("you> ")
    chat.type("hi\n")
    chat.until("you> ")
    chat.type("\x10\n")  # Ctrl-P, as arrow up: the line before
    assert chat.until("model> ").strip("\x08").endswith("hi\n")
    assert chat.until("you> ") == "hello\n"
    chat.type("\x04")
    assert chat.end()[0] == 0


def test_without_readline(screen, tmp_path):
    (tmp_path / "readline.py").write_text("raise ImportError('none here')", encoding="utf-8")
    chat = screen(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    chat.until("you> ")
    chat.type("hi\n")
    assert chat.until("you> ") == "hi\nmodel> hello\n"
    chat.type("\x04")
    assert chat.end()[0] == 0


def test_completion_is_asked_for(screen):
    chat = screen("--max-new-tokens", "3", PLAIN="1")
    asked = chat.until("[y/N] ")
    assert "was never tuned for dialogue" in asked
    assert "minigpt finetune --task arithmetic --from runs/x" in asked
    chat.type("y\n")
    chat.until("you> ")
    chat.type("once\n")
    assert chat.until("you> ") == "once\nmodel> wha\n"
    chat.type("\x04")
    assert chat.end()[0] == 0


@pytest.mark.parametrize("keys", ["\n", "n\n", "\x04"])
def test_completion_is_declined(screen, keys):
    chat = screen(PLAIN="1")
    chat.until("[y/N] ")
    chat.type(keys)
    code, shown = chat.end()
    assert code == 2
    assert shown.count("error: ") == 1
    assert "Traceback" not in shown
