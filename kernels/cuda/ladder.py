"""The ladders of the CUDA kernels; see kernels/ladder.py."""

from kernels.ladder import Ladders

LADDERS = Ladders()
rung = LADDERS.rung
