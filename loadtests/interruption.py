"""Ctrl-C between two requests instead of in the middle of one."""

from __future__ import annotations

import logging
import signal
from importlib import import_module
from typing import Any

from locust.runners import Runner

# Locust's engine. Imported by name, for it carries no types.
gevent: Any = import_module("gevent")

logger = logging.getLogger(__name__)


class Interruption:
    """Ends a run on the first Ctrl-C once the answers under way are in; the second ends it now.

    Left to Python, the signal would strike whichever user is at work just then: its answer would
    be lost and a traceback printed, as if the load test had a fault.
    """

    def __init__(self, runner: Runner) -> None:
        """Take the runner to stop."""
        self._runner = runner
        self._watcher = gevent.signal_handler(signal.SIGINT, self._end)

    def _end(self) -> None:
        """Stop the users, wait for them, and let Locust shut down."""
        self._watcher.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        logger.info("Interrupted: waiting for the answers under way. Ctrl-C again ends at once.")
        shape: Any = self._runner.environment.shape_class
        if shape is not None:
            # Locust waits for its shape, and stops the users when that is over.
            shape.is_over = True
            return
        self._runner.stop()
        self._runner.quit()
