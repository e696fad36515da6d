"""The measured CUDA ladders as text, and where they stand in kernels/README.md."""

from __future__ import annotations

import statistics

from ..backend import card_timing, driver_text
from .kernels import Measured
from .kernels_cuda import product_of
from .kernels_peer import Compared, peer_table
from .kernels_report import CARD, block, versions

MARKERS = "<!-- cuda table: begin -->", "<!-- cuda table: end -->"


def cuda_report(results: list[Measured]) -> str:
    """Card and ceilings, then a block per case as kernels_report.block writes it."""
    peak = statistics.median(result.peak for result in results)
    bandwidth = statistics.median(result.bandwidth for result in results)
    head = (
        f"{card_environment()}\n"
        f"Ceilings: {product_of()} {peak / 1e12:.1f} TFLOP/s; copy {bandwidth / 1e9:,.0f} GB/s.\n"
        f"Medians of {results[0].rounds} rounds in turn, timed by the card."
    )
    return "\n\n".join([head, *(block(result, CARD) for result in results)])


def cuda_peer_report(results: list[Compared]) -> str:
    import torch

    where = "the processor" if card_timing().SIMULATED else "the same card"
    head = (
        f"Beside PyTorch {torch.__version__} on {where}, float32 without TF32; {len(results[0].ours)} rounds in turn; "
        "medians, and the spread of the ratios."
    )
    return peer_table(head, results)


def card_environment() -> str:
    """Card and versions; nothing that names a machine or a person."""
    if card_timing().SIMULATED:
        return f"simulated card: the times are those of the simulation and mean nothing; {versions('NumPy')}"
    return f"{card_timing().card_name()}; driver for CUDA {driver_text()}; {versions('NumPy', 'Numba', 'numba-cuda')}"
