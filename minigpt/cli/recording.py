"""What `train` and `finetune` share: flags that record a run, and going on with one, from its end or from earlier."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import ConfigError
from ..training.snapshots import RECORDING, SETTINGS, recording_folder
from .common import given_flags, positive

FLAGS = ("record_names", "record_steps", "record_every", "record_weights", "record_limit")


def add_record_flags(parser) -> None:
    group = parser.add_argument_group(
        "time machine (minigpt.inspect.Recording.load(FOLDER) reads what it writes to FOLDER/recording)"
    )
    group.add_argument(
        "--record", action="append", metavar="PROMPT",
        help="record what the model makes of this prompt, at steps 0, 1, 2, 4, 8 … and every --record-every; may be "
        "given several times. Changes nothing of the training",
    )  # fmt: skip
    group.add_argument(
        "--record-names", nargs="+", metavar="NAME",
        help="what of it, * stands for anything: 'h.*.attn.weights', 'h.0.mlp.hidden', output (default: '*.weights', "
        "the weights of every attention)",
    )  # fmt: skip
    group.add_argument("--record-steps", nargs="+", type=int, metavar="N", help="at these steps instead")
    group.add_argument("--record-every", type=positive, metavar="N", help="default: a twentieth of the run")
    group.add_argument(
        "--record-weights", action="store_true", default=None,
        help="also keep a checkpoint of each of these steps, to go on from",
    )  # fmt: skip
    group.add_argument(
        "--record-limit", type=positive, metavar="MB", help="refuse to begin if it would take more (default: 200)"
    )
    group.add_argument(
        "--step", type=int, metavar="N",
        help="with --resume: go back to this step, of a run with --record-weights, and go on from there in the folder "
        "--out. The run itself stays as it is",
    )  # fmt: skip


def new_recorder(args):
    """The Recorder that the flags ask for, or None."""
    from ..inspect import Recorder

    if args.step is not None and not args.resume:
        raise ConfigError("--step goes with --resume FOLDER: the run to go back in")
    given = {name: getattr(args, name) for name in FLAGS if getattr(args, name) is not None}
    if not args.record:
        if given:
            raise ConfigError(f"--{min(given).replace('_', '-')} needs --record PROMPT, which says what to record")
        return None
    settings = {name.removeprefix("record_"): value for name, value in given.items()}
    if "limit" in settings:
        settings["limit"] *= 10**6
    return Recorder(args.record, **settings)


def resumed(args, data=None, model=None):
    """The trainer of --resume, at the end of its run or at --step; it goes on recording if the run did."""
    from ..inspect import Recorder
    from ..training import Trainer

    recorder, out = new_recorder(args), None
    recording = recording_folder(args.resume)
    if args.step is not None:
        out = args.out
        if not out or Path(out).resolve() in (args.resume.resolve(), recording.resolve()):
            raise ConfigError("--step goes back in a run, which stays as it is: give another folder with --out")
    if (recording / SETTINGS).exists() and (out is None or recorder is None):
        recorder = Recorder.of(args.resume, out and Path(out) / RECORDING)
    trainer = Trainer.resume(args.resume, data, model, args.step, out, recorder)
    print(f"going on after step {trainer.step_number} of {trainer.config.steps}", file=sys.stderr)
    return trainer


def ignored_by_resume(args, *configs) -> bool:
    """Whether flags of these dataclasses are given that --resume takes from the run."""
    given = {name for config in configs for name in given_flags(args, config)}
    return bool(given - ({"out"} if args.step is not None else set()))
