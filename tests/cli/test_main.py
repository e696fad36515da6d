"""The command line as a whole: help, unknown words, exit codes, the ways to start it."""

import argparse
import configparser
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import minigpt
from minigpt import cli
from minigpt.cli import COMMANDS, main
from minigpt.data.tasks import TASKS
from minigpt.training.finetune import METHODS

ROOT = Path(minigpt.__file__).parents[1]
ACTIONS = [
    ("data", "list"),
    ("data", "fetch"),
    ("data", "show"),
    ("bench", "recipe"),
    ("bench", "train"),
    ("bench", "decode"),
    ("bench", "observers"),
    ("bench", "int8"),
    ("bench", "import"),
    ("bench", "induction"),
    ("bench", "kernels"),
    ("bench", "load"),
    ("bench", "objectives"),
    ("bench", "progressive"),
    ("bench", "recurrent"),
    ("bench", "seq2seq"),
    ("bench", "start"),
    ("bench", "tasks"),
    ("bench", "time-to-loss"),
    ("bench", "tokenizer"),
]


def help_of(capsys, *words):
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--help"])
    out, err = capsys.readouterr()
    assert exit_.value.code == 0
    assert err == ""
    return out


def test_help_lists_every_command_with_a_line(capsys):
    text = help_of(capsys)
    for name in COMMANDS:
        assert re.search(rf"^ +{name} +\w+", text, re.MULTILINE), name
    assert "minigpt demo" in text  # where to start


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_a_purpose_and_an_example(capsys, name):
    text = help_of(capsys, name)
    example = text.split("example:")[1].strip()
    for line in map(str.strip, example.splitlines()):
        assert line.startswith(f"minigpt {name} ")
        words = shlex.split(line, comments=True)[1:]
        cli.build_parser().parse_args(words)  # an example that is no valid command helps nobody
    assert importlib.import_module(f"minigpt.cli.{name}").__doc__.splitlines()[0] in text


@pytest.mark.parametrize("words", ACTIONS, ids=" ".join)
def test_help_of_a_subcommand_says_what_it_does(capsys, words):
    text = help_of(capsys, *words)
    assert f"minigpt {' '.join(words)}" in text
    purpose = text.split("\n\n")[1]
    assert not purpose.startswith(("positional", "options")), "no line says what it does"
    assert re.search(rf"example:\s+minigpt {' '.join(words)}", text)


def parsers(parser):
    """A parser and those of its subcommands, to any depth."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def test_every_flag_is_explained():
    every = list(parsers(cli.build_parser()))
    assert len(every) == 1 + len(COMMANDS) + len(ACTIONS)
    for parser in every:
        for action in parser._actions:
            explained = action.help or isinstance(action, argparse._SubParsersAction)
            assert explained, (parser.prog, action.option_strings or action.dest)


def test_help_of_train_tells_where_it_writes(capsys):
    """Without --out, train writes into runs/train; help that says "None: nothing is written" is wrong there."""
    assert "runs/train" in help_of(capsys, "train")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["train", "--speed", "9"],
        ["train", "--steps", "many"],
        ["train", "--betas", "0.9"],
        ["train", "--shape", "huge"],
        ["generate", "extra"],
        ["data"],
        ["data", "dance"],
        ["bench", "dance"],
        ["demo", "--steps"],
    ],
    ids=" ".join,
)
def test_unknown_words_give_exit_code_2(capsys, words):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    out, err = capsys.readouterr()
    assert exit_.value.code == 2
    assert out == ""
    assert "usage: minigpt" in err
    assert "error: " in err


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"minigpt {minigpt.__version__}\n"


def test_the_console_script_calls_main(capsys, monkeypatch):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    name, _, target = setup["options.entry_points"]["console_scripts"].strip().partition(" = ")
    assert name == "minigpt"
    module, _, function = target.partition(":")
    monkeypatch.setattr(sys, "argv", ["minigpt", "data", "list"])  # what the installed script leaves to it
    assert getattr(importlib.import_module(module), function)() == 0
    assert "tinyshakespeare" in capsys.readouterr().out


def test_python_dash_m_hands_on_the_exit_code(tmp_path):
    command = [sys.executable, "-m", "minigpt", "generate", "--model", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: no checkpoint folder")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_outside_of_training_is_130_without_traceback(capsys, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("minigpt.data.corpora.load_corpus", pressed)
    assert main(["data", "show", "python"]) == 130
    out, err = capsys.readouterr()
    assert (out, err) == ("", "stopped\n")


def test_help_of_finetune_names_every_task_and_method(capsys):
    """With what a task asks, and what each method does; and no default that cannot be typed."""
    text = help_of(capsys, "finetune")
    for task in TASKS:
        assert re.search(rf"^  {task} .* -> ", text, re.MULTILINE), task
    for method in METHODS:
        assert re.search(rf"^  {method} ", text, re.MULTILINE), method
    assert "None" not in text + help_of(capsys, "train")
