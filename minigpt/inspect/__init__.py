"""Looking inside a model: activations by name."""

from .capture import capture

__all__ = ["capture"]
