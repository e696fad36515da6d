"""Decoding beside a peer's, in turn: tokens a second, ratio of neighbours, and the share of what memory allows."""

from __future__ import annotations

import importlib.util
import statistics

from ..errors import ArgumentError, BackendError
from .decode_sides import decode_config, token_bytes
from .train import Side


def compare(shape: str, peer: str | None, int8: bool, prompt: int, new: int, rounds: int, threads: int) -> dict:
    """Seconds that each side takes for a text of `new` tokens after `prompt`, round by round.

    Raises BackendError if the peer is not installed, ArgumentError if the text is longer than the shape's context.
    """
    longest = decode_config(shape).block_size
    if prompt + new > longest:
        raise ArgumentError(f"{prompt} + {new} tokens are more than the context of {shape!r}, {longest}")
    if peer and importlib.util.find_spec(peer) is None:
        raise BackendError(f"{peer} is not installed here, so there is nothing to compare with: pip install {peer}")
    names = ["ours", *(["ours-int8"] if int8 else []), *([peer] if peer else []), "memory"]
    sides: list[Side] = []
    try:
        for name in names:
            sides.append(Side(name, shape, prompt, new, threads, module="decode_sides"))
        times: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for side in sides:
                times[side.name].append(side.run(1))
    finally:
        for side in sides:
            side.close()
    memory = {side.name: (side.peak, side.peak - side.base) for side in sides}
    return {"shape": shape, "peer": peer, "prompt": prompt, "new": new, "threads": threads, "times": times,
            "memory": memory}  # fmt: skip


def report(result: dict) -> str:
    """The figures as lines of text."""
    times, new, peer = result["times"], result["new"], result["peer"]
    floats, int8 = token_bytes(decode_config(result["shape"]))
    floor = {"ours": 1.0, "ours-int8": int8 / floats}  # of the time that reading the float32 weights takes
    rounds = len(times["ours"])
    lines = [
        f"{result['shape']}, one sequence, {result['prompt']} + {new} tokens, {result['threads']} threads, {rounds} "
        "rounds in turn; median tokens a second:"
    ]
    for name, seconds in times.items():
        speed = new / statistics.median(seconds)
        if name == "memory":
            lines.append(
                f"  {name:<14}{speed:7.1f}   reading {floats / 1e6:.0f} MB a token at {speed * floats / 1e9:.1f} GB/s"
            )
            continue
        parts = [f"  {name:<14}{speed:7.1f}   peak memory {result['memory'][name][0] / 1e6:.0f} MB"]
        if name in floor:
            shares = [read * floor[name] / own for read, own in zip(times["memory"], seconds, strict=True)]
            parts.append(
                f"{statistics.median(shares):.0%} of what memory allows ({floor[name] * floats / 1e6:.0f} MB a token)"
            )
            if peer:
                parts.append(f"{ratio(times[peer], seconds)} x {peer}")
        lines.append(", ".join(parts))
    if "ours-int8" in times:
        lines.append(f"  int8 / float32: {ratio(times['ours'], times['ours-int8'])}")
    return "\n".join(lines)


def ratio(theirs, ours) -> str:
    """How many times as fast: the median of the neighbours' ratios, with the smallest and the largest."""
    ratios = sorted(a / b for a, b in zip(theirs, ours, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
