"""A real browser for the tests of pages: what a probe finds in a page that is opened from disk, the network off."""

import json
import os
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REQUIRED = "MINIGPT_REQUIRE_BROWSER" in os.environ  # set where the tests must not be skipped
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr --window-size=1200,900 --dump-dom"
).split()

# What a reader's mouse and keyboard would do, and what the page then shows, left as JSON on the body.
PROBE = """<script>
const out = {}, all = (s, root = document) => [...root.querySelectorAll(s)];
const views = all(".mg-view"), shown = (view) => all(".now", view)[0].textContent;
const hover = (target, x, y) => {
  const box = target.getBoundingClientRect();
  const at = {clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true};
  target.dispatchEvent(new PointerEvent("pointermove", at));
};
// A page that is not in front (another window is, on a busy machine) hears of no focus: then tell the element.
const focus = (target) => {
  target.focus();
  if (!document.hasFocus()) target.dispatchEvent(new FocusEvent("focus"));
};
const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
PROBE_BODY
document.body.dataset.probe = JSON.stringify(out);
</script>"""


class Page(HTMLParser):
    """Collects every element as (tag, attributes) and the text inside each `script` and `title`."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.titles, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        inside = getattr(self, "_inside", None)
        if inside == "script":
            self.scripts[-1] += data
        elif inside == "title":
            self.titles.append(data)
        elif inside != "style":
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def visit(text, probe, folder):
    """What the probe (JavaScript that fills `out`) found in a whole page, with the console's messages as "console"."""
    if CHROMIUM is None and not REQUIRED:
        pytest.skip("no Chromium on the PATH; on Debian: apt install chromium")
    before, end = text.rsplit("</body>", 1)
    path = folder / "page.html"
    path.write_text(f"{before}{PROBE.replace('PROBE_BODY', probe)}</body>{end}", encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    found = json.loads(Page(done.stdout).all("body")[0].get("data-probe", "{}"))
    found["console"] = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return found
