"""Watching a computation happen, and being told what went wrong. Nothing here costs anything until it is used.

`import minigpt.debug` loads none of the tools: each name below is loaded at its first use. A tool's file does not have
the name of its function, since the file would hide the function once it is loaded.
"""

from ..lazy import lazy_names

# public name -> the module of this package that defines it
_HOME = {
    "BackendComparison": "comparison",
    "BackwardStep": "stepping",
    "Trace": "tracing",
    "anomaly": "anomalies",
    "backward_steps": "stepping",
    "compare_backends": "comparison",
    "graph": "computation_graph",
    "machine_peaks": "roofline",
    "module_calls": "calls",
    "plain_recursion": "recursion",
    "record_backward": "recording",
    "record_plain_recursion": "recursion",
    "recursion_example": "recursion",
    "trace": "tracing",
    "unused_parameters": "unused",
}

__all__ = [
    "BackendComparison", "BackwardStep", "Trace", "anomaly", "backward_steps", "compare_backends", "graph",
    "machine_peaks", "module_calls", "plain_recursion", "record_backward", "record_plain_recursion",
    "recursion_example", "trace", "unused_parameters",
]  # fmt: skip

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOME)
