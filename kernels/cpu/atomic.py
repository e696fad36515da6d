"""Numbers that several threads read and write at once, in compiled code; threads.py is built of them.

Each function is one step that no other thread sees half of, and whoever finds its result also finds everything that was
written before it (LLVM's order seq_cst). The interpreter is not asked, so that threads without the GIL can use them.
`words` is an int64 array. As plain Python (NUMBA_DISABLE_JIT=1) they do the same for a single thread.
"""

import ctypes
import math
import sys

import numba
import numpy as np
from llvmlite import binding
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

WORD = 8  # bytes of an int64


def load(words, i):
    return words[i]


def store(words, i, value):
    words[i] = value


def add(words, i, value):
    """words[i] += value; returns what words[i] was before."""
    before = words[i]
    words[i] += value
    return before


def array_at(address, shape, dtype):
    """The array in C order that begins at this address; `shape` is a tuple. Whoever asks keeps the memory alive."""
    count = math.prod(shape) * np.dtype(dtype).itemsize
    memory = (ctypes.c_byte * count).from_address(int(address))
    return np.frombuffer(memory, dtype).reshape(shape)


def yield_core():
    """Let another thread go first if one waits for this core, so that nobody is waited for in vain."""


def _pointer(context, builder, kind, words, i):
    array = context.make_array(kind)(context, builder, words)
    return cgutils.get_item_pointer(context, builder, kind, array, [i], wraparound=False)


@intrinsic
def _load(typingctx, words, i):
    def generate(context, builder, signature, args):
        return builder.load_atomic(_pointer(context, builder, words, *args), "seq_cst", WORD)

    return types.int64(words, types.intp), generate


@intrinsic
def _store(typingctx, words, i, value):
    def generate(context, builder, signature, args):
        array, index, number = args
        builder.store_atomic(number, _pointer(context, builder, words, array, index), "seq_cst", WORD)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.int64), generate


@intrinsic
def _add(typingctx, words, i, value):
    def generate(context, builder, signature, args):
        array, index, number = args
        return builder.atomic_rmw("add", _pointer(context, builder, words, array, index), number, "seq_cst")

    return types.int64(words, types.intp, types.int64), generate


@overload(load, jit_options={"nogil": True})
def _load_compiled(words, i):
    return lambda words, i: _load(words, i)


@overload(store, jit_options={"nogil": True})
def _store_compiled(words, i, value):
    return lambda words, i, value: _store(words, i, value)


@overload(add, jit_options={"nogil": True})
def _add_compiled(words, i, value):
    return lambda words, i, value: _add(words, i, value)


# --- addresses, and a call of the operating system ------------------------------------------------------------

if sys.platform == "win32":
    _SYSTEM_YIELD = ctypes.WinDLL("kernel32").SwitchToThread
else:
    _SYSTEM_YIELD = ctypes.CDLL(None).sched_yield
binding.add_symbol("minigpt_yield_core", ctypes.cast(_SYSTEM_YIELD, ctypes.c_void_p).value)
_YIELD_CORE = types.ExternalFunction("minigpt_yield_core", types.int32())


@intrinsic
def _as_pointer(typingctx, address):
    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@overload(array_at, jit_options={"nogil": True})
def _array_at_compiled(address, shape, dtype):
    return lambda address, shape, dtype: numba.carray(_as_pointer(address), shape, dtype)


@overload(yield_core, jit_options={"nogil": True})
def _yield_core_compiled():
    def call():
        _YIELD_CORE()

    return call
