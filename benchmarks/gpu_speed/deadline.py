"""The minutes that one command may take, kept by looking at the clock and by an alarm."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class OutOfTimeError(BaseException):
    """The minutes are over in the middle of a cell.

    No `Exception`: torch's compiler catches those and calls them defects of its own.
    """


class Deadline:
    """The end of a run."""

    def __init__(self, minutes: float) -> None:
        """Start the clock.

        Raises:
            ValueError: `minutes` leaves no time at all.
        """
        if not 0 < minutes <= 24 * 60:
            raise ValueError(f"minutes is {minutes:g}: use more than 0, and a day at most")
        self._end = time.monotonic() + 60 * minutes

    def left_s(self) -> float:
        """Return the seconds left; negative when it is over."""
        return self._end - time.monotonic()

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """Break off what runs inside when the time is over: nobody knows how long compiling takes.

        Raises:
            OutOfTimeError: it is.
        """

        def break_off(*_: Any) -> None:
            raise OutOfTimeError

        before = signal.signal(signal.SIGALRM, break_off)
        signal.setitimer(signal.ITIMER_REAL, max(self.left_s(), 0.001))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
