"""The kernel table: which row an op uses, when, and what is said when a row cannot do it."""

import contextvars
import importlib.util
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import kernels.reference
import minigpt as mg
from minigpt import backend
from minigpt import functional as F
from minigpt.backend import Row, current_row, row_from_modules

ROOT = Path(mg.__file__).parents[1]
FUNCTIONS = [field.name for field in fields(Row) if field.name != "name"]


@pytest.fixture
def add_row(monkeypatch):
    """add_row(row) makes a row known by its name for one test; the process default is restored afterwards."""
    rows, load = {}, backend.load
    monkeypatch.setattr(backend, "load", lambda name: rows[name] if name in rows else load(name))

    def add(row):
        rows[row.name] = row
        return row.name

    yield add
    mg.use("numpy")


def counting_row(name="counting"):
    """The numpy row, each function of which counts its calls."""
    calls, numpy_row = Counter(), backend.load("numpy")

    def counted(function_name):
        def call(*args, **kwargs):
            calls[function_name] += 1
            return getattr(numpy_row, function_name)(*args, **kwargs)

        return call

    return replace(numpy_row, name=name, **{f: counted(f) for f in FUNCTIONS}), calls


def failing_row(name="failing"):
    """A row none of whose functions may be called."""
    return row_from_modules(name, [])


# --- the table --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_the_numpy_row_is_in_kernels_reference(name):
    function = getattr(backend.load("numpy"), name)
    assert function.__module__.startswith("kernels.reference."), f"{name} is missing"
    assert function.__name__ == name
    owners = [m for m in kernels.reference.MODULES if function.__module__ == m.__name__]
    assert len(owners) == 1


def test_backends_says_what_can_be_used_and_why_not():
    states = mg.backends()
    assert list(states) == ["numpy", "cpu", "cuda"]
    assert states["numpy"] is True
    for name, state in states.items():
        assert state is True or (isinstance(state, str) and len(state) > 10)
        if state is not True:
            with pytest.raises(mg.BackendError, match="'numpy'") as caught:
                mg.use(name)
            assert state in str(caught.value)


@pytest.mark.parametrize(("cpu", "best"), [(True, "cpu"), ("it needs numba", "numpy")])
def test_the_row_that_the_trainer_takes_by_itself(cpu, best, monkeypatch):
    monkeypatch.setattr(backend, "backends", lambda: {"numpy": True, "cpu": cpu, "cuda": True})
    assert backend.best_row() == best


@pytest.mark.parametrize("name", ["tpu", "", "NumPy", None])
def test_rows_that_do_not_exist(name):
    before = current_row()
    with pytest.raises(mg.BackendError, match=r"there is no row.*'numpy', 'cpu', 'cuda'"):
        mg.use(name)
    assert current_row() is before


def test_a_function_that_a_row_lacks_is_named(add_row):
    bare = row_from_modules("bare", [], inherit=None)
    bare = replace(bare, is_array=backend.load("numpy").is_array, from_host=lambda x: x)
    x = mg.Tensor([1.0])
    with mg.use(add_row(bare)):
        for call, name in ((F.relu, "relu_forward"), (lambda x: x.sum(), "sum"), (F.softmax, "softmax_forward")):
            with pytest.raises(mg.BackendError, match=rf"'bare' row has no {name}.*kernels/bare/"):
                call(x)


def test_a_row_inherits_what_its_modules_do_not_replace():
    module = ModuleType("kernels.mixed.elementwise")
    exec("def exp(x): return 'other'", module.__dict__)  # noqa: S102
    module.sqrt = np.sqrt  # what a module only imports is not meant
    row = row_from_modules("mixed", [module], inherit=backend.load("numpy"))
    assert (row.name, row.exp(0)) == ("mixed", "other")
    assert row.log is backend.load("numpy").log
    assert row.sqrt is backend.load("numpy").sqrt


def test_finding_the_row_for_an_op_asks_nobody_once_it_is_loaded(monkeypatch):
    """Every op asks for the row, several times; looking for packages on the disk there made each op 20 times slower."""
    x = mg.Tensor([1.0])
    x.exp()
    with monkeypatch.context() as patch:
        for module, function in ((importlib.util, "find_spec"), (importlib, "import_module"), (backend, "backends")):
            patch.setattr(module, function, lambda *a, name=function, **k: pytest.fail(f"{name} was called"))
        x.exp()


# --- which row an op uses ---------------------------------------------------------------------------------------


def test_use_as_a_block_is_nested_and_restored(add_row):
    a, b = (add_row(counting_row(name)[0]) for name in ("a", "b"))
    assert current_row().name == "numpy"
    with mg.use(a) as row:
        assert row.name == current_row().name == "a"
        with mg.use(b):
            assert current_row().name == "b"
        assert current_row().name == "a"
        with pytest.raises(ZeroDivisionError), mg.use(b):
            _ = 1 / 0
        with pytest.raises(mg.BackendError), mg.use("tpu"):
            pass
        assert current_row().name == "a"
    assert current_row().name == "numpy"


def test_use_as_a_call_sets_the_process_default(add_row):
    a, b = (add_row(counting_row(name)[0]) for name in ("a", "b"))
    mg.use(a)
    assert current_row().name == "a"
    with mg.use(b):
        assert current_row().name == "b"
    assert current_row().name == "a"
    with mg.use(b):
        mg.use("numpy")  # a default set inside a block holds once the block is left
        assert current_row().name == "b"
    assert current_row().name == "numpy"


def in_thread(function):
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0]


def test_threads_see_the_default_but_not_the_block(add_row):
    a, b = (add_row(counting_row(name)[0]) for name in ("a", "b"))
    mg.use(a)
    with mg.use(b):
        assert in_thread(lambda: current_row().name) == "a"
        handed_over = contextvars.copy_context()
    assert in_thread(lambda: handed_over.run(lambda: current_row().name)) == "b"


def test_blocks_of_two_threads_leave_the_default_alone(add_row):
    """Two workers start `with mg.use("a")` at the same moment; afterwards the process default is what it was."""
    name = add_row(counting_row("a")[0])
    first, second = mg.use(name), mg.use(name)  # both objects exist before either block begins
    with first:
        pass
    with second:
        pass
    assert current_row().name == "numpy"


def test_one_use_object_for_several_blocks(add_row):
    a, b = (add_row(counting_row(name)[0]) for name in ("a", "b"))
    block = mg.use(a)
    with block, block:
        pass
    mg.use(b)
    with block:
        assert current_row().name == "a"
    assert current_row().name == "b"


def test_backward_uses_the_row_of_forward(add_row):
    row, calls = counting_row()
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    with mg.use(add_row(row)):
        y = F.gelu(x) * x
    z = y + 1.0
    forward = Counter(calls)
    z.backward([1.0, 1.0])
    assert forward["gelu_forward"] == forward["multiply"] == 1
    assert calls["gelu_backward"] == 1
    assert calls["multiply"] == 3
    assert calls["subtract"] == 0


def test_backward_needs_nothing_of_the_row_that_is_current_by_then(add_row):
    """A model runs in `with mg.use("cuda")`, loss.backward() stands after the block: the first gradient, 1, must be
    made where the loss is.
    """
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    loss = (x * x).sum()
    with mg.use(add_row(failing_row())):
        loss.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


class FakeDeviceArray:
    """Stands for an array in another memory."""

    def __init__(self, array):
        self.array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim


def test_arrays_of_another_device_are_refused(add_row):
    device = replace(backend.load("numpy"), name="device", is_array=lambda x: isinstance(x, FakeDeviceArray),
                     from_host=FakeDeviceArray)  # fmt: skip
    x = mg.Tensor([1.0], requires_grad=True)
    with mg.use(add_row(device)):
        on_device = mg.Tensor([1.0])
        with pytest.raises(mg.BackendError, match=r"Exp: input 0 lies on another device than the 'device' row.*\.to\("):
            x.exp()
        assert isinstance(on_device.data, FakeDeviceArray)
    with pytest.raises(mg.BackendError, match="input 0 lies on another device than the 'numpy' row"):
        on_device.exp()


def test_an_array_on_a_cuda_device_is_refused_by_a_host_row():
    class CudaArray:
        __cuda_array_interface__ = {}  # noqa: RUF012  what such arrays are recognised by

    with pytest.raises(mg.BackendError, match="on a CUDA device, the current row is 'numpy'"):
        mg.Tensor(CudaArray())


# --- the package `kernels` --------------------------------------------------------------------------------------


def run_python(program, folder):
    """Run a program in `folder`, which comes first on sys.path; the project after it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=folder)


def test_another_package_called_kernels(tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("def get_kernel(name): ...\n", encoding="utf-8")
    done = run_python("import minigpt as mg; mg.Tensor([1.0])", tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert "BackendError" in last
    assert str(tmp_path / "kernels" / "__init__.py") in last.replace("\\\\", "\\")
    assert "another project's package" in last


def test_kernels_can_be_used_alone(tmp_path):
    done = run_python(
        "import sys, numpy, kernels.reference\n"
        "print(kernels.reference.softmax.softmax_forward(numpy.zeros(4))[0], 'minigpt' in sys.modules)",
        tmp_path,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["0.25", "False"]), done.stderr


def test_data_that_is_no_array_is_told_as_such():
    t = mg.Tensor([1.0, 2.0])
    t.data = np.float32(3)
    with pytest.raises(
        mg.BackendError, match=r"Exp: the \.data of input 0 is no array but a float32; write t\.data = "
    ):
        t.exp()
    t.data = np.asarray(t.data)
    assert t.exp().item() == pytest.approx(np.exp(3), rel=1e-6)
