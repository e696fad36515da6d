"""Ctrl-C as a request, so that a step is never cut in the middle."""

from __future__ import annotations

import signal
import threading


class StopRequest:
    """Inside the block, the first Ctrl-C only sets `requested`; the second one raises KeyboardInterrupt as usual.

    Works in the main thread; elsewhere (where Python allows no signal handlers) Ctrl-C behaves as always.
    """

    def __enter__(self):
        self.requested = False
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._request)
        return self

    def _request(self, number, frame):
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *exc):
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
