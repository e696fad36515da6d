"""Files that appear whole or not at all, errors that say which file and why, and where fetched files lie.

Everything is written to a temporary file in the same folder, flushed to the disk, and moved onto its name in one
step; a full disk or a crash leaves the file from before.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .errors import CheckpointError


class FileGroup:
    """Files of one folder that change together: written beside their names inside the block, moved at its end.

        with FileGroup(folder) as files:
            files.json("config.json", {...})
            files.tensors("model.safetensors", {...})

    If anything fails, nothing is moved. Raises CheckpointError with the reason (disk full, no permission …).
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._staged: list[tuple[Path, Path]] = []  # (temporary, final)
        self._stale: list[Path] = []

    def __enter__(self):
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot make the folder {self.folder}: {error.strerror or error}") from error
        return self

    def add(self, name: str, write: Callable[[Path], object]) -> None:
        """Stage one file; write(path) fills it."""
        final = self.folder / name
        temporary = self.folder / f".{name}.{secrets.token_hex(4)}.part"
        staged = False
        try:
            if final.is_dir():
                raise IsADirectoryError("a folder of that name is in the way")
            with open(temporary, "xb") as file:
                mode = os.fstat(file.fileno()).st_mode
            write(temporary)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())  # on the disk before its name points to it
            os.chmod(temporary, stat.S_IMODE(mode))  # some writers make files that only the owner can read
            self._staged.append((temporary, final))
            staged = True
        except OSError as error:
            raise CheckpointError(
                f"cannot write {final}: {error.strerror or error}; what was there before is untouched"
            ) from error
        finally:
            if not staged:
                temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete a file at the end, if it is there: one from an earlier content of the folder, now misleading."""
        self._stale.append(self.folder / name)

    def bytes(self, name: str, content: bytes) -> None:
        self.add(name, lambda path: path.write_bytes(content))

    def text(self, name: str, content: str) -> None:
        self.bytes(name, content.encode("utf-8"))

    def json(self, name: str, values) -> None:
        self.text(name, json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    def tensors(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """A safetensors file."""
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        contiguous = {key: np.ascontiguousarray(array).reshape(np.shape(array)) for key, array in arrays.items()}

        def write(path):
            try:
                save_file(contiguous, path, metadata={"format": "pt"})
            except SafetensorError as error:  # how it reports a full disk
                raise OSError(str(error)) from error

        self.add(name, write)

    def __exit__(self, kind, *exc):
        try:
            while self._staged and kind is None:
                temporary, final = self._staged[0]
                os.replace(temporary, final)
                self._staged.pop(0)
            for final in self._stale if kind is None else ():
                final.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot write {final}: {error.strerror or error}") from error
        finally:
            for temporary, _ in self._staged:
                temporary.unlink(missing_ok=True)


def read_json(path) -> dict:
    """Raises CheckpointError if the file is missing or is no JSON object."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds a {type(values).__name__}, a JSON object is needed")
    return values


def read_tensors(path) -> dict[str, np.ndarray]:
    """Raises CheckpointError if the file is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from None
    except (TypeError, AttributeError, KeyError) as error:  # a number type that NumPy does not have
        raise CheckpointError(
            f"cannot read {path}: it holds numbers of a type that NumPy lacks (bfloat16, float8): {error}; "
            "save it as float32 first"
        ) from None


def read_tensor(path, name: str) -> np.ndarray:
    """One array of a safetensors file; the others are not read. Raises CheckpointError as read_tensors does."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor(name)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {name!r} from {path}: {error}") from None


def data_folder() -> Path:
    """Where fetched files lie: $MINIGPT_DATA, else `minigpt` in the user's cache folder of the platform."""
    if os.environ.get("MINIGPT_DATA"):
        return Path(os.environ["MINIGPT_DATA"])
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "minigpt"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "minigpt"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache") / "minigpt"
