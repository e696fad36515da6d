"""Every error that minigpt raises on purpose.

Each message says what was wanted, what was given, and the likely fix. All kinds derive from
`MiniGPTError`, so that `except mg.MiniGPTError` catches what the library refuses and nothing else;
the command line turns them into one line and exit code 2.
"""


class MiniGPTError(Exception):
    """Base of all errors of this library."""


class ShapeError(MiniGPTError, ValueError):
    """Array shapes do not fit the operation."""


class ArgumentError(MiniGPTError, ValueError):
    """An argument has a wrong type or value."""


class GraphError(MiniGPTError, RuntimeError):
    """The computation graph cannot give the gradient asked for (freed, overwritten, not scalar …)."""


class BackendError(MiniGPTError):
    """A row of the kernel table is missing, incomplete, or given arrays of another device."""


class ConfigError(MiniGPTError, ValueError):
    """A configuration contradicts itself or names something that does not exist."""


class TokenizerError(MiniGPTError, ValueError):
    """Text or ids that the tokenizer cannot translate."""


class DataError(MiniGPTError, ValueError):
    """A data file is missing, empty, damaged, or too short."""


class CheckpointError(MiniGPTError):
    """A checkpoint cannot be read or written."""


class NumericsError(MiniGPTError, ArithmeticError):
    """A NaN or Inf appeared where only finite numbers make sense."""


class GradcheckError(MiniGPTError, AssertionError):
    """A backward pass disagrees with finite differences."""
