"""Looking inside a model: activations by name, and how large numbers are before the first step."""

from .capture import capture
from .initialisation import initialisation_study

__all__ = ["capture", "initialisation_study"]
