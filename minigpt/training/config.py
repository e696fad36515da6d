"""All settings of a training run, from Python or from a TOML file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from ..errors import ConfigError


def _is_int(value, least) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least


def _is_number(value) -> bool:
    """A finite number from 0 up."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def setting(default, help_text, metavar=None):
    """A field with its default and the line that `--help` shows, where "None: …" at the end says what None stands for.

    A default of None may be filled in by __post_init__. metavar: what the value is called in `--help`
    """
    return field(default=default, metadata={"help": help_text, **({"metavar": metavar} if metavar else {})})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a Trainer. Raises ConfigError, naming the setting, if a value makes no sense.

    The defaults are nanoGPT's recipe for a small model on a CPU. Learning rates, decay and betas are AdamW's.
    """

    steps: int = setting(2000, "optimizer steps of the whole run; the schedule ends there")
    batch_size: int = setting(12, "windows per step and accumulation round")
    lr: float = setting(1e-3, "highest learning rate, after warm-up")
    min_lr: float = setting(None, "learning rate at the end of the cosine; None: a tenth of lr")
    warmup: int = setting(None, "steps of linear warm-up; None: 100, or all if the run is shorter")
    schedule: str = setting("cosine", "after warm-up: cosine, down to min_lr; noam, down as 1 / sqrt(step)")
    weight_decay: float = setting(0.1, "of parameters with two or more axes; biases and norms are never decayed")
    betas: tuple[float, float] = setting((0.9, 0.99), "how long AdamW remembers gradients and their squares")
    grad_clip: float = setting(1.0, "largest global gradient norm; 0 switches clipping off")
    accumulate: int = setting(1, "rounds of batch_size windows whose gradients make one step")
    backend: str | None = setting(
        None, "row of the kernel table: numpy, cpu or cuda; None: cpu if usable, else numpy", "ROW"
    )
    workers: int | None = setting(None, "threads that share a batch; None: as many as the row works best with")
    seed: int = setting(0, "order of the batches and dropout masks; the model has its own seed")
    out: str | None = setting(None, "checkpoint folder; None: nothing is written")
    eval_interval: int = setting(250, "steps between evaluations on the validation part; 0: only at the end")
    eval_tokens: int | None = setting(None, "how much of the validation part; None: all of it")
    patience: int | None = setting(
        None, "stop after so many evaluations without a lower loss, and go back to the best weights; None: never"
    )
    unfreeze_every: int = setting(0, "begin with the last layer alone, one more learns after so many steps; 0: all do")
    save_interval: int = setting(500, "steps between checkpoints; 0: only at the end")
    progress: bool = setting(True, "show a progress bar and messages on stderr")

    def __post_init__(self):
        if self.warmup is None and _is_int(self.steps, 1):
            object.__setattr__(self, "warmup", min(100, int(self.steps)))
        if self.min_lr is None and _is_number(self.lr):
            object.__setattr__(self, "min_lr", self.lr / 10)
        for names, fits, wanted in (
            (("steps", "batch_size", "accumulate"), lambda v: _is_int(v, 1), "an integer of at least 1"),
            (
                ("warmup", "seed", "eval_interval", "save_interval", "unfreeze_every"),
                lambda v: _is_int(v, 0),
                "an integer from 0 up",
            ),
            (
                ("eval_tokens", "workers", "patience"),
                lambda v: v is None or _is_int(v, 1),
                "an integer of at least 1, or not set",
            ),
            (("lr",), lambda v: _is_number(v) and v > 0, "a number above 0"),
            (("min_lr", "weight_decay", "grad_clip"), _is_number, "a number from 0 up"),
            (("schedule",), lambda v: v in ("cosine", "noam"), "cosine or noam"),
            (("backend",), lambda v: v is None or isinstance(v, str), "the name of a row"),
            (("out",), lambda v: v is None or isinstance(v, str | Path), "the path of a folder"),
            (("progress",), lambda v: isinstance(v, bool), "true or false"),
        ):
            for name in names:
                value = getattr(self, name)
                if not fits(value):
                    raise ConfigError(f"{name} must be {wanted}, got {value!r}")
                if isinstance(value, np.integer):
                    object.__setattr__(self, name, int(value))  # NumPy's integers cannot be written as JSON
        if self.min_lr > self.lr:
            raise ConfigError(f"min_lr ({self.min_lr}) is above lr ({self.lr}); the rate falls from lr to min_lr")
        if self.warmup > self.steps:
            raise ConfigError(f"warmup ({self.warmup} steps) is longer than the run ({self.steps} steps)")
        if self.patience is not None and self.eval_interval == 0:
            raise ConfigError("patience counts evaluations between steps: set eval_interval above 0")
        if self.schedule == "noam" and self.warmup < 1:
            raise ConfigError("schedule noam needs a warmup of at least 1 step: its rate falls as sqrt(warmup / step)")
        pair = isinstance(self.betas, list | tuple) and len(self.betas) == 2
        if not pair or not all(_is_number(beta) and beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must be two numbers in [0, 1), got {self.betas!r}")
        object.__setattr__(self, "betas", tuple(self.betas))  # TOML and JSON have lists only
        object.__setattr__(self, "out", None if self.out is None else str(self.out))

    @classmethod
    def from_dict(cls, values: dict) -> TrainConfig:
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigError(f"unknown settings {unknown}; known are {', '.join(known)}")
        return cls(**values)

    @classmethod
    def from_toml(cls, path) -> TrainConfig:
        """The [train] table of a TOML file."""
        return cls.from_dict(toml_table(read_toml(path), "train", path))

    def to_dict(self) -> dict:
        return {**asdict(self), "betas": list(self.betas)}


def toml_table(values: dict, name: str, path) -> dict:
    """The table [name], empty if it is not there. Raises ConfigError if it is something else than a table."""
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [{name}] must be a table of settings, got {table!r}")
    return table


def read_toml(path) -> dict:
    """A TOML file as a dict of tables. Raises ConfigError if it is missing or malformed."""
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no configuration file {path}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
