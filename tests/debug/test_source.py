"""Whose line is it: the innermost one that is the user's own."""

import inspect
import sys
import threading
from types import SimpleNamespace

import minigpt as mg
from minigpt.debug.source import Line, users_line


def test_the_line_that_calls():
    line = users_line()
    assert (line.file, line.number) == (__file__, inspect.currentframe().f_lineno - 1)
    assert line.code == "line = users_line()"
    assert str(line) == f"test_source.py:{line.number}: line = users_line()"


def test_only_library_code_on_the_stack():
    """A thread whose target is the library's own: threading and minigpt, no line of the user's."""
    found = []

    class Note:
        def around_op(self, op, inputs, settings, proceed):
            found.append(users_line())
            return proceed()

    note = Note.around_op.__code__.replace(co_filename=mg.__file__)  # as if the observer were the library's
    Note.around_op.__code__ = note
    with mg.observing(Note()):
        import contextvars

        thread = threading.Thread(target=contextvars.copy_context().run, args=(mg.functional.relu, [1.0]))
        thread.start()
        thread.join()
    assert found == [None]


def test_a_cell_of_a_notebook_has_its_number(monkeypatch):
    """As IPython names cells; the code comes from linecache, where IPython puts it."""
    cell = "/tmp/ipykernel_1/123.py"
    compile_ = SimpleNamespace(format_code_name=lambda name: ("Cell", "In[3]") if name == cell else None)
    shell = SimpleNamespace(compile=compile_)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert Line(cell, 2).place == "Cell In[3]:2"
    assert Line("/home/me/train.py", 7).place == "train.py:7"
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert Line("/home/me/train.py", 7).place == "train.py:7"


def test_a_line_without_source():
    assert Line("<string>", 1).code == ""
    assert str(Line("<string>", 1)) == "<string>:1"
