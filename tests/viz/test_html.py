"""Text that goes into a page: visible tokens, escapes, the two forms of HTML."""

import json
from importlib import resources

import numpy as np
import pytest

from minigpt.viz import html

NASTY = [
    "</script>",
    "<!--",
    "<b>&amp;",
    '"',
    "'",
    "\\",
    "\u2028",
    "\x00",
    "你好",
    "🙂",
    "\ud800",
    "$x_1$",
    "",
]


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" cat", "␣cat"),
        ("a b\n", "a␣b↵"),
        ("\t", "⇥"),
        ("\r", "\\r"),
        ("\x00", "\\x00"),
        ("\u200b", "\\u200b"),
        ("\u202e", "\\u202e"),  # would turn the page's text around
        ("\ud800", "\\ud800"),  # half a surrogate pair cannot be written as UTF-8
        ("你好", "你好"),
        ("👩\u200d💻", "👩\u200d💻"),  # the joiner inside an emoji stays
        ("\u200d", "\\u200d"),
        ("\u0301", "◌\u0301"),
        ("", "∅"),
        ("<b>", "<b>"),
    ],
)
def test_visible(token, shown):
    assert html.visible(token) == shown


def test_every_visible_token_is_one_printable_line():
    for token in NASTY + [chr(k) for k in range(0x300)]:
        shown = html.visible(token)
        assert shown
        shown.encode("utf-8")
        assert shown.isprintable()


def test_script_json_returns_the_strings_and_cannot_end_the_script():
    text = html.script_json(NASTY)
    assert json.loads(text) == NASTY
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_script_json_refuses_what_javascript_cannot_read():
    with pytest.raises(ValueError, match="JSON"):
        html.script_json([float("nan")])


def test_attribute_survives_the_parser(read_html):
    for text in NASTY:
        page = read_html(f'<p title="{html.attribute(text)}">{html.attribute(text)}</p>')
        assert page.all("p") == [{"title": html.one_line(text)}]
        assert page.text == html.one_line(text)


def test_clip():
    assert html.clip("abcdef", 6) == "abcdef"
    assert html.clip("abcdefg", 6) == "abcde…"


def test_resources_lose_comments_only():
    names = [path.name for path in resources.files("minigpt.viz").iterdir() if path.name.endswith((".js", ".css"))]
    assert "attention.js" in names
    for name in names:
        text = html.resource(name)
        assert "//" not in text.replace("http://www.w3.org/", "")
        assert "</script" not in text
        assert "`\n" not in text  # a template string over two lines would lose its indentation


def test_picture_only(read_html):
    page = read_html(html.fragment("a <title>", "what it shows", b"\x89PNG"))
    assert page.scripts == []
    (picture,) = page.all("img")
    assert picture["alt"] == "what it shows"
    assert picture["src"] == "data:image/png;base64,iVBORw=="


def test_hash_follows_the_content():
    def view_hash(data, script="attention.js"):
        return html.fragment("t", "a", b"", data, script).split('data-view="')[1].split('"')[0]

    assert view_hash({"x": 1}) == view_hash({"x": 1})
    assert len({view_hash({"x": 1}), view_hash({"x": 2}), view_hash({"x": 1}, "loss.js")}) == 3


def test_page_is_complete_and_forbids_the_network(read_html):
    page = read_html(html.page("R & <D>", "<p>body</p>"))
    assert page.all("html") == [{"lang": "en"}]
    assert page.titles == ["R & <D>"]
    assert {"charset": "utf-8"} in page.all("meta")
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_base64_of_arrays():
    assert html.base64_text(np.array([0, 255], dtype=np.uint8)) == "AP8="
