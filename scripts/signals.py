"""Signals end a command in an orderly way: what it started is stopped."""

import signal


def stop_on_signals() -> None:
    """Let SIGTERM and a closed terminal end this process as Ctrl-C does: orderly.

    Once: a second signal would interrupt the stopping and leave Ray behind. Stopping is bounded.
    """

    def interrupt(number: int, frame: object) -> None:
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, interrupt)
