"""How good a language model is on a text: measures with intervals, calibration, comparison of two models."""

from .calibration import Calibration, calibrate
from .compare import Comparison, compare
from .intervals import wilson
from .text import TextEvaluation, evaluate_text

__all__ = ["Calibration", "Comparison", "TextEvaluation", "calibrate", "compare", "evaluate_text", "wilson"]
