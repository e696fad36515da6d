"""CUDA kernels on the simulator, beside kernels/reference. Runs in a process of its own: see `make test`."""

import importlib
import os

import numpy as np
import pytest

SIMULATED = os.environ.get("MINIGPT_CUDA_SIMULATOR") == "1"
collect_ignore_glob = [] if SIMULATED else ["test_*.py"]


@pytest.fixture
def agrees():
    """agrees(stem, function, *arguments, tolerance=1e-5): both rows return the same; arrays are given to each alike.

    Tolerance is relative to the largest number of each result. Inputs must come back unchanged. Returns the card's
    results as NumPy arrays.
    """
    from kernels.cuda import device

    def to_card(x):
        return device.from_host(x) if isinstance(x, np.ndarray) else x

    def check(stem, function, *arguments, tolerance=1e-5, **settings):
        wanted = getattr(importlib.import_module(f"kernels.reference.{stem}"), function)(*arguments, **settings)
        given = [to_card(a) for a in arguments]
        named = {name: to_card(a) for name, a in settings.items()}
        got = getattr(importlib.import_module(f"kernels.cuda.{stem}"), function)(*given, **named)
        for before, after in zip([*arguments, *settings.values()], [*given, *named.values()], strict=True):
            if isinstance(before, np.ndarray):
                np.testing.assert_array_equal(device.to_host(after), before)
        wanted, got = (r if isinstance(r, tuple) else (r,) for r in (wanted, got))
        assert len(got) == len(wanted)
        results = []
        for a, b in zip(got, wanted, strict=True):
            if b is None:
                assert a is None
                continue
            host = device.to_host(a) if device.is_array(a) else np.asarray(a)
            b = np.asarray(b)
            assert host.shape == b.shape
            if device.is_array(a):
                assert host.dtype == b.dtype
            finite = b[np.isfinite(b)] if b.dtype.kind == "f" else b
            largest = np.abs(finite).max() if finite.size else 1.0
            np.testing.assert_allclose(host, b, rtol=0, atol=tolerance * max(float(largest), 1e-30))
            results.append(host)
        return results[0] if len(results) == 1 else results

    return check
