"""How every CPU kernel is compiled, and the few things that LLVM has to be told about.

- nogil: the kernel runs while other Python threads run; a batch is split over threads, and only where there is
  nothing else to split, the rows of a matrix (threads.py).
- cache: compiled once per machine and kept on disk.
- FAST lets LLVM reorder sums (without which no sum is vectorised) and contract a * b + c, but keeps NaN and Inf exact:
  attention masks are made of -inf.

With NUMBA_DISABLE_JIT=1 all kernels run as the plain Python that stands here, so that a debugger can step into them.

Numba compiles a cached kernel anew when its own file has changed, but not when this one has, nor atomic.py or
threads.py: after a change there, delete kernels/cpu/__pycache__.
"""

import math
from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import get_cython_function_address, intrinsic, overload

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}


def kernel(function, fastmath=frozenset(FAST)):
    """Compile with the options above, when it is first called.

    Where no folder can be written at all there is no cache, and kernels are compiled anew in every process.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": set(fastmath), "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        return numba.njit(**options)(function)


def larger(a, b):
    """The larger of two floats; of a number and a NaN either.

    In a kernel one instruction of LLVM, whose reduction over a row is vectorised. Python's max, which has to mind the
    order of a NaN, is not: 64 elements take 23 ns with it and 4 with this.
    """
    return max(a, b)


@intrinsic
def _maxnum(typingctx, a, b):
    def generate(context, builder, signature, args):
        kind = args[0].type
        function = builder.module.declare_intrinsic("llvm.maxnum", [kind], ir.FunctionType(kind, [kind, kind]))
        return builder.call(function, args, fastmath=("nnan", "nsz"))

    return a(a, a), generate


@overload(larger, jit_options={"nogil": True})
def _larger(a, b):
    return lambda a, b: _maxnum(a, b)


@kernel
def largest(row):
    """Maximum of a 1-D array. A NaN may be passed over; it comes back when the maximum is subtracted from the row."""
    m = row[0]
    for i in range(row.size):
        m = larger(m, row[i])
    return m


# --- memory that is needed soon ------------------------------------------------------------------------------


def ask_for(row, i):
    """Have the memory around row[i] fetched while we go on; i may lie behind the end. Changes no value.

    A core follows one row of memory by itself, but not across the borders of pages, 4 KiB apart.
    """


@intrinsic
def _prefetch(typingctx, row, i):
    def generate(context, builder, signature, args):
        array = context.make_array(row)(context, builder, args[0])
        address = cgutils.get_item_pointer(context, builder, row, array, [args[1]], wraparound=False)
        address, number = builder.bitcast(address, cgutils.voidptr_t), ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [address.type], ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        )
        builder.call(function, [address, number(0), number(3), number(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(row, types.intp), generate


@overload(ask_for, jit_options={"nogil": True})
def _ask_for(row, i):
    return lambda row, i: _prefetch(row, i)


# --- rows of views -------------------------------------------------------------------------------------------


def in_one_piece(row):
    """A 1-D array whose elements are known to lie side by side, as those of a head's key inside (B, T, H, D) do.

    Numba only knows that of whole arrays in C order. Told so, LLVM vectorises a loop over the row; else it steps
    through it by a stride that could be anything.
    """
    return row


@intrinsic
def _as_contiguous(typingctx, row):
    def generate(context, builder, signature, args):
        return impl_ret_borrowed(context, builder, signature.return_type, args[0])  # the same pointer and shape

    return row.copy(layout="C")(row), generate


@overload(in_one_piece, jit_options={"nogil": True})
def _in_one_piece(row):
    return lambda row: _as_contiguous(row)


# --- 2^n for whole n, by writing n into the exponent bits ---------------------------------------------------


def two_to(n):
    """2.0 ** n as float32, for an int32 n from -126 to 127."""
    return np.float32(2.0) ** np.float32(n)


@intrinsic
def _bits_to_float32(typingctx, bits):
    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


@overload(two_to, jit_options={"nogil": True})
def _two_to(n):
    return lambda n: _bits_to_float32(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))


# --- exp ----------------------------------------------------------------------------------------------------

LOG2E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693359375)  # ln 2 in two parts, so that n * LN2_HIGH is exact
LN2_LOW = np.float32(-2.12194440e-4)
LOWEST = np.float32(-87.33654)  # e^x is the smallest normal float32
HIGHEST = np.float32(88.37626)
C2, C3, C4 = np.float32(0.5), np.float32(1.6666665459e-1), np.float32(4.1665795894e-2)
C5, C6, C7 = np.float32(8.3334519073e-3), np.float32(1.3981999507e-3), np.float32(1.9875691500e-4)
ONE, HALF = np.float32(1.0), np.float32(0.5)


def exp(x):
    """e^x. In a kernel, for float32: 2^n * e^r with n = round(x / ln 2) and a polynomial of degree 7 for e^r.

    LLVM vectorises that; a call of math.exp it cannot. Largest relative error 3e-7. Below -87.3 the result is 0, so
    exp(-inf) = 0; above 88.4 it stays at 2.4e38, which no kernel here can tell from more.
    Coefficients: S. Moshier, Cephes library, expf.
    """
    with np.errstate(over="ignore"):  # a compiled kernel does not warn either
        return np.exp(x)


@overload(exp, jit_options={"nogil": True})
def _exp(x):
    if x == types.float32:

        def exp32(x):
            clipped = min(max(x, LOWEST), HIGHEST)
            n = np.floor(clipped * LOG2E + HALF)
            r = clipped - n * LN2_HIGH - n * LN2_LOW
            p = ((((C7 * r + C6) * r + C5) * r + C4) * r + C3) * r + C2
            y = (p * r * r + r + ONE) * two_to(np.int32(n))
            return np.float32(0.0) if x <= LOWEST else (y if x == x else x)  # a NaN stays one

        return exp32
    return lambda x: math.exp(x)


# --- matrix product on strided tiles -------------------------------------------------------------------------


def gemm(transpose_a, transpose_b, alpha, a, b, beta, c):
    """c = alpha * op(a) @ op(b) + beta * c, on 2-D arrays whose last axis is contiguous and whose rows do not overlap.

    In a kernel this is BLAS, called on the tiles where they lie; outside, NumPy.
    """
    a = a.T if transpose_a else a
    b = b.T if transpose_b else b
    c[...] = alpha * (a @ b) + (beta * c if beta else 0)


_SIGNATURE = types.void(*[types.voidptr] * 13)
for _name in ("sgemm", "dgemm"):
    binding.add_symbol(f"minigpt_{_name}", get_cython_function_address("scipy.linalg.cython_blas", _name))
_SGEMM = types.ExternalFunction("minigpt_sgemm", _SIGNATURE)
_DGEMM = types.ExternalFunction("minigpt_dgemm", _SIGNATURE)


@intrinsic
def _address(typingctx, value):
    """Address of a copy of a scalar on the stack: BLAS takes everything by reference."""

    def generate(context, builder, signature, args):
        slot = context.get_value_type(signature.args[0])
        pointer = cgutils.alloca_once(builder, slot)
        builder.store(args[0], pointer)
        return builder.bitcast(pointer, cgutils.voidptr_t)

    return types.voidptr(value), generate


@intrinsic
def _data(typingctx, array):
    """Address of an array's first element."""

    def generate(context, builder, signature, args):
        struct = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.bitcast(struct.data, cgutils.voidptr_t)

    return types.voidptr(array), generate


@overload(gemm, jit_options={"nogil": True})
def _gemm(transpose_a, transpose_b, alpha, a, b, beta, c):
    if c.dtype == types.float32:
        blas, one = _SGEMM, np.float32
    else:
        blas, one = _DGEMM, np.float64
    size = c.dtype.bitwidth // 8

    def call(transpose_a, transpose_b, alpha, a, b, beta, c):
        # BLAS is column-major: what it calls C is our c transposed, so a and b change places
        m, n = np.int32(c.shape[1]), np.int32(c.shape[0])
        k = np.int32(a.shape[0] if transpose_a else a.shape[1])
        if m == 0 or n == 0:
            return
        if k == 0:  # nothing to add up; BLAS would refuse the empty arrays
            for i in range(c.shape[0]):
                for j in range(c.shape[1]):
                    c[i, j] = c[i, j] * one(beta) if beta != 0 else one(0)
            return
        lda = np.int32(max(a.strides[0] // size, a.shape[1]))  # of a single row the stride may be anything
        ldb = np.int32(max(b.strides[0] // size, b.shape[1]))
        ldc = np.int32(max(c.strides[0] // size, c.shape[1]))
        ta = np.int8(84 if transpose_a else 78)  # ord("T"), ord("N")
        tb = np.int8(84 if transpose_b else 78)
        blas(
            _address(tb), _address(ta), _address(m), _address(n), _address(k), _address(one(alpha)),
            _data(b), _address(ldb), _data(a), _address(lda), _address(one(beta)), _data(c), _address(ldc),
        )  # fmt: skip

    return call
