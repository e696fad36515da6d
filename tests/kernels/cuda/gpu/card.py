"""Whether there is a card for these tests."""

import pytest

from minigpt.cuda_state import cuda_state, simulated

STATE = "a simulated card; these tests need a real one" if simulated() else cuda_state()
needs_card = pytest.mark.skipif(STATE is not True, reason=f"no card: {STATE}")
