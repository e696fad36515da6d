"""Draw the examples of all views: `python -m minigpt.viz FOLDER [NAME …]`; with --page also one live page of them."""

import argparse
import sys
from pathlib import Path

from ..errors import MiniGPTError
from . import gallery


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m minigpt.viz", description="Draw an example of every view.")
    parser.add_argument("folder", type=Path, help="where the pictures go, such as docs/views")
    parser.add_argument("names", nargs="*", metavar="NAME", help="views such as AttentionGrid (default: all)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also write one live page, such as views.html")
    args = parser.parse_args(argv)
    try:
        paths = gallery.write(args.folder, args.names)
        if args.page:
            args.page.write_text(gallery.page(args.names), encoding="utf-8")
    except MiniGPTError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in paths:
        print(f"{path}: {path.stat().st_size / 1e3:.1f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
