"""What a notebook must be: rules for its source, for its outputs, and that the two belong together.

Each function returns a list of complaints, one string each, that begin with the cell: "c004: …". README.md in this
folder says the same to authors, with the reasons.
"""

from __future__ import annotations

import ast
import importlib
import re
import socket
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 300_000  # of an .ipynb: what GitHub still shows at once
MOST_LINES = 25  # of a code cell
MOST_WIDE = 100  # characters of a line of code: what is seen without scrolling
INSTALL = """\
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    %pip install -q ..
    import minigpt as mg"""
ON_PURPOSE = "# from scratch on purpose:"
# of the first cell and of the last heading; the Chinese edition is NN_stem.zh.py
FIELDS = {"en": ("Aim", "Time", "Prerequisites"), "zh": ("目标", "时间", "先修")}
QUESTIONS = {"en": "## In your own words", "zh": "## 用自己的话"}

# Paths that exist on one machine only, and addresses in its memory.
PLACES = re.compile(
    r"(?<![\w.:/~-])/(?:home|root|tmp|work|usr|opt|var|Users|private|mnt|content|workspace|builds|data)/[\w.-]+"
    r"|\b[A-Za-z]:\\\\?\w+|\bobject at 0x[0-9a-f]+|\bat 0x[0-9a-f]{6,}"
)
# A figure that somebody measured: with a unit, or with more digits than one writes down from memory.
FIGURES = re.compile(r"(?<![\w.])\d+\.\d{2,}|(?<![\w.])\d[\d.,]*\s?(?:%|(?:ms|nats|bits|[KMG]i?B|tokens/s|FLOPs?)\b)")


def language(path: Path) -> str:
    return "zh" if path.stem.endswith(".zh") else "en"


def of_source(nb, lang: str = "en") -> list[str]:
    """Rules that can be read off the source, before anything runs."""
    return [*_head(nb, lang), *_code(nb), *_prose(nb), *_places(nb)]


def _head(nb, lang):
    first = nb.cells[0] if nb.cells else {"cell_type": "", "source": ""}
    if first["cell_type"] != "markdown" or not first["source"].startswith("# "):
        yield "c000: the first cell is Markdown and begins with the title, `# Title`"
    for field in FIELDS[lang]:
        if not re.search(rf"^\*\*{field}\*\* \S", first["source"], re.MULTILINE):
            yield f"c000: the first cell needs a line `**{field}** …`"
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    if not code or not code[0].source.startswith(INSTALL):
        where = code[0].id if code else "c000"
        yield f"{where}: the first code cell begins with the guarded installation (see README.md, For authors)"
    for cell in nb.cells:
        if cell.cell_type == "markdown" and cell.source.startswith(QUESTIONS[lang]):
            if len(re.findall(r"^[123]\. ", cell.source, re.MULTILINE)) != 3:
                yield f"{cell.id}: `{QUESTIONS[lang]}` asks three questions, `1. ` to `3. `"
            break
    else:
        yield f"{nb.cells[-1].id if nb.cells else 'c000'}: at the end stands `{QUESTIONS[lang]}` with three questions"


def _code(nb):
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        lines = cell.source.splitlines()
        if len(lines) > MOST_LINES:
            yield f"{cell.id}: {len(lines)} lines; a cell has at most {MOST_LINES}"
        wide = next((n for n, line in enumerate(lines, start=1) if len(line) > MOST_WIDE), None)
        if wide:
            yield f"{cell.id}: line {wide} has {len(lines[wide - 1])} characters; at most {MOST_WIDE}"
        magics = [line.strip() for line in lines if re.match(r"\s*[%!]", line)]
        if [line for line in magics if line not in INSTALL]:
            yield f"{cell.id}: {magics[0]!r}: no magics or shell commands; they do not run everywhere"
        try:
            tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE))
        except SyntaxError as error:
            yield f"{cell.id}: line {error.lineno} is no Python: {error.msg}"
            continue
        for name, line in _defined(tree):
            home = public_names().get(name)
            if home and not _on_purpose(lines[line - 1]):
                yield (
                    f"{cell.id}: line {line} defines {name!r}, which {home} has: import it, give yours another name, "
                    f"or end the line with `{ON_PURPOSE} reason`"
                )


def _defined(tree):
    """(name, line) of functions and classes, and of names that are bound to a lambda; methods are not meant."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
            if isinstance(node, ast.ClassDef):
                continue
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            yield from ((target.id, node.lineno) for target in node.targets if isinstance(target, ast.Name))
        yield from _defined(node)


def _on_purpose(line: str) -> bool:
    return bool(re.search(re.escape(ON_PURPOSE) + r" \S", line))


def public_names() -> dict[str, str]:
    """Name -> the module of minigpt that has it, for all functions and classes that users import."""
    if not _PUBLIC:
        sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]
        mg = importlib.import_module("minigpt")
        for module in (mg, *(getattr(mg, name) for name in mg._SUBMODULES)):
            for name in getattr(module, "__all__", None) or dir(module):
                value = getattr(module, name, None)
                if not name.startswith("_") and getattr(value, "__module__", "").startswith("minigpt"):
                    _PUBLIC.setdefault(name, module.__name__)
    return _PUBLIC


_PUBLIC: dict[str, str] = {}


def _prose(nb):
    """Prose holds no measured figures: they would be wrong after the next change. A cell prints them."""
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\]\([^)]*\)", " ", cell.source, flags=re.DOTALL)
            found = FIGURES.search(text)
            if found:
                yield f"{cell.id}: the prose says {found[0].strip()!r}; let the cell beside it print that number"


def _places(nb):
    for cell in nb.cells:
        found = place(cell.source)
        if found:
            yield f"{cell.id}: the source names a place on one machine, {found!r}"


def place(text: str) -> str | None:
    """The first thing in the text that is true on this machine only, or None."""
    found = PLACES.search(text)
    if found:
        return found[0]
    names = [str(ROOT), str(Path.home()), tempfile.gettempdir(), sys.prefix, socket.gethostname()]
    return next((name for name in names if len(name) > 5 and name != "localhost" and name in text), None)


def of_outputs(nb, n_bytes: int) -> list[str]:
    """Rules for what a notebook printed and drew."""
    wrong = []
    if n_bytes > MOST_BYTES:
        sizes = sorted(((len(str(cell.get("outputs", ""))), cell.id) for cell in nb.cells), reverse=True)
        wrong.append(f"{sizes[0][1]}: the file has {n_bytes:,} bytes, at most {MOST_BYTES:,}; most are in this cell")
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            wrong += [f"{cell.id}: {complaint}" for complaint in _output(output)]
    return wrong


def _output(output):
    if output.output_type == "error":
        yield f"raised {output.ename}: {output.evalue}"
        return
    if output.output_type == "stream" and output.name == "stderr":
        yield f"writes to stderr (a warning, a progress bar?): {output.text.strip().splitlines()[-1]!r}"
    data = output.get("data", {})
    if data.get("text/plain", "").startswith("<Figure size") and "image/png" not in data:
        yield "ends with a figure that does not show itself: make it with plt.subplots"
    for kind, text in texts(output):
        found = place(text)
        if found:
            yield f"its output ({kind}) names a place on one machine, {found!r}"
        if "Traceback (most recent call last)" in text:
            yield f"its output ({kind}) shows a traceback; print the message of the error"


def texts(output) -> list[tuple[str, str]]:
    """(kind, text) of all that is text in an output, without pictures inside HTML."""
    if output.output_type == "stream":
        return [(output.name, output.text)]
    found = [(kind, value) for kind, value in sorted(output.get("data", {}).items()) if not kind.startswith("image/p")]
    return [(kind, re.sub(r"base64,[\w+/=]+", "", value)) for kind, value in found if isinstance(value, str)]


def same_code(nb, original) -> list[str]:
    """Whether an edition in another language has the code cells of the original."""
    mine, its = ([cell for cell in book.cells if cell.cell_type == "code"] for book in (nb, original))
    if len(mine) != len(its):
        return [f"c000: {len(mine)} code cells, the original has {len(its)}; the code is the same, only prose differs"]
    return [
        f"{a.id}: its code is not that of the original, {b.id}"
        for a, b in zip(mine, its, strict=True)
        if a.source != b.source or a.metadata != b.metadata
    ]


def same_cells(source, built) -> list[str]:
    """Whether a built notebook has the cells of its source."""
    wrong = []
    for mine, its in zip(source.cells, built.cells, strict=False):
        for what in ("cell_type", "id", "source", "metadata"):
            if mine.get(what) != its.get(what):
                wrong.append(f"{mine.id}: its {what} is not that of the .py; `make notebooks` builds it again")
                break
    if len(source.cells) != len(built.cells):
        last = min(len(source.cells), len(built.cells))
        wrong.append(
            f"c{last:03d}: the .py has {len(source.cells)} cells, the .ipynb {len(built.cells)}; `make notebooks`"
        )
    return wrong
