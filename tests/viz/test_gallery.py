"""The gallery: every public view has an example, a picture in docs, and a place in docs/views.md."""

from pathlib import Path

import pytest

import minigpt.viz as viz
from minigpt.errors import ArgumentError
from minigpt.viz import View, gallery
from minigpt.viz.__main__ import main

DOCS = Path(__file__).parents[2] / "docs"
VIEWS = [name for name in viz.__all__ if name != "View" and isinstance(getattr(viz, name), type)]


def test_every_view_has_an_example_a_picture_and_a_place_in_the_document():
    assert sorted(gallery.examples()) == sorted(VIEWS)
    text = (DOCS / "views.md").read_text(encoding="utf-8")
    for name in VIEWS:
        assert (DOCS / "views" / gallery.file_name(name)).read_bytes().startswith(b"\x89PNG"), name
        assert f"](views/{gallery.file_name(name)})" in text, name
        assert f"`{name}`" in text, name


def test_pictures_are_small_and_none_is_left_over():
    pictures = list((DOCS / "views").iterdir())
    assert {path.name for path in pictures} == {gallery.file_name(name) for name in VIEWS}
    assert sum(path.stat().st_size for path in pictures) < 600_000


@pytest.mark.parametrize("name", VIEWS)
def test_examples_are_views_of_that_name(name):
    view = gallery.examples()[name]()
    assert type(view).__name__ == name
    assert isinstance(view, View)
    assert len(view.alt()) > 60


def test_all_examples_on_one_page_twice_are_live(browse):
    """More than twelve views on one page, each there twice: every script runs, nothing is said on the console."""
    views = [make() for make in gallery.examples().values()] * 2
    found = browse(
        [view.to_html() for view in views], "out.ready = views.map((view) => view.dataset.ready || 'picture');"
    )
    assert len(views) > 12
    assert found["ready"] == ["1" if view.script else "picture" for view in views]
    assert found["console"] == []


def test_command(tmp_path, capsys):
    assert main([str(tmp_path), "LossMask", "AttentionGrid", "--page", str(tmp_path / "all.html")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"loss_mask.png", "attention_grid.png", "all.html"}
    assert "loss_mask.png" in capsys.readouterr().out
    assert (tmp_path / "all.html").read_text(encoding="utf-8").count('role="group"') == 2
    assert main([str(tmp_path), "LossMusk"]) == 2
    assert "no example of LossMusk; there are AttentionGrid" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="does not exist"):
        gallery.write(tmp_path / "none")
