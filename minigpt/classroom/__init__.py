"""Exercises that check themselves.

    mg.classroom.check("softmax", softmax)

check       compare a student's function with the library, print what is wrong and why, return the points
examine     the same as a Report, printing nothing
exercise    one exercise: its parts, its points, its stored mistakes
names       all exercises
simulated_card   (cuda, launch) for exercises on CUDA kernels

One file of `checks/` holds what one exercise demands. The text of the exercises lies in `notebooks/exercises/`.
"""

from .card import simulated_card
from .checking import Report, check, examine
from .exercise import Case, Exercise, exercise, names

__all__ = ["Case", "Exercise", "Report", "check", "examine", "exercise", "names", "simulated_card"]
