"""Figures that anyone can measure again with one command."""
