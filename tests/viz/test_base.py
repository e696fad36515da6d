"""What all views share: saving, pictures, no trace in Matplotlib's global state."""

import io
import os
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from minigpt.errors import ArgumentError, CheckpointError
from minigpt.viz import AttentionGrid, LossCurve, PositionCosine, SamplingSteps, View, figure
from minigpt.viz.base import SUFFIXES, smaller

TOKENS = ["The", " <b>", "你好", "🚀", "\n", "$x^2$"]
STARTS = {".html": b"<!doctype html>", ".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture(params=["attention", "loss", "sampling"])
def view(request, attention):
    if request.param == "attention":
        return AttentionGrid(attention(2, 3, 6), TOKENS, title="标题 $x$ <i>")
    if request.param == "sampling":
        return SamplingSteps(
            ["a", "$x$"], [TOKENS[:3], TOKENS[3:]], np.full((2, 2, 3), 0.3), [0, 2], title="标题 $x$ <i>"
        )
    run = {"train": {"steps": [1, 2, 3], "losses": [3.0, 2.5, 2.2]}}
    return LossCurve({"运行 $a_b$ <i>": run}, references={"bigram": 2.4})


def test_views_are_views(view):
    assert isinstance(view, View)
    with pytest.raises(TypeError):
        View()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_save_every_format_twice_the_same(view, suffix, tmp_path):
    path = view.save(tmp_path / f"view{suffix}")
    first = path.read_bytes()
    assert first.startswith(STARTS[suffix])
    view.save(str(path))  # over the old file, from a string
    assert path.read_bytes() == first
    assert os.listdir(tmp_path) == [path.name]


def test_upper_case_suffix(view, tmp_path):
    assert view.save(tmp_path / "V.PNG").read_bytes().startswith(b"\x89PNG")


def test_unknown_suffix_lists_the_known(view, tmp_path):
    for name in ("view.jpg", "view"):
        with pytest.raises(ArgumentError, match=r"\.html, \.png, \.svg, \.pdf"):
            view.save(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_missing_folder_and_folder_as_file(view, tmp_path):
    with pytest.raises(ArgumentError, match="does not exist"):
        view.save(tmp_path / "no" / "view.png")
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(ArgumentError, match="is a folder"):
        view.save(tmp_path / "dir.png")


def test_failed_save_leaves_the_old_file_and_no_draft(view, tmp_path, monkeypatch):
    path = view.save(tmp_path / "view.html")
    old = path.read_bytes()

    def no_replace(source, target):
        raise OSError("disk on fire")

    monkeypatch.setattr(os, "replace", no_replace)
    view.title = "changed"
    with pytest.raises(CheckpointError, match="disk on fire"):
        view.save(path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["view.html"]


def test_settings_of_the_caller_neither_change_nor_matter(view):
    wild = {"text.usetex": True, "axes.grid": True, "font.size": 30, "savefig.dpi": 7, "image.cmap": "jet"}
    before = view._picture("png", 50)
    with matplotlib.rc_context(wild):
        assert view._picture("png", 50) == before
        assert all(matplotlib.rcParams[key] == value for key, value in wild.items())
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_figures_are_new_each_time_and_show_themselves(view):
    fig = view.fig()
    assert fig is not view.fig()
    assert isinstance(fig, matplotlib.figure.Figure)
    assert fig._repr_png_().startswith(b"\x89PNG")


def test_html_shows_a_picture_without_scripts(view, read_html):
    page = read_html(view._repr_html_())
    (picture,) = page.all("img")
    assert picture["src"].startswith("data:image/png;base64,iVBOR")
    assert len(picture["alt"]) > 60
    assert view.title in picture["alt"]
    assert page.text.strip() == ""  # where style and script are dropped, no stray text remains
    assert len(page.scripts) == 1
    assert not page.all("i")  # the title is text, not markup


def test_html_asks_for_nothing_from_outside(view):
    text = view._repr_html_()
    for word in ("https:", "//cdn", 'src="/', "@import", "require(", "currentScript", "fetch(", " id="):
        assert word not in text
    assert text.count("http:") == text.count("http://www.w3.org/2000/svg")  # the name of SVG, not an address


def test_fonts_escape_only_what_they_lack():
    assert figure.drawable("abc é ␣↵⇥…") == "abc é ␣↵⇥…"
    assert figure.drawable("\U0010fffd") == "\\U0010fffd"  # private use: no font has it
    assert figure.drawable("a\ufe0f") in ("a", "a\ufe0f")
    fonts_with_chinese = {"Noto Sans CJK SC", "Noto Sans CJK JP", "Microsoft YaHei", "PingFang SC", "SimHei"}
    expected = "中" if fonts_with_chinese & set(figure._installed()) else figure.drawable("中")
    assert figure.drawable("中") == expected
    assert expected in ("中", "\\u4e2d")


def test_without_a_chinese_font_tokens_are_escaped(attention, monkeypatch):
    monkeypatch.setattr(figure, "_installed", lambda: ["DejaVu Sans"])
    view = AttentionGrid(attention(1, 1, 6), TOKENS)
    labels = [text.get_text() for text in view.fig().axes[0].texts]
    assert "\\u4f60\\u597d" in labels
    assert "你好" not in labels
    view._picture("png", 50)  # a missing glyph would warn, and warnings are errors here


def test_colours_rise_in_lightness():
    """The colour of a larger weight is lighter, everywhere on the scale: no false edges, no need of hue."""
    linear = (figure.colour_table() / 255.0) ** 2.2  # roughly, sRGB to light
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert figure.colour_table().shape == (256, 3)
    assert np.all(np.diff(luminance[::4]) > 0)


def test_the_small_picture_keeps_colours_of_small_areas():
    """With a median cut the orange end of this colour bar was grey: few pixels have it, and none on the map."""
    vectors = np.array([[1.0, 0.1 * k] for k in range(32)])  # all cosines above 0
    buffer = io.BytesIO()
    PositionCosine(vectors).fig().savefig(buffer, format="png", dpi=100)
    before, after = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        for png in (buffer.getvalue(), smaller(buffer.getvalue()))
    )
    assert abs(after - before).max() <= 16
