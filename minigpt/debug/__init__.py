"""Watching a computation happen, and being told what went wrong. Nothing here costs anything until it is used.

`import minigpt.debug` loads none of the tools: each name below is loaded at its first use. A tool's file does not have
the name of its function, since the file would hide the function once it is loaded.
"""

from ..lazy import lazy_names

# public name -> the module of this package that defines it
_HOME = {
    "BackendComparison": "comparison",
    "BackwardStep": "stepping",
    "Difference": "difference",
    "Report": "report",
    "RunDifference": "difference",
    "Trace": "tracing",
    "anomaly": "anomalies",
    "backward_steps": "stepping",
    "check_accumulation": "gradient_checks",
    "check_batch": "model_checks",
    "check_decay": "optimizer_checks",
    "check_gradients": "gradient_checks",
    "check_model": "model_checks",
    "check_optimizer": "optimizer_checks",
    "compare_backends": "comparison",
    "diff_runs": "lockstep",
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
    "BackendComparison", "BackwardStep", "Difference", "Report", "RunDifference", "Trace", "anomaly", "backward_steps",
    "check_accumulation", "check_batch", "check_decay", "check_gradients", "check_model", "check_optimizer",
    "compare_backends", "diff_runs", "graph", "machine_peaks", "module_calls", "plain_recursion", "record_backward",
    "record_plain_recursion", "recursion_example", "trace", "unused_parameters",
]  # fmt: skip

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOME)
