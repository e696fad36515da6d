"""`minigpt bench kernels`: every rung of every kernel, or the kernels in use beside a peer's."""

from __future__ import annotations

from ..errors import ArgumentError
from .common import add_action


def add_kernels(actions) -> None:
    text = "every rung of every kernel, with its share of this machine's roofline: on one thread, or on a CUDA card"
    example = (
        "minigpt bench kernels --kernel matmul gelu\n"
        "  minigpt bench kernels --backend cuda --peer torch --write kernels/README.md"
    )
    kernels = add_action(actions, "kernels", text, example)
    kernels.add_argument("--backend", choices=("cpu", "cuda"), default="cpu", help="whose kernels (default: cpu)")
    kernels.add_argument("--kernel", nargs="+", metavar="NAME", help="matmul, gelu, gelu_forward … (default: all)")
    kernels.add_argument("--quick", action="store_true", help="tiny problems, to see everything run; no figures")
    kernels.add_argument("--write", metavar="PATH", help="put the table between the markers of this file as well")
    text = "the kernels in use beside this peer's; cpu: instead of the table, cuda: below it"
    kernels.add_argument("--peer", choices=("torch",), help=text)
    kernels.set_defaults(measure=run_kernels)


def run_kernels(args) -> int:
    if args.write is not None:
        if args.kernel or args.quick or (args.peer and args.backend == "cpu"):
            raise ArgumentError("--write is for the table of all kernels: leave --kernel, --quick and --peer out")
        from ..bench.kernels_report import marked_file, write_table

        markers = table_markers(args.backend)
        marked_file(args.write, markers)  # refused now rather than after a minute
    table = cuda_table(args) if args.backend == "cuda" else cpu_table(args)
    print(table)
    if args.quick and not (args.peer and args.backend == "cpu"):
        print("\nThese problems are tiny: the figures show the cost of a call, not the speed of a kernel.")
    if args.write is not None:
        write_table(args.write, table, markers)
    return 0


def table_markers(backend: str) -> tuple[str, str]:
    """Between which lines of kernels/README.md the table of this row stands."""
    if backend == "cuda":
        from ..bench.kernels_cuda_report import MARKERS
    else:
        from ..bench.kernels_report import MARKERS
    return MARKERS


def cpu_table(args) -> str:
    from ..bench.kernels import measure_ladders
    from ..bench.kernels_peer import compare, peer_report
    from ..bench.kernels_report import report

    if args.peer:
        return peer_report(compare(args.kernel, args.quick))
    return report(measure_ladders(args.kernel, args.quick))


def cuda_table(args) -> str:
    from ..bench.kernels_cuda import measure_cuda_ladders, torch_beside_card
    from ..bench.kernels_cuda_report import cuda_peer_report, cuda_report

    if args.peer:
        from ..bench.kernels_cuda_peer import compare_on_card

        torch_beside_card()  # refused now rather than after the table
    parts = [cuda_report(measure_cuda_ladders(args.kernel, args.quick))]
    if args.peer:
        parts.append(cuda_peer_report(compare_on_card(args.kernel, args.quick)))
    return "\n\n".join(parts)
