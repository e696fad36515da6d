"""The arena: memory is used again, and never while anybody can still see it."""

import gc
import queue
import threading

import numpy as np
import pytest

import minigpt as mg
from kernels.cpu import arena as arena_file
from kernels.cpu.arena import SMALLEST, Arena, empty, is_whole_block

SHAPE = (64, 128)  # 32 KiB of float32


@pytest.fixture(autouse=True)
def no_arena_is_left_open():
    yield
    arena_file._ACTIVE.arena = None


def address(x):
    return x.__array_interface__["data"][0]


def block(value=None, shape=SHAPE):
    x = empty(shape, np.float32)
    if value is not None:
        x.fill(value)
    return x


def active():
    return getattr(arena_file._ACTIVE, "arena", None)


# --- what is handed out -----------------------------------------------------------------------------------------


def test_outside_an_arena_it_is_numpy_empty():
    x = block()
    assert x.flags.owndata
    assert not is_whole_block(x)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.uint8, bool])
def test_arrays_are_ordinary_ones(kind):
    with Arena():
        for shape in [(SMALLEST,), (3, 5, SMALLEST), (1, SMALLEST, 1), (), (0, 7), (2, 3)]:
            x = empty(shape, kind)
            assert type(x) is np.ndarray
            assert x.shape == shape
            assert x.dtype == kind
            assert x.flags.c_contiguous
            assert x.flags.writeable
            assert address(x) % x.itemsize == 0
            x.fill(1)
            assert x.all()


def test_a_block_is_used_again_by_any_array_of_its_size():
    with Arena() as arena:
        first = address(block())
        for shape, kind in [(SHAPE, np.float32), ((128, 64), np.float32), ((64, 64), np.float64), ((32768,), bool)]:
            assert address(empty(shape, kind)) == first
        assert arena.held == 32 * 1024
        assert address(empty((65, 128), np.float32)) != first  # another size


def test_arrays_alive_at_once_never_overlap():
    with Arena() as arena:
        for _ in range(3):
            held = [block(i, shape) for i, shape in enumerate([SHAPE, (128, 64), SHAPE, (300, 20), (20, 300)] * 3)]
            for i, x in enumerate(held):
                assert (x == i).all()
                assert not any(np.may_share_memory(x, other) for other in held[:i])
            del held, x
        total = 9 * 32 * 1024 + 6 * 24_000
        assert arena.held == total  # three rounds in the memory of one


# --- never while a view is alive -----------------------------------------------------------------------------


VIEWS = {
    "the array itself": lambda x: x,
    "reshaped": lambda x: x.reshape(-1),
    "transposed": lambda x: x.T,
    "one element": lambda x: x[3, 5:6],
    "slice of slice of slice": lambda x: x[1:][::2][:, 3:][:5],
    "transposed view of a reshape": lambda x: x.reshape(8, 8, 128).transpose(2, 0, 1)[1:, 2],
    "other dtype": lambda x: x.view(np.int32),
    "broadcast": lambda x: np.broadcast_to(x[0], (3, 128)),
    "asarray": np.asarray,
    "strided": lambda x: np.lib.stride_tricks.as_strided(x, (4,), (4,)),
    "window": lambda x: np.lib.stride_tricks.sliding_window_view(x, 3, axis=0),
    "memoryview": lambda x: memoryview(x),
    "frombuffer": lambda x: np.frombuffer(x, np.uint8),
    "iterator": lambda x: x.flat,
    "row of an iteration": lambda x: next(iter(x)),
    "in a list": lambda x: [x],
    "in a closure": lambda x: lambda: x,
    "read-only view": lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
    "Tensor": lambda x: mg.Tensor(x),
    "view of a Tensor": lambda x: mg.Tensor(x)[2:].T,
    "real part": lambda x: x.view(np.complex64).real,
    "record field": lambda x: x.view([("a", "f4"), ("b", "f4")])["b"],
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_block_stays_taken_while_a_view_lives(name):
    with Arena():
        x = block(7)
        taken = address(x)
        view = VIEWS[name](x)
        del x
        gc.collect()
        others = [block(1), block(2)]
        assert taken not in map(address, others)
        del view
        gc.collect()
        assert address(block()) == taken  # and is free again afterwards


def test_a_view_that_fails_to_be_made_holds_nothing():
    with Arena():
        x = block()
        taken = address(x)
        with pytest.raises(ValueError, match="reshape"):
            x.reshape(7, 7)
        del x
        assert address(block()) == taken


def test_an_array_in_the_traceback_of_an_error_is_safe():
    def fails():
        local = block(7)
        raise KeyError(address(local))

    with Arena():
        try:
            fails()
        except KeyError as error:
            kept = error
        assert address(block()) != kept.args[0]
        frame = kept.__traceback__.tb_next.tb_frame
        assert (frame.f_locals["local"] == 7).all()
        del frame, kept
        gc.collect()


def test_an_array_in_a_reference_cycle_comes_back_with_the_collector():
    gc.disable()
    try:
        with Arena():
            cycle = [block(7)]
            cycle.append(cycle)
            taken = address(cycle[0])
            del cycle
            assert address(block()) != taken
            gc.collect()
            assert taken in (address(block()), address(block()))
    finally:
        gc.enable()


# --- after the arena, in and beside other arenas, in other threads --------------------------------------------------


def test_what_escapes_stays_valid():
    with Arena() as arena:
        x = block(7)
    after = [block(1) for _ in range(20)]
    with arena:  # opened again, as for the next step
        again = [block(2) for _ in range(5)]
    del arena
    gc.collect()
    fresh = [np.full(SHAPE, 3, np.float32) for _ in range(20)]
    assert (x == 7).all()
    assert not any(np.may_share_memory(x, other) for other in [*after, *again, *fresh])


def test_an_error_closes_the_arena():
    before = active()
    with pytest.raises(ZeroDivisionError), Arena():
        _ = 1 / 0
    assert active() is before


def test_arenas_inside_arenas():
    outer, inner = Arena(), Arena()
    with outer:
        first = address(block())
        with inner:
            assert active() is inner
            assert address(block()) != first
        assert active() is outer
        with outer:  # the same once more
            assert address(block()) == first
        assert active() is outer
    assert active() is None
    assert block().flags.owndata


def test_an_arena_belongs_to_the_thread_that_opened_it():
    seen = []
    with Arena():
        thread = threading.Thread(target=lambda: seen.append((active(), block().flags.owndata)))
        thread.start()
        thread.join()
    assert seen == [(None, True)]


def test_blocks_freed_in_another_thread():
    """Two threads with arenas of their own send each other arrays, check what is in them, and let them go."""
    inboxes, wrong = (queue.Queue(4), queue.Queue(4)), []

    def work(me):
        with Arena() as arena:
            for i in range(400):
                x = block(1000 * me + i)
                inboxes[1 - me].put((1000 * me + i, x[::2].T))  # a view travels, the array itself is dropped
                del x
                value, received = inboxes[me].get()
                if not (received == value).all():
                    wrong.append((value, received.min(), received.max()))
                del received
            held.append(arena.held)

    held = []
    threads = [threading.Thread(target=work, args=(me,)) for me in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert max(held) <= 20 * 32 * 1024  # as many as can be on the way, not one for each of 400 rounds
