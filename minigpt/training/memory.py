"""How much memory a process has taken, and the line that a training run ends with."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_bytes() -> int:
    """Most memory that this process has had in RAM at once, as the system counts it; 0 where it cannot tell (Windows).

    Linux also has getrusage, as macOS does, but there a process starts with the peak of the one that launched it:
    from a large notebook even `python -c pass` seems large. VmHWM counts from the start of the program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory_line(memory: dict[str, int]) -> str:
    """What Trainer.memory() gave, as a line of text; 1 MB is 10^6 bytes. Rows without an arena hold nothing."""
    peak, held = (f"{memory[name] / 1e6:.0f} MB" for name in ("peak", "held"))
    line = f"peak memory {peak}" if memory["peak"] else "peak memory unknown on this system"
    of_which = ", of which" if memory["peak"] else ","
    return f"{line}{of_which} {held} held for activations and gradients" if memory["held"] else line
