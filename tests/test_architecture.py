"""The plan of the house, read off the source: who imports whom, how long files are, where a name's formula lies."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F

ROOT = Path(mg.__file__).parents[1]
MODULES = sorted([*ROOT.glob("minigpt/**/*.py"), *ROOT.glob("kernels/**/*.py")])

# Needed everywhere and needing nothing of the engine: error kinds, files that change together, random keys,
# the observer points, how an array prints, names loaded late.
BASE = {"errors", "files", "randomness", "observe", "display", "lazy"}

# Each may import itself, what stands here, and (above the base) the base.
MAY_IMPORT = {
    "errors": set(),
    "observe": set(),
    "display": set(),
    "lazy": set(),
    "files": {"errors"},
    "randomness": {"errors"},
    "row": {"errors"},
    "cuda_state": set(),
    "backend": {"errors", "row", "cuda_state", "kernels"},
    "ops": {"backend"},
    "operators": {"backend", "ops"},
    "tape": {"backend", "ops"},
    "backpropagation": {"backend", "ops", "tape"},
    "tensor": {"backend", "ops", "operators", "tape", "backpropagation"},
    "functional": {"backend", "ops", "operators", "tensor"},
    "finite_differences": {"tensor"},
    "optim": {"backend", "tensor"},
    "nn": {"backend", "ops", "tensor", "functional"},
    # no engine in these: arrays, text and pictures only
    "decoding": set(),
    "tokenizers": set(),
    "viz": set(),
    "data": {"tokenizers"},
}
MAY_IMPORT["models"] = MAY_IMPORT["nn"] | {"nn", "decoding", "tokenizers"}
MAY_IMPORT["training"] = MAY_IMPORT["models"] | {"models", "data", "optim"}
MAY_IMPORT["inspect"] = MAY_IMPORT["training"] | {"training", "finite_differences", "viz"}  # it records a run
# the doctor asks what the card lacks; what differs is named as `capture` names it
MAY_IMPORT["debug"] = MAY_IMPORT["inspect"] | {"inspect", "optim", "cuda_state"}
MAY_IMPORT["generation"] = MAY_IMPORT["training"] | {"training", "viz"}
MAY_IMPORT["reports"] = MAY_IMPORT["generation"] | {"generation", "inspect"}
MAY_IMPORT["classroom"] = MAY_IMPORT["generation"] | {"generation", "inspect", "debug", "viz", "finite_differences"}
MAY_IMPORT["bench"] = MAY_IMPORT["classroom"] | {"classroom", "backpropagation"}  # its observer point is measured
MAY_IMPORT["cli"] = MAY_IMPORT["bench"] | {"bench", "reports"}
MAY_IMPORT["__main__"] = {"cli"}

HEAVY = {"numba", "matplotlib", "scipy", "tqdm", "safetensors", "torch", "transformers", "sacrebleu"}
THIRD_PARTY = {
    "decoding": {"numpy"},
    "viz": {"numpy", "matplotlib", "PIL"},  # PIL comes with Matplotlib
    "tokenizers": {"numpy", "regex", "tqdm"},
    "data": {"numpy", "tqdm"},
    "bench": {"numpy", "torch", "transformers", "threadpoolctl", "scipy", "numba", "tqdm", "tokenizers"},
}
OTHERWISE = {"numpy", "scipy", "threadpoolctl", "safetensors", "tqdm", "matplotlib", "tomli", "numba", "llvmlite",
             "greenlet", "sacrebleu"}  # fmt: skip


def part_of(path):
    """minigpt/ops/op.py -> ops, minigpt/tensor.py -> tensor, kernels/cpu/x.py -> kernels"""
    names = path.relative_to(ROOT).with_suffix("").parts
    return names[0] if names[0] == "kernels" or names[1] == "__init__" else names[1]


def imports(path):
    """(dotted name, line, whether it runs when the module is imported) of everything imported, at any depth."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]

    def walk(node, at_import):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) + 1 - node.level]] if node.level else []
            base += node.module.split(".") if node.module else []
            if base == ["minigpt"] or not node.module:  # from .. import functional
                yield from ((".".join([*base, alias.name]), node.lineno, at_import) for alias in node.names)
            else:
                yield ".".join(base), node.lineno, at_import
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            name = ast.unparse(node.args[0]).strip("'\"f")
            if not name.startswith((".", "{__name__}")):  # a package may load its own parts by name
                yield name, node.lineno, at_import
        type_checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        inside = at_import and not type_checking
        inside = inside and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), True)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_arrows_go_one_way(path):
    """Imports inside functions count too: they would only hide a cycle until the function is called."""
    part = part_of(path)
    wrong = []
    for name, line, at_import in imports(path):
        top, *rest = name.split(".")
        if top == "minigpt":
            target = rest[0] if rest else "minigpt"
            if part == "minigpt":  # the front door: names are loaded when asked for
                fits = not at_import or target == "errors"
            elif part == "kernels":
                fits = False
            else:
                assert part in MAY_IMPORT, f"a new part {part!r} of minigpt: give it a place in MAY_IMPORT"
                base = set() if part in BASE else BASE
                fits = target in MAY_IMPORT[part] | base | {part, "__version__"}
        elif top == "kernels":
            fits = part in ("kernels", "backend")
        else:
            fits = top not in ("tests", "notebooks", "docs")
        if not fits:
            wrong.append(f"line {line} imports {name}")
    assert not wrong, f"{part} may not: {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_other_projects_are_imported_where_they_are_needed(path):
    """Heavy ones inside functions, so that importing minigpt is cheap; text and pictures with little more than NumPy.

    Files of viz, bench and the fast rows are themselves loaded only when asked for.
    """
    part, wrong = part_of(path), []
    loaded_late = part in ("viz", "bench") or path.relative_to(ROOT).parts[:2] in (
        ("kernels", "cpu"),
        ("kernels", "cuda"),
    )
    for name, line, at_import in imports(path):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or top in ("minigpt", "kernels", "__future__"):
            continue
        if top not in THIRD_PARTY.get(part, OTHERWISE) or (top in HEAVY and at_import and not loaded_late):
            wrong.append(f"line {line} imports {name}")
    assert not wrong


def test_the_check_sees_imports_of_every_form(tmp_path):
    source = (
        "import minigpt.nn as nn, os\n"
        "from . import ops\n"
        "from .ops.op import Op\n"
        "def f():\n"
        "    from .. import x\n"
        "    import importlib\n"
        "    importlib.import_module('kernels.reference')\n"
    )
    path = ROOT / "minigpt" / "part" / "module.py"

    class Source:
        relative_to = staticmethod(lambda root: path.relative_to(root))
        read_text = staticmethod(lambda encoding: source)

    assert list(imports(Source)) == [
        ("minigpt.nn", 1, True),
        ("os", 1, True),
        ("minigpt.part.ops", 2, True),
        ("minigpt.part.ops.op", 3, True),
        ("minigpt.x", 5, False),
        ("importlib", 6, False),
        ("kernels.reference", 7, False),
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_are_short_and_import_names_one_by_one(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 320
    assert "import *" not in text
    assert ast.get_docstring(ast.parse(text)), "a module begins with what it is for"


def stems(folder):
    return {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}


def test_one_noun_names_a_thing_everywhere():
    """ops/attention.py, kernels/reference/attention.py, tests/ops/test_attention.py"""
    without_op = {"device": "making and moving arrays", "optimizer": "steps of minigpt/optim, which have no gradient",
                      "clipping": "of minigpt/optim"}  # fmt: skip
    without_kernel = {"op": "what an op is", "broadcast": "shapes and dtypes only", "axes": "how errors name them"}
    assert stems("kernels/reference") - set(without_op) == stems("minigpt/ops") - set(without_kernel)
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "ops").glob("test_*.py")}
    assert stems("minigpt/ops") <= tests


X, IDS, HEADS = np.ones((2, 3), np.float32), np.array([0, 1]), np.ones((1, 1, 2, 3), np.float32)


@pytest.mark.parametrize(
    ("function", "arguments", "kernel"),
    [
        (F.softmax, (X,), "softmax_forward"),
        (F.log_softmax, (X,), "log_softmax_forward"),
        (F.gelu, (X,), "gelu_forward"),
        (F.layer_norm, (X, X[0], X[0]), "layernorm_forward"),
        (F.linear, (X, X.T, X[:, 0]), "linear_forward"),
        (F.embedding, (IDS, X), "embedding_forward"),
        (F.cross_entropy, (X, IDS), "cross_entropy_forward"),
        (F.scaled_dot_product_attention, (HEADS, HEADS, HEADS), "attention_forward"),
        (F.dropout, (X, 0.5, 0), "dropout_forward"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_debugger_reaches_the_formula_in_three_steps(function, arguments, kernel):
    """F.softmax -> Op.apply -> Softmax.forward -> softmax_forward: a function between is one more to step through."""
    frames = {}

    def note(frame, event, argument):
        if event == "call":
            depth, above = 0, frame
            while above is not None:
                depth, above = depth + 1, above.f_back
            frames.setdefault(frame.f_code, depth)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(*arguments)
    finally:
        sys.setprofile(before)
    depth = {code.co_name: depth for code, depth in frames.items() if "kernels" in Path(code.co_filename).parts}
    assert depth[kernel] - frames[function.__code__] <= 3
