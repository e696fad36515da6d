"""What the tests marked `gpu` are made of, with small sizes on the simulated card."""

from dataclasses import fields, replace

import numpy as np
import pytest
from cuda_checks import CASES, Call, Draw, check_function, new_seed, poisoned
from cuda_row_cases import ALL

import minigpt as mg
from kernels.cuda import device, machine
from kernels.cuda.errors import DeviceError
from minigpt import backend
from minigpt.backend import load
from minigpt.row import Row

# Making and moving arrays, which every check does; and what the cuda row does not have.
NOT_CHECKED = {"name", "is_array", "from_host", "to_host", "owns_memory", "shares_memory", "arena"}
LACKING = {f"{layer}_{way}" for layer in ("rnn", "lstm", "lstm_cell", "gru") for way in ("forward", "backward")}
LACKING |= {"int8_quantize", "int8_linear_forward", "int8_embedding_forward"}
WITHIN_OTHERS = {"squared_norms"}  # in the cases of clip_scale


def test_every_function_of_the_row_has_a_case():
    assert {field.name for field in fields(Row)} - NOT_CHECKED - LACKING - WITHIN_OTHERS == set(CASES)


@pytest.mark.parametrize(("name", "make"), ALL, ids=lambda value: getattr(value, "__name__", value))
def test_function(name, make):
    check_function(name, make, "small", seed=1)


def test_inputs_are_new_in_each_run_and_can_be_repeated(monkeypatch):
    assert new_seed() != new_seed()
    monkeypatch.setenv("MINIGPT_GPU_SEED", "17")
    assert new_seed() == 17
    again = [Draw("odd", 17).floats(3).tolist() for _ in range(2)]
    assert again[0] == again[1] != Draw("odd", 18).floats(3).tolist()


# --- planted bugs -------------------------------------------------------------------------------------------------


def slightly_off(x):
    return load("cuda").multiply(real.negative(x), 1.0001)


def one_left_out(x):
    y = real.negative(x)
    y.lease.block.view(np.dtype(np.float32))[x.size - 1] = np.nan
    return y


def other_shape(x):
    return real.reshape(real.negative(x), (1, *x.shape))


def writes_into_its_input(x):
    y = real.negative(x)
    real.scale_all([x], 2.0)
    return y


def never_writes(x):
    return device.empty(x.shape)


real = load("cuda")


@pytest.mark.parametrize("wrong", [slightly_off, one_left_out, other_shape, writes_into_its_input, never_writes])
def test_a_function_that_is_wrong_is_noticed_and_the_seed_is_told(wrong, monkeypatch):
    monkeypatch.setitem(backend._LOADED, "cuda", replace(real, negative=wrong))

    def numbers(draw):
        return Call((draw.floats(3, 5),))

    with pytest.raises(AssertionError, match=r"negative on numbers, small, seed 5 \(MINIGPT_GPU_SEED=5 repeats it\)"):
        check_function("negative", numbers, "small", seed=5)


def test_memory_is_poisoned_also_where_it_was_used_before():
    device.from_host(np.zeros(1000, np.float32))
    with poisoned():
        assert np.isnan(device.to_host(device.empty((1000,)))).all()


# --- what a card refuses ------------------------------------------------------------------------------------------


def test_out_of_memory_becomes_an_error_of_ours(monkeypatch):
    def no_memory(nbytes):
        raise DeviceError(f"out of memory on the card: {nbytes / 1e6:.0f} MB asked for")

    row = load("cuda")
    machine.POOL.give_back()
    monkeypatch.setattr(machine.card, "allocate", no_memory)
    with pytest.raises(mg.BackendError, match="out of memory on the card: 4 MB asked for"):
        row.full((1_000_000,), 0.0, np.float32)


def test_a_fault_is_reported_with_its_kernel_if_one_asks(monkeypatch):
    def fault():
        raise DeviceError("illegal address")

    monkeypatch.setattr(machine, "DEBUG", True)
    monkeypatch.setattr(machine, "synchronize", fault)
    with pytest.raises(DeviceError, match=r"kernel fill_floats, grid \(1, 1, 1\), block \(256, 1, 1\): illegal"):
        device.full((3,), 0.0, np.float32)
