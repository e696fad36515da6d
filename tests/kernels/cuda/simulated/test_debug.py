"""Tools of minigpt.debug on the card: what they show is that of the numpy row."""

import numpy as np
from cuda_model_checks import TINY, gpt

import minigpt as mg
from minigpt.debug import compare_backends
from minigpt.debug.comparison import SIMULATOR

IDS = np.array([[1, 2, 3]])


def traced(row):
    model = gpt(TINY, seed=3).to(row)
    with mg.use(row), mg.trace() as t:
        model(IDS, IDS)[1].backward()
    return t


def test_a_trace_differs_only_in_row_and_times():
    card, host = traced("cuda"), traced("numpy")
    for ours, reference in zip(card.rows, host.rows, strict=True):
        assert (ours.row, reference.row) == ("cuda", "numpy")
        for name in ("op", "direction", "module", "inputs", "outputs", "flops", "bytes", "parameters"):
            assert getattr(ours, name) == getattr(reference, name), (name, ours)
    assert card.peak_bytes == host.peak_bytes
    assert "no roofline for the simulated card" in card.totals()


def test_a_repr_says_that_it_lies_on_the_card():
    x = mg.Tensor(np.linspace(-1, 3, 100, dtype=np.float32))
    with mg.use("cuda"):
        y = mg.Tensor(x.numpy(), requires_grad=True)
        (y * 2.0).sum().backward()
    assert repr(y) == repr(x)[:-1] + ", on the card, requires_grad, has grad)"


def test_compare_backends_runs_it_in_this_process():
    found = compare_backends(lambda x: mg.functional.softmax(x), np.ones((2, 3), np.float32), rows=["cpu", SIMULATOR])
    assert SIMULATOR in found.compared
    assert found.ok
