"""The `cuda` row: kernels for NVIDIA's cards in numba.cuda, a ladder per file as in `cpu`; arrays live on the card.

MODULES is made when it is first asked for: until then nothing decides between a card and the simulator (machine.py), so
that simulator.py can be had alone, without a card, its compiler, and settings in the environment.
"""

import importlib

NAMES = ("activation", "attention", "clipping", "cross_entropy", "device", "dropout", "elementwise", "embedding",
         "indexing", "layernorm", "matmul", "optimizer", "power", "reduce", "shape", "softmax")  # fmt: skip


def __getattr__(name):
    if name != "MODULES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = tuple(importlib.import_module(f".{stem}", __name__) for stem in NAMES)
    globals()["MODULES"] = modules
    return modules
