"""The table of contents in README.md: one row for each notebook, from its first cell, with a small picture.

The picture is the first one that the cell tagged `picture` shows (`# %% tags=["picture"]`), made small.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import _rules

BEGIN, END = "<!-- contents: written by build.py -->", "<!-- end of contents -->"
PICTURES = "pictures"
WIDTH, MOST_BYTES = 360, 30_000


def write_picture(nb, folder: Path, stem: str) -> None:
    """The tagged cell's picture as folder/pictures/stem.png, WIDTH pixels wide, at most MOST_BYTES."""
    tagged = [cell for cell in nb.cells if "picture" in cell.metadata.get("tags", ())]
    found = [
        output.data["image/png"] for cell in tagged for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    if not found:
        return
    target = folder / PICTURES / f"{stem}.png"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(small(base64.b64decode(found[0])))


def small(png: bytes) -> bytes:
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.resize((WIDTH, max(1, round(picture.height * WIDTH / picture.width))), Image.Resampling.LANCZOS)
    for colours in (128, 64, 32, 16, 8):
        buffer = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


def row(path: Path, nb, folder: Path) -> str:
    """One line of the table: picture, title as a link, aim, time, prerequisites."""
    stem = path.name.removesuffix(".py")
    head = nb.cells[0].source
    title = head.splitlines()[0].removeprefix("# ").strip()
    aim, minutes, before = (_field(head, name) for name in _rules.FIELDS[_rules.language(path)])
    picture = f"{PICTURES}/{stem}.png"
    shown = f'<img src="{picture}" width="180" alt="{title}">' if (folder / picture).exists() else ""
    return f"| {shown} | [{stem[:2]} {title}]({stem}.ipynb)<br>{aim} | {minutes} | {before} |"


def _field(head: str, name: str) -> str:
    """What stands after **name**, up to the next field or the next empty line."""
    found = re.search(rf"^\*\*{name}\*\* (.*?)(?=\n\n|\n\*\*|\Z)", head, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def update(folder: Path, notebooks: dict, writing: bool) -> list[str]:
    """Write the table into README.md, or say that it is not what the notebooks say."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if BEGIN not in text or END not in text:
        return [f"{folder.name}/README.md: needs the lines {BEGIN} and {END}"]
    lines = ["| | notebook | time | before it |", "| --- | --- | --- | --- |"]
    lines += [row(path, nb, folder) for path, nb in notebooks.items() if nb.cells]
    before, rest = text.split(BEGIN)
    new = before + "\n".join([BEGIN, *lines, END]) + rest.split(END)[1]
    if writing:
        readme.write_text(new, encoding="utf-8", newline="\n")
        return []
    too_large = [p.name for p in (folder / PICTURES).glob("*.png") if p.stat().st_size > MOST_BYTES]
    return [f"{folder.name}/{PICTURES}/{name}: above {MOST_BYTES:,} bytes" for name in too_large] + (
        [f"{folder.name}/README.md: its contents are not those of the notebooks; `make notebooks`"]
        if new != text
        else []
    )
