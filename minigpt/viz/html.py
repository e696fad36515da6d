"""Text into HTML that shows anywhere: one string, no network, nothing lost when scripts are stripped.

A view in HTML is an `<img>` with the picture inside the page, followed by one classic `<script>` that finds
the element by its content hash and puts a live view in place of the image. A front end that removes scripts
(an untrusted notebook, GitHub) shows the image. No ids: many views, or one view twice, live on one page.
"""

import base64
import hashlib
import html
import json
import unicodedata
from importlib import resources

_WHITESPACE = {" ": "␣", "\n": "↵", "\t": "⇥"}
_JOINER = "\u200d"  # zero-width joiner: invisible, but it glues emoji together


def _printable(text):
    """Text whose control, format and lone-surrogate characters are written as escapes such as \\x00."""
    shown = []
    for k, ch in enumerate(text):
        glues = ch == _JOINER and 0 < k < len(text) - 1
        shown.append(ch if ch.isprintable() or glues else ch.encode("unicode_escape").decode("ascii"))
    return "".join(shown)


def visible(token):
    """A token as a reader can see it: `" cat\\n"` -> `"␣cat↵"`.

    Space, newline and tab get a sign, other invisible characters an escape (`\\r`, `\\u200b`), a token that
    starts with a combining accent a dotted circle to stand on, the empty token `∅`. Shared by all views.
    """
    if token == "":
        return "∅"
    if unicodedata.combining(token[0]):
        token = "◌" + token
    return _printable("".join(_WHITESPACE.get(ch, ch) for ch in token))


def one_line(text):
    """A title or caption on one line: runs of whitespace become one space, invisible characters escapes."""
    return _printable(" ".join(str(text).split()))


def minus(text):
    """Numbers of a text with a true minus sign: `-0.5` -> `−0.5`."""
    return text.replace("-", "−")


def clip(text, length):
    """At most `length` characters, the last one `…` if something was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def attribute(text):
    """Text for between the quotes of an HTML attribute, or for the body of an element."""
    return html.escape(one_line(text), quote=True)


def script_json(value):
    """JSON that is safe inside `<script>`: pure ASCII, and no `<`, `>`, `&` that could end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def base64_text(array):
    """The bytes of an array (or bytes) as base64; the script reads little-endian numbers."""
    return base64.b64encode(bytes(array) if isinstance(array, bytes) else array.tobytes()).decode("ascii")


def resource(name):
    """A script or style sheet of this package without its comment lines and indentation."""
    text = resources.files("minigpt.viz").joinpath(name).read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def fragment(title, alt, png, data=None, script=None):
    """One view as HTML for a notebook cell or the body of a page.

    title, alt   plain text: what a screen reader says of the view, and of its picture
    png          bytes of the fallback picture
    data         dict of numbers, strings and lists handed to the script; None for a picture only
    script       name of the JavaScript file that defines `draw(data)`, which returns the live element; or a tuple of
                 names, the last of them that file, the others what it shares with other views
    """
    picture = (
        f'<img src="data:image/png;base64,{base64_text(png)}" alt="{attribute(alt)}" '
        'style="max-width:100%;height:auto">'
    )
    if script is None:
        return f'<div class="mg-view" role="group" aria-label="{attribute(title)}">{picture}</div>'
    names = (script,) if isinstance(script, str) else tuple(script)
    payload = script_json(data)
    view_hash = hashlib.sha256(f"{'+'.join(names)}\n{payload}".encode()).hexdigest()[:16]
    code = "\n".join(resource(name) for name in ("view.js", *names))
    # JupyterLab reads data-lm-suppress-shortcuts: arrow keys inside the view are the view's own.
    return (
        f'<div class="mg-view" data-view="{view_hash}" data-lm-suppress-shortcuts="true" role="group" '
        f'aria-label="{attribute(title)}">\n<style>\n{resource("view.css")}\n</style>\n{picture}\n'
        f'<script>\n(() => {{\n"use strict";\n{code}\n'
        f'start("{view_hash}", {payload}, draw);\n}})();\n</script>\n</div>'
    )


def page(title, *bodies):
    """A complete page around one or more fragments. Its policy forbids every request to a network."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    style = "html{color-scheme:light dark}body{margin:1rem;font-family:system-ui,sans-serif}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{attribute(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        + "\n".join(bodies)
        + "\n</body>\n</html>\n"
    )
