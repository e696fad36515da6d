"""Arguments and steps that several commands share."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from contextlib import contextmanager

from ..backend import best_row, use
from ..errors import ConfigError


def add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backend", metavar="ROW", help="numpy, cpu or cuda (default: cpu if usable here, else numpy)")


def chosen_row(name: str | None) -> use:
    """A `with` block on the row of that name, or on the best one here; says which it is."""
    name = name or best_row()
    row = use(name)
    print(f"running on the {name!r} row", file=sys.stderr)
    return row


def add_action(actions, name: str, text: str, example: str) -> argparse.ArgumentParser:
    """A command below a command, with a description and an example of its own."""
    return actions.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


@contextmanager
def notes_afterwards():
    """Warnings inside the block are shown behind it, not in the middle of a line that is being written."""
    with warnings.catch_warnings(record=True) as notes:
        yield
    for note in notes:
        warnings.warn(note.message, note.category, stacklevel=1)


def positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


METAVARS = {int: "N", float: "X", str: "TEXT"}


def add_dataclass_flags(parser, cls, only=None, skip=()) -> None:
    """One flag per field of a dataclass (those of `only`, in its order), with the field's help.

    A flag that is not given stays None. A field may name its metavar in metadata.
    """
    known = {f.name: f for f in dataclasses.fields(cls)}
    for f in (known[name] for name in only or known if name not in skip):
        flag, text = "--" + f.name.replace("_", "-"), help_of(f)
        if f.type == "bool":
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        elif "tuple" in f.type:
            parser.add_argument(flag, type=float, nargs=2, default=None, metavar="X", help=text)
        else:
            kind = int if "int" in f.type else float if "float" in f.type else str
            name = f.metadata.get("metavar", METAVARS[kind])
            parser.add_argument(flag, type=kind, default=None, metavar=name, help=text)


def help_of(f: dataclasses.Field) -> str:
    """The line of a field, with its default in brackets; what a default of None means stands in it as "None: …"."""
    text, _, none = f.metadata.get("help", "").partition("None: ")
    text = text.rstrip("; ").replace("%", "%%")
    if f.default is None:
        return f"{text} (default: {none})" if none else text
    default = f.default
    if isinstance(default, bool):
        default = "on" if default else "off"
    elif isinstance(default, tuple):
        default = " ".join(map(str, default))
    return f"{text} (default: {default})"


def given_flags(args, cls) -> dict:
    """The flags of a dataclass that were given on the command line."""
    names = [f.name for f in dataclasses.fields(cls)]
    return {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}


def check_tables(values: dict, known: tuple[str, ...], path) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"{path} has unknown tables {unknown}; known are {', '.join(f'[{k}]' for k in known)}")
