"""The published GPT-2 models: where their files are, and how they get into a folder that GPT.from_pretrained reads.

A model is four files in a folder of its name: weights, configuration, and the vocabulary and merges of its tokenizer.
Each URL names one commit of the model's repository, so its content never changes. Sizes and SHA-256 are those that the
repositories' file pages show, or that public projects which pin these commits state; None where we found no statement.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DataError
from ..files import data_folder
from .fetch import DOWNLOADS, Download, fetch, fetch_file

LICENCE = "GPT-2 of OpenAI, modified MIT licence"


def _files(name: str, commit: str, **files: tuple[int | None, str | None]) -> tuple[Download, ...]:
    """Downloads of a model; each file as (bytes, SHA-256), its dot written as two underscores."""
    downloads = []
    for key, (size, sha256) in files.items():
        file = key.replace("__", ".")
        url = f"https://huggingface.co/openai-community/{name}/resolve/{commit}/{file}"
        downloads.append(Download(f"{name}/{file}", url, size, sha256, file, LICENCE))
    return tuple(downloads)


_VOCAB = (1_042_301, "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783")
_MERGES = (456_318, "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5")

MODELS: dict[str, tuple[Download, ...]] = {
    "gpt2": _files(
        "gpt2",
        "607a30d783dfa663caf39e06633721c8d4cfcd7e",
        config__json=(665, "0daed7749b4f02b8f76240d5444551d7b08712dab4d0adb8239c56ba823bb7b4"),
        vocab__json=_VOCAB,
        merges__txt=_MERGES,
        model__safetensors=(548_105_171, "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"),
    ),
    "gpt2-medium": _files(
        "gpt2-medium",
        "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
        config__json=(718, "ef1a44d889ad1a0acc7731c78134f1b87d2d222f110e97dd10fd4117331caf22"),
        vocab__json=_VOCAB,
        merges__txt=_MERGES,
        model__safetensors=(1_519_984_962, "fc5a354a19255ad494f3d71549390baca1ccf61d1d822b9408971705c687c9cd"),
    ),
    "gpt2-large": _files(
        "gpt2-large",
        "32b71b12589c2f8d625668d2335a01cac3249519",
        config__json=(None, None),
        vocab__json=(None, None),
        merges__txt=(None, None),
        model__safetensors=(None, "5f47f3e12f91cd33b662ce7e433b6150ad5512b5884a2cee961b50e9c3bbebce"),
    ),
    "gpt2-xl": _files(
        "gpt2-xl",
        "15ea56dee5df4983c59b2538573817e1667135e2",
        config__json=(None, None),
        vocab__json=_VOCAB,
        merges__txt=_MERGES,
        model__safetensors=(None, "0f8b28eb05a8075f48b61b6f35332978c74fc7763fa9fb4051a1c30511736a6a"),
    ),
}


def fetch_named(
    name: str,
    folder: str | os.PathLike | None = None,
    url: str | None = None,
    progress: bool = True,
    timeout: float = 30.0,
) -> Path:
    """A corpus (the path of its file) or a model (the path of its folder, `name` below `folder`) by name.

    A file that is there already is not fetched again, one that was cut is resumed. `url`: a mirror; for a model the URL
    of the folder that holds its four files. Raises: DataError, as `fetch`.
    """
    if name in DOWNLOADS:
        return fetch(name, folder, url, progress, timeout)
    if name not in MODELS:
        raise DataError(f"nothing to fetch is called {name!r}: wanted one of {', '.join([*DOWNLOADS, *MODELS])}")
    target = (data_folder() if folder is None else Path(folder)) / name
    for download in MODELS[name]:
        place = None if url is None else f"{url.rstrip('/')}/{download.file}"
        fetch_file(download, target, place, progress, timeout)
    return target
