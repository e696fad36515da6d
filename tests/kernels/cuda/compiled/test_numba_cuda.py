"""What numba_cuda.py asks of the driver, with the driver's answers put in its place."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from .test_compile import lacking  # skips this file too where numba-cuda is lacking

if lacking():
    pytest.skip("numba-cuda is lacking", allow_module_level=True)

from cuda.bindings import driver as binding
from numba.cuda.cudadrv import driver

from kernels.cuda import numba_cuda


def test_a_stopwatch_marks_two_places_and_waits_only_when_read(monkeypatch):
    """Events as numba-cuda's, of which the driver keeps the time."""
    asked = []
    answers = {"cuEventRecord": None, "cuEventSynchronize": None, "cuEventElapsedTime": 2.5}
    functions = {
        name: lambda *given, name=name, answer=answer: asked.append((name, *given)) or answer
        for name, answer in answers.items()
    }
    monkeypatch.setattr(driver, "driver", SimpleNamespace(**functions))
    handles = iter([1, 2])
    monkeypatch.setattr(numba_cuda.cuda, "event", lambda timing: driver.Event(next(handles)))
    watch = numba_cuda.Stopwatch()
    watch.start()
    watch.stop()
    assert [name for name, *_ in asked] == ["cuEventRecord", "cuEventRecord"]
    assert watch.seconds() == 0.0025
    assert asked[2:] == [("cuEventSynchronize", 2), ("cuEventElapsedTime", 1, 2)]


def test_the_cache_is_asked_of_the_card(monkeypatch):
    """By the name that numba-cuda looks up in the driver's attributes."""
    assert binding.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE
    card = object.__new__(driver.Device)
    card.id = 0
    attributes = {binding.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: 50 << 20}
    monkeypatch.setattr(driver, "driver", SimpleNamespace(cuDeviceGetAttribute=lambda code, number: attributes[code]))
    monkeypatch.setattr(numba_cuda.cuda, "get_current_device", lambda: card)
    assert numba_cuda.l2_bytes() == 50 << 20


def test_a_copy_within_the_card(monkeypatch):
    """Both arrays are found to lie on the card, and it alone copies: nothing passes through the host."""
    copied = []
    monkeypatch.setattr(
        "numba.cuda.cudadrv.devicearray._driver.device_to_device", lambda *given, **settings: copied.append(given[2])
    )
    monkeypatch.setattr("numba.cuda.cudadrv.devices._runtime.ensure_context", contextlib.nullcontext)
    source, target = (device_array(np.zeros(6, np.float32)) for _ in range(2))
    numba_cuda.copy_within(target, source)
    assert copied == [24]


def device_array(like):
    """A DeviceNDArray without memory behind it."""
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    nowhere = SimpleNamespace(size=like.nbytes, view=lambda *part: nowhere)
    return DeviceNDArray(like.shape, like.strides, like.dtype, gpu_data=nowhere)
