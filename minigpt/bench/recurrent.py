"""nn.LSTM, GRU and RNN beside PyTorch's, forward + backward, both on one thread, in turn.

Ours is the module on the `cpu` row, through the tape, inside an arena as in training; gradients of x and of all
parameters. PyTorch's is torch.nn's module, batch first, with torch.autograd.grad. Both get the same weights, and both
sides' results are compared before anything is timed; `kernels_peer.py` has the timing.
"""

from __future__ import annotations

import numpy as np

from .. import nn
from ..backend import load, use
from ..tensor import Tensor
from ..training.workers import ThreadSettings
from .kernels import installed_torch
from .kernels_cases import floats
from .kernels_peer import Both, Compared, Pair, peer_table, take_turns

KINDS = ("LSTM", "GRU", "RNN")
SHAPE = (32, 128, 256, 256)  # B, T, input, hidden
ROUNDS = 11


def layer_pair(both: Both, kind: str, shape, num_layers: int = 1) -> Pair:
    """The same layer, x and dy on both sides; results are y, dx and the gradients of the parameters."""
    B, T, width, hidden = shape
    ours = getattr(nn, kind)(width, hidden, num_layers, rng=0)
    theirs = getattr(both.torch.nn, kind)(width, hidden, num_layers, batch_first=True)
    theirs.load_state_dict({name: both.tensor(array) for name, array in ours.state_dict().items()})
    rng = np.random.default_rng(0)
    x, dy = floats(rng, B, T, width), floats(rng, B, T, hidden)
    their_x, their_dy = both.tensor(x).requires_grad_(), both.tensor(dy)
    names = [name for name, _ in ours.named_parameters()]

    def our_step():
        ours.zero_grad()
        leaf = Tensor(x, requires_grad=True)
        y, _ = ours(leaf)
        y.backward(dy)
        return (y.data, leaf.grad, *(getattr(ours, name).grad for name in names))

    def their_step():
        y, _ = theirs(their_x)
        wanted = [their_x, *(getattr(theirs, name) for name in names)]
        return (y, *both.torch.autograd.grad(y, wanted, their_dy))

    layers = f", {num_layers} layers" if num_layers > 1 else ""
    return Pair(f"nn.{kind} B {B}, T {T}, {width} -> {hidden}{layers}", (), our_step, their_step)


def compare(kinds=KINDS, shape=SHAPE, rounds: int = ROUNDS) -> list[Compared]:
    """Raises BackendError without PyTorch or Numba, and if the two sides' results differ."""
    torch = installed_torch()
    both = Both(load("cpu"), torch)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with use("cpu"), ThreadSettings(), both.row.arena():
            return [take_turns(both, layer_pair(both, kind, shape), rounds, 0.0) for kind in kinds]
    finally:
        torch.set_num_threads(threads)


def report(results: list[Compared]) -> str:
    head = f"Forward + backward, one thread each, {len(results[0].ours)} rounds in turn; medians, spread of the ratios."
    return peer_table(head, results)
