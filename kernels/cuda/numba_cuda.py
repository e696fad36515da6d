"""All that is particular to numba-cuda: imports, types, compile options, 128-bit access, launches, memory.

The package is in maintenance; its successor (numba-cuda-mlir) should need changes in this file only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import cuda, types
from numba.cuda import cgutils  # type: ignore[attr-defined]
from numba.cuda.cudadrv.driver import CudaAPIError
from numba.cuda.extending import intrinsic

from .errors import DeviceError

NAME = "numba-cuda"

SCALARS = {"uint32": types.uint32, "int32": types.int32, "uint64": types.uint64, "float32": types.float32,
           "boolean": types.boolean}  # fmt: skip
ELEMENTS = {"float32": types.float32, "int64": types.int64, "int32": types.int32, "uint8": types.uint8,
            "uint32": types.uint32}  # fmt: skip


def numba_type(kind):
    """machine.Kind -> the type that numba compiles for: flat arrays in one piece, and numbers."""
    if kind.array:
        return types.Array(ELEMENTS[kind.dtype], 1, "C")
    return SCALARS[kind.dtype]


def options(kernel) -> dict:
    """Compile options of a kernel."""
    bounds = (kernel.threads, kernel.resident) if kernel.resident else kernel.threads
    return {"fastmath": not kernel.exact, "launch_bounds": bounds}


def build(kernel):
    """The kernel, to be compiled when it is first launched."""
    return cuda.jit(**options(kernel))(kernel.function)


_CONFIGURED: dict[tuple, Any] = {}  # building a launch configuration takes as long as the launch


def launch(dispatcher, grid, block, arguments, names=()):
    key = (dispatcher, grid, block)
    configured = _CONFIGURED.get(key)
    if configured is None:
        configured = _CONFIGURED[key] = dispatcher[grid, block]
    try:
        configured(*arguments)
    except CudaAPIError as error:
        raise fault(error) from error


def fault(error) -> DeviceError:
    """What the driver reports, which may be of any launch before. That one is named if every launch is waited for."""
    return DeviceError(
        f"the card reports {error}. A kernel that was launched some time ago may have caused it: run the program again "
        "with MINIGPT_CUDA_DEBUG=1 in the environment, which waits for every kernel and names the one that fails"
    )


def device_function(function):
    """A function that kernels call."""
    return cuda.jit(device=True, fastmath=True)(function)


# --- access by 128 bits, and by address -------------------------------------------------------------------------

_FLOAT = ir.FloatType()
_FOUR = ir.VectorType(_FLOAT, 4)


def _pointer(context, builder, array_type, array, index_type, index):
    struct = context.make_array(array_type)(context, builder, array)
    index = context.cast(builder, index, index_type, types.uint64)
    place = builder.gep(struct.data, [index])
    return builder.bitcast(place, ir.PointerType(_FOUR, place.type.addrspace))


@intrinsic
def load4(typingctx, x, i):
    """x[i], …, x[i + 3] in one access; i divisible by 4."""

    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], args[0], signature.args[1], args[1])
        four = builder.load(pointer, align=16)
        parts = [builder.extract_element(four, ir.Constant(ir.IntType(32), n)) for n in range(4)]
        return cgutils.pack_array(builder, parts)

    return types.UniTuple(types.float32, 4)(x, i), generate


@intrinsic
def store4(typingctx, x, i, a, b, c, d):
    """x[i], …, x[i + 3] = a, b, c, d in one access; i divisible by 4."""

    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], args[0], signature.args[1], args[1])
        four = ir.Constant(_FOUR, ir.Undefined)
        for n, (value, kind) in enumerate(zip(args[2:], signature.args[2:], strict=True)):
            single = context.cast(builder, value, kind, types.float32)
            four = builder.insert_element(four, single, ir.Constant(ir.IntType(32), n))
        builder.store(four, pointer, align=16)
        return context.get_dummy_value()

    return types.void(x, i, a, b, c, d), generate


_GLOBAL = 1  # number of the address space that the card's memory is, to the compiler


@intrinsic
def floats_at(typingctx, address, n):
    """The n float32 from an address on, as an array that kernels use like any other."""
    array_type = types.Array(types.float32, 1, "C")

    def generate(context, builder, signature, args):
        address, n = (
            context.cast(builder, value, kind, types.intp) for value, kind in zip(args, signature.args, strict=True)
        )
        array = context.make_array(array_type)(context, builder)
        place = builder.inttoptr(address, ir.PointerType(_FLOAT, _GLOBAL))
        context.populate_array(
            array,
            data=builder.addrspacecast(place, ir.PointerType(_FLOAT)),
            shape=cgutils.pack_array(builder, [n]),
            strides=cgutils.pack_array(builder, [context.get_constant(types.intp, 4)]),
            itemsize=context.get_constant(types.intp, 4),
            meminfo=None,
        )
        return array._getvalue()

    return array_type(address, n), generate


# --- tensor cores; what each lane brings is told in matmul_tensor_cores.py -------------------------------------

_WORD = ir.IntType(32)


def _words(builder, values):
    return [builder.bitcast(value, _WORD) for value in values]


@intrinsic
def to_tf32(typingctx, x):
    """x rounded to 11 bits, halves away from zero."""

    def generate(context, builder, signature, args):
        convert = ir.InlineAsm(ir.FunctionType(_WORD, [_FLOAT]), "cvt.rna.tf32.f32 $0, $1;", "=r,f")
        return builder.bitcast(builder.call(convert, args), _FLOAT)

    return types.float32(types.float32), generate


@intrinsic
def mma_tf32(typingctx, c, a, b):
    """c + a @ b for a warp: a (16, 8), b (8, 8); tuples of 4, 4 and 2 float32."""

    def generate(context, builder, signature, args):
        c, a, b = (cgutils.unpack_tuple(builder, part) for part in args)
        kind = ir.FunctionType(ir.LiteralStructType([_FLOAT] * 4), [_WORD] * 6 + [_FLOAT] * 4)
        multiply = ir.InlineAsm(
            kind,
            "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
            "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};",
            "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f",
            side_effect=True,
        )
        sums = builder.call(multiply, [*_words(builder, a), *_words(builder, b), *c])
        return cgutils.pack_array(builder, [builder.extract_value(sums, n) for n in range(4)])

    return types.UniTuple(types.float32, 4)(c, a, b), generate


# --- memory -----------------------------------------------------------------------------------------------------


def allocate(nbytes: int):
    """Memory of the card, as bytes. Raises DeviceError if there is not enough."""
    try:
        return cuda.device_array(nbytes, np.uint8)
    except CudaAPIError as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise fault(error) from error
        raise DeviceError(
            f"out of memory on the card: {nbytes / 1e6:.0f} MB asked for, {free_bytes() / 1e6:.0f} MB free. "
            "A smaller batch_size (with accumulate), a shorter block_size or a smaller model needs less"
        ) from None


def copy_in(target, host: np.ndarray) -> None:
    """Host array -> memory of the card, both flat and of one type."""
    target.copy_to_device(host)


def copy_out(source) -> np.ndarray:
    """Memory of the card -> a new flat host array; waits for the card."""
    try:
        return source.copy_to_host()
    except CudaAPIError as error:
        raise fault(error) from error


def address_of(array) -> int:
    """Where an array begins in the card's memory, for floats_at."""
    return array.device_ctypes_pointer.value or 0


class PageLocked:
    """Memory of the host that the system may not move, so that the card reads it by itself while the host goes on."""

    def __init__(self, nbytes: int):
        self.bytes = cuda.pinned_array(nbytes, np.uint8)
        self._read = cuda.event(timing=False)

    def send(self, target) -> None:
        """Tell the card to copy the first bytes into a flat array of its own, and do not wait."""
        nbytes = target.size * target.dtype.itemsize
        target.copy_to_device(self.bytes[:nbytes].view(target.dtype), stream=cuda.default_stream())
        self._read.record()

    def busy(self) -> bool:
        """Whether the card may still have to read what was sent last."""
        return not self._read.query()

    def wait(self) -> None:
        """Until it has been read."""
        self._read.synchronize()


def synchronize() -> None:
    """Wait until the card has done all it was told."""
    try:
        cuda.synchronize()
    except CudaAPIError as error:
        raise fault(error) from error


def free_bytes() -> int:
    """Memory of the card that is free."""
    return int(cuda.current_context().get_memory_info().free)


def card_name() -> str:
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else name


# --- time -------------------------------------------------------------------------------------------------------


class Stopwatch:
    """Seconds of the card's own time between two places in what it is told; the host need not wait in between."""

    def __init__(self):
        self._start, self._stop = cuda.event(timing=True), cuda.event(timing=True)

    def start(self) -> None:
        self._start.record()

    def stop(self) -> None:
        self._stop.record()

    def seconds(self) -> float:
        """Waits until the card has come to `stop`."""
        self._stop.synchronize()
        return self._start.elapsed_time(self._stop) / 1000


def copy_within(target, source) -> None:
    """From memory of the card to memory of the card, both flat, of one type and length."""
    target.copy_to_device(source)


def l2_bytes() -> int:
    """The cache that all multiprocessors share."""
    return int(cuda.get_current_device().L2_CACHE_SIZE)
