"""`import minigpt` is cheap, and everything it promises is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigpt as mg

ROOT = Path(mg.__file__).parents[1]
SUBMODULES = ["functional", "nn", "optim", "models", "tokenizers", "data", "training", "inspect", "debug", "generation",
              "reports", "viz"]  # fmt: skip


def run_python(program):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "program",
    [
        "import minigpt",
        "import minigpt; dir(minigpt); repr(minigpt); import minigpt.viz",
        "import minigpt as mg; from minigpt import nn, optim, functional as F; "
        "x = mg.Tensor([[1.0, 2.0]]); F.softmax(nn.Linear(2, 3, rng=0)(x)).sum().backward()",
    ],
    ids=["import", "dir", "use"],
)
def test_heavy_packages_stay_out(program):
    """Not even using the engine on the numpy row loads them; the exact GELU alone needs SciPy."""
    loaded = run_python(f"{program}\nimport sys; print(*sys.modules)").split()
    heavy = {"numba", "llvmlite", "matplotlib", "scipy", "tqdm", "safetensors", "regex", "threadpoolctl", "torch"}
    assert heavy.isdisjoint(loaded), heavy.intersection(loaded)
    assert "minigpt.errors" in loaded
    if program == "import minigpt":
        own = [name for name in loaded if name.startswith(("minigpt", "kernels", "numpy"))]
        assert sorted(own) == ["minigpt", "minigpt.errors"]


def test_no_thread_is_started_and_nothing_is_printed():
    assert run_python("import minigpt, threading; assert threading.active_count() == 1") == ""


@pytest.mark.parametrize("name", mg.__all__)
def test_every_name_resolves(name):
    assert getattr(mg, name) is getattr(mg, name)
    assert name in dir(mg)


@pytest.mark.parametrize("name", [*mg._LAZY, *mg._SUBMODULES])
def test_every_lazy_name_resolves_and_is_listed(name):
    assert getattr(mg, name) is not None
    assert name in dir(mg)


def test_submodules_are_there_without_importing_them_first():
    names = ", ".join(f"mg.{name}" for name in SUBMODULES)
    assert run_python(f"import minigpt as mg; print(len([{names}]))").strip() == str(len(SUBMODULES))
    assert set(SUBMODULES) <= set(dir(mg))


def test_star_import():
    assert run_python("from minigpt import *; print(Tensor([2.0]).item(), no_grad.__name__)").split() == [
        "2.0",
        "no_grad",
    ]


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'Tensr'.*Tensor.*gradcheck"):
        _ = mg.Tensr
    assert not hasattr(mg, "anything_else")


def test_all_errors_are_of_one_kind():
    kinds = [getattr(mg, name) for name in mg.__all__ if name.endswith("Error")]
    assert len(kinds) == 11
    assert all(issubclass(kind, mg.MiniGPTError) for kind in kinds)
    assert issubclass(mg.ShapeError, ValueError)
    assert issubclass(mg.ArgumentError, ValueError)
    assert not issubclass(mg.BackendError, ValueError)


def test_the_names_of_the_contract():
    contract = {"Tensor", "no_grad", "gradcheck", "use", "backends", "concatenate", "stack", "where", "Op", "generate"}
    contract |= {"stream", "Completion"}
    assert contract <= set(mg.__all__)
    functions = """linear relu gelu sigmoid tanh softmax log_softmax layer_norm embedding dropout cross_entropy
                   scaled_dot_product_attention""".split()
    methods = """data grad shape dtype ndim item numpy detach sum mean max var exp log sqrt tanh reshape transpose
                 swapaxes T backward requires_grad name op inputs retain_grad""".split()
    assert [name for name in functions if not hasattr(mg.functional, name)] == []
    assert [name for name in methods if not hasattr(mg.Tensor, name)] == []
