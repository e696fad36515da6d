"""All settings of a training run, from Python or from a TOML file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ..errors import ConfigError


def setting(default, help_text):
    """A field with its default and the line that `--help` shows."""
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a Trainer. Raises ConfigError, naming the setting, if a value makes no sense.

    The defaults are nanoGPT's recipe for a small model on a CPU. Learning rates, decay and betas are AdamW's.
    """

    steps: int = setting(2000, "optimizer steps of the whole run; the schedule ends there")
    batch_size: int = setting(12, "windows per step and accumulation round")
    lr: float = setting(1e-3, "highest learning rate, after warm-up")
    min_lr: float = setting(1e-4, "learning rate at the end of the cosine")
    warmup: int = setting(100, "steps of linear warm-up")
    weight_decay: float = setting(0.1, "of parameters with two or more axes; biases and norms are never decayed")
    betas: tuple[float, float] = setting((0.9, 0.99), "how long AdamW remembers gradients and their squares")
    grad_clip: float = setting(1.0, "largest global gradient norm; 0 switches clipping off")
    accumulate: int = setting(1, "rounds of batch_size windows whose gradients make one step")
    backend: str | None = setting(None, "row of the kernel table; None: cpu if usable, else numpy")
    workers: int | None = setting(None, "threads that share a batch; None: as many as the row works best with")
    seed: int = setting(0, "order of the batches and dropout masks; the model has its own seed")
    out: str | None = setting(None, "checkpoint folder; None: nothing is written")
    eval_interval: int = setting(250, "steps between evaluations on the validation part; 0: only at the end")
    eval_tokens: int | None = setting(None, "how much of the validation part; None: all of it")
    save_interval: int = setting(500, "steps between checkpoints; 0: only at the end")
    progress: bool = setting(True, "show a progress bar and messages on stderr")

    def __post_init__(self):
        rules = [
            ("steps", self._is_int(self.steps, 1), "an integer of at least 1"),
            ("batch_size", self._is_int(self.batch_size, 1), "an integer of at least 1"),
            ("accumulate", self._is_int(self.accumulate, 1), "an integer of at least 1"),
            ("warmup", self._is_int(self.warmup, 0), "an integer of at least 0"),
            ("seed", self._is_int(self.seed, 0), "an integer of at least 0"),
            ("eval_interval", self._is_int(self.eval_interval, 0), "an integer of at least 0"),
            ("save_interval", self._is_int(self.save_interval, 0), "an integer of at least 0"),
            ("eval_tokens", self.eval_tokens is None or self._is_int(self.eval_tokens, 1), "None or at least 1"),
            ("workers", self.workers is None or self._is_int(self.workers, 1), "None or an integer of at least 1"),
            ("lr", self._is_number(self.lr) and self.lr > 0, "a number above 0"),
            ("min_lr", self._is_number(self.min_lr) and 0 <= self.min_lr <= self.lr, f"from 0 to lr ({self.lr})"),
            ("weight_decay", self._is_number(self.weight_decay) and self.weight_decay >= 0, "a number from 0 up"),
            ("grad_clip", self._is_number(self.grad_clip) and self.grad_clip >= 0, "a number from 0 up"),
        ]
        for name, fits, wanted in rules:
            if not fits:
                raise ConfigError(f"{name} must be {wanted}, got {getattr(self, name)!r}")
        if self.warmup > self.steps:
            raise ConfigError(f"warmup ({self.warmup} steps) is longer than the run ({self.steps} steps)")
        object.__setattr__(self, "betas", tuple(self.betas))  # TOML and JSON have lists only
        if len(self.betas) != 2 or not all(self._is_number(b) and 0 <= b < 1 for b in self.betas):
            raise ConfigError(f"betas must be two numbers in [0, 1), got {self.betas!r}")

    @staticmethod
    def _is_int(value, least):
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    @staticmethod
    def _is_number(value):
        return isinstance(value, int | float) and not isinstance(value, bool)

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
        return cls.from_dict(read_toml(path).get("train", {}))

    def to_dict(self) -> dict:
        return {**asdict(self), "betas": list(self.betas)}


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
