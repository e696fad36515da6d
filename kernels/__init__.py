"""Array functions behind minigpt: no Tensor, no graph, importable on their own.

`reference/` holds the formulas in plain NumPy, the oracle of every other row of the kernel table.
"""

PROJECT = "minigpt"  # minigpt.backend checks this: another distribution is called `kernels` too
