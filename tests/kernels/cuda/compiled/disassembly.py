"""The machine instructions of a compiled kernel, by nvdisasm of the extra [cuda-check]."""

import importlib.metadata
import re
import subprocess
from pathlib import Path


def nvdisasm() -> Path | None:
    """The program, None if its package is not installed."""
    try:
        files = importlib.metadata.files("nvidia-cuda-nvdisasm") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()) for file in files if file.stem == "nvdisasm" and file.parent.name == "bin"), None)


def listing(code: bytes, folder: Path) -> tuple[list[str], dict[str, int]]:
    """The instructions, `FFMA R1, R2, R3, R1`, …, and for each label the number of the instruction behind it."""
    (folder / "kernel.cubin").write_bytes(code)
    command = [str(nvdisasm()), "-c", str(folder / "kernel.cubin")]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    places: dict[str, int] = {}
    instructions: list[str] = []
    for line in text.splitlines():
        if label := re.match(r"\s*(\.L_[\w$.]+):", line):
            places[label[1]] = len(instructions)
        elif found := re.match(r"\s*/\*[0-9a-f]+\*/\s+(.*?);", line):
            instructions.append(found[1].strip())
    return instructions, places


def main_loop(code: bytes, folder: Path) -> list[str]:
    """The instructions of the loop that has the most of them and no loop in it."""
    instructions, places = listing(code, folder)
    loops = []
    for end, instruction in enumerate(instructions):
        target = re.search(r"\bBRA\b.*?(\.L_[\w$.]+)", instruction)
        if target and places[target[1]] < end:  # a jump back
            loops.append((places[target[1]], end + 1))
    innermost = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    start, end = max(innermost, key=lambda loop: loop[1] - loop[0])
    return [re.sub(r"^@!?U?P\w+\s+", "", instruction) for instruction in instructions[start:end]]
