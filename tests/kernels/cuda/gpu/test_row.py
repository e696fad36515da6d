"""Every function of the cuda row on a card, with new random inputs in each run, beside the numpy row in float64."""

import pytest
from cuda_checks import check_function, new_seed
from cuda_row_cases import ALL

from .card import needs_card

pytestmark = [pytest.mark.gpu, needs_card]


@pytest.mark.parametrize("scale", ["odd", "real"])
@pytest.mark.parametrize(("name", "make"), ALL, ids=lambda value: getattr(value, "__name__", value))
def test_function(name, make, scale):
    check_function(name, make, scale, new_seed())
