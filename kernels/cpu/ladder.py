"""The ladders of the CPU kernels; see kernels/ladder.py."""

from kernels.ladder import Ladders

LADDERS = Ladders()
rung = LADDERS.rung
