"""Downloads of a few known files: resumable, checked, and into the user's cache folder.

Nothing is fetched unless `fetch` is called (`minigpt data fetch NAME`). Data goes to `FILE.part`; only when
size and SHA-256 are right does it take its final name, so a file under that name is always whole. Corpora are
listed here, published models in `published.py`.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ..errors import ArgumentError, DataError
from ..files import data_folder

CHUNK = 64 * 1024  # bytes read at a time


@dataclass(frozen=True)
class Download:
    """One known file. `size_bytes` and `sha256` are None where no public source states them.

    A file without a SHA-256 counts as right if it came whole; it is not resumed, since two halves could not be checked.
    """

    name: str
    url: str
    size_bytes: int | None
    sha256: str | None
    file: str
    licence: str


DOWNLOADS = {
    entry.name: entry
    for entry in [
        Download(
            name="tinyshakespeare",
            url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            size_bytes=1_115_394,
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            file="tinyshakespeare.txt",
            licence="plays of William Shakespeare, public domain; selection from char-rnn, MIT licence",
        ),
    ]
}


class _FetchError(Exception):
    """Why one attempt did not give the whole file; `fetch` turns it into a DataError with the way out."""


def fetch(
    name: str,
    folder: str | os.PathLike | None = None,
    url: str | None = None,
    progress: bool = True,
    timeout: float = 30.0,
) -> Path:
    """Path of the downloaded file `name`, from `folder` if it lies there whole, else from the network.

    A download that was cut is resumed. `url` names another place for the same bytes (a mirror); `timeout` is
    in seconds without any data. `progress` draws a bar in bytes on standard error.
    Raises: DataError (unknown name, no network, HTTP error, time-out, other bytes than expected, disk full).
    """
    return fetch_file(find_download(name), data_folder() if folder is None else Path(folder), url, progress, timeout)


def fetch_file(
    download: Download, folder: Path, url: str | None = None, progress: bool = True, timeout: float = 30.0
) -> Path:
    """`fetch` for any Download."""
    target, part = folder / download.file, folder / (download.file + ".part")
    url = download.url if url is None else url
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ArgumentError(f"fetch needs a URL that starts with http:// or https://, got {url!r}")
    try:
        if _is_right(target, download):
            return target
        folder.mkdir(parents=True, exist_ok=True)
        if download.sha256 is None:
            part.unlink(missing_ok=True)
        resumed = part.exists()
        _complete(part, download, url, progress, timeout)
        if resumed and not _is_right(part, download):
            # The file on the server may have changed since the first half: once more, from the start.
            part.unlink()
            _complete(part, download, url, progress, timeout)
        if not _is_right(part, download):
            found = _sha256(part)
            part.unlink()
            raise _FetchError(f"wrong content: wanted SHA-256 {download.sha256}, got {found}; the data is thrown away")
        os.replace(part, target)
    except _FetchError as failure:
        raise DataError(_advice(download, url, target, part, str(failure))) from None
    except OSError as error:  # the disk; whatever the network raises is a _FetchError by now
        reason = f"cannot read or write the file: {error.strerror or error}"
        raise DataError(_advice(download, url, target, part, reason)) from error
    return target


def find_download(name: str) -> Download:
    """The table entry of that name, or a DataError that lists the names."""
    if name not in DOWNLOADS:
        raise DataError(f"nothing to fetch is called {name!r}: wanted one of {', '.join(DOWNLOADS)}")
    return DOWNLOADS[name]


def fetched_file(name: str, folder: str | os.PathLike | None = None) -> Path:
    """Path of a file that was fetched before, without touching the network.

    Raises: DataError if it is not there or not the right one; the message says how to get it.
    """
    download = find_download(name)
    target = (data_folder() if folder is None else Path(folder)) / download.file
    if not target.exists():
        raise DataError(f"{name} is not there yet (looked for {target}): get it once with `minigpt data fetch {name}`")
    if not _is_right(target, download):
        raise DataError(
            f"{target} is not the file {name}, its SHA-256 differs: get it again with `minigpt data fetch {name}`"
        )
    return target


def _complete(part: Path, download: Download, url: str, progress: bool, timeout: float) -> None:
    """Bring `part` to its full size: append what is missing, or start again where that is not possible."""
    have = part.stat().st_size if part.exists() else 0
    if download.size_bytes is not None and have > download.size_bytes:
        have = 0  # longer than the file can be: useless
    if have and have == download.size_bytes:
        return  # everything arrived last time, only the check is missing
    response, have = _open(url, have, timeout)
    with response:
        total = _total_size(response)
        if None not in (total, download.size_bytes) and total != download.size_bytes:
            raise _FetchError(
                f"the server's file has {total} bytes, wanted {download.size_bytes}: it has changed, or this "
                "is the page of a proxy or login"
            )
        _copy(response, part, have, total or download.size_bytes, download.name, progress)


def _open(url: str, have: int, timeout: float) -> tuple[http.client.HTTPResponse, int]:
    """Ask for the bytes from `have` on; returns the answer and the byte at which its body starts.

    A server may ignore the Range header (status 200, everything comes), refuse it (416, our part is as long
    as its file or longer) or answer another range: then the download starts again from byte 0.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "minigpt", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            return _open(url, 0, timeout)
        raise _FetchError(f"the server answered HTTP {error.code} {error.reason}") from None
    except TimeoutError:
        raise _FetchError(f"no answer within {timeout:g} seconds") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _FetchError(f"no connection within {timeout:g} seconds") from None
        raise _FetchError(f"cannot reach the server ({error.reason}), check the network connection") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _FetchError(f"cannot reach the server ({error or type(error).__name__})") from None
    if response.status != 206:
        return response, 0
    first_byte = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    if first_byte.strip() != str(have):
        response.close()
        if not have:
            raise _FetchError("the server sends a part of the file although all of it was asked for")
        return _open(url, 0, timeout)
    return response, have


def _total_size(response: http.client.HTTPResponse) -> int | None:
    """Size in bytes of the whole file as the server tells it, or None if it does not."""
    if response.status == 206:
        size = response.headers.get("Content-Range", "").rpartition("/")[2]  # "bytes 100-999/1000"
    else:
        size = response.headers.get("Content-Length", "")
    return int(size) if size.isdigit() else None


def _copy(
    response: http.client.HTTPResponse, part: Path, have: int, total: int | None, name: str, progress: bool
) -> None:
    """Write the answer's body into `part` behind its first `have` bytes, and check that all have come."""
    from tqdm import tqdm  # here: only a download needs it

    with (
        open(part, "ab") as file,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=not progress) as bar,
    ):
        file.truncate(have)
        while True:
            try:
                chunk = response.read(CHUNK)
            except TimeoutError:
                raise _FetchError("the server stopped sending") from None
            except (OSError, http.client.HTTPException) as error:
                raise _FetchError(f"the connection broke ({error or type(error).__name__})") from None
            if not chunk:
                break
            file.write(chunk)
            bar.update(len(chunk))
            if total is not None and file.tell() > total:
                raise _FetchError(f"the server sends more than the {total} bytes it should")
        size = file.tell()
    if total is not None and size < total:
        raise _FetchError(f"the connection closed after {size} of {total} bytes")


def _is_right(path: Path, download: Download) -> bool:
    if not path.is_file():
        return False
    if download.size_bytes is not None and path.stat().st_size != download.size_bytes:
        return False  # no need to read it
    return download.sha256 is None or _sha256(path) == download.sha256


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _advice(download: Download, url: str, target: Path, part: Path, reason: str) -> str:
    """The whole message: what failed, what was kept, and the way without this function."""
    kept = part.stat().st_size if part.exists() else 0
    again = f"{kept} bytes are kept, run it again to resume" if kept else "run it again later"
    facts = [] if download.size_bytes is None else [f"{download.size_bytes} bytes"]
    facts += [] if download.sha256 is None else [f"SHA-256 {download.sha256}"]
    which = f" ({', '.join(facts)})" if facts else ""
    return (
        f"cannot fetch {download.name} from {url}: {reason}. What to do: {again}; or get the file any other "
        f"way{which} and put it at {target}"
    )
