"""Where a chat reads its lines and writes its answers: a terminal, or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator

from ..training.interrupt import StopRequest


class Terminal:
    """Prompts, line editing with history where readline exists (not on Windows), Ctrl-C to stop an answer."""

    def __init__(self):
        _keep_undecodable_bytes()
        try:
            import readline  # noqa: F401  input() uses it from now on
        except ImportError:
            pass

    def agrees(self, question: str) -> bool:
        """Whether the user answers the question with y."""
        try:
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            print()
            return False

    def lines(self) -> Iterator[str]:
        """What is typed, until Ctrl-D. Ctrl-C gives up the line."""
        print("/help lists the commands; exit or Ctrl-D leaves")
        while True:
            try:
                yield input("you> ")
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print("\n(Ctrl-D or exit leaves)")

    def answer(self, pieces: Generator[str, None, None]) -> None:
        """Print an answer while it is written. Ctrl-C stops it after the token that is being computed, a second one
        at once."""
        print("model> ", end="", flush=True)
        try:
            with StopRequest() as stop:
                for piece in pieces:
                    print(piece, end="", flush=True)
                    if stop.requested:
                        break
        except KeyboardInterrupt:
            pass
        finally:
            pieces.close()  # what was said so far counts
            print(flush=True)

    def say(self, text: str) -> None:
        """What a command found, or a note."""
        print(text)


class Pipe:
    """One line of output for each line of input; everything else goes to stderr. Ctrl-C ends it all."""

    def __init__(self):
        _keep_undecodable_bytes()

    def agrees(self, question: str) -> bool:
        """Nobody can be asked."""
        return False

    def lines(self) -> Iterator[str]:
        for line in sys.stdin:
            try:
                yield line.removesuffix("\n")
            finally:  # whatever came of it, the next answer stands on the next line
                print(flush=True)

    def answer(self, pieces: Generator[str, None, None]) -> None:
        for piece in pieces:
            print(piece.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n"), end="", flush=True)

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)


def _keep_undecodable_bytes() -> None:
    """Bytes of the input that are no text are refused with the message they stand in, not with a traceback."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")
