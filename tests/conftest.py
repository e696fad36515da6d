"""Shared by all tests."""

import zlib

import numpy as np
import pytest
from hypothesis import settings

# The same examples in every run: a red test is red again when it is looked into.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("repeatable")


@pytest.fixture
def rng(request):
    """Random numbers seeded with the test's own name: different in each test, the same in every run."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode("utf-8")))
