"""Shared by the tests of reports: a tiny model of every family, a reader of HTML, a real browser."""

import pytest
from browser import Page, visit
from tiny_models import FAMILIES, make


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def model(family):
    return make(family)


@pytest.fixture
def read_html():
    return Page


@pytest.fixture
def browse_page(tmp_path):
    """A function (page, probe) -> what the probe found."""
    return lambda text, probe: visit(text, probe, tmp_path)
