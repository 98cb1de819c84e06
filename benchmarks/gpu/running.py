"""Runs the parts one after another, each in a process of its own that a time limit ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from tqdm import tqdm

from benchmarks.gpu.parts import CheckPart
from benchmarks.gpu.report import Report
from benchmarks.paths import ROOT

_LOOK_S = 0.2
_SENTENCE = 300
_LEAST_S = 5.0
"""With less time left a part is not begun: a process needs as long to import torch."""


Command = Callable[[CheckPart], list[str]]


def run_parts(parts: Sequence[CheckPart], report: Report, minutes: float, command: Command) -> None:
    """Run each part that is not finished yet, and write down what became of it.

    Args:
        parts: in their order.
        report: where results go, and what is finished already.
        minutes: for all of them.
        command: runs a part and prints what it finds, as `part_process.py` does.
    """
    end = time.monotonic() + 60 * minutes
    for part in parts:
        if report.is_finished(part.name):
            continue
        left_s = end - time.monotonic()
        if left_s < _LEAST_S:
            report.set_part(part.name, "not begun", error="the minutes were over: use --resume")
            continue
        _run(part, report, min(part.limit_s, left_s), command(part))


def command_for(out: Path, tiny: bool) -> Command:
    """Return what runs a part of a check in a directory, in full size or tiny on the CPU."""
    options = ["--out", str(out.resolve()), *(["--tiny"] if tiny else [])]
    module = "benchmarks.gpu.part_process"
    return lambda part: [sys.executable, "-m", module, part.name, *options]


def _run(part: CheckPart, report: Report, limit_s: float, command: list[str]) -> None:
    started = time.monotonic()
    log = report.path.parent / f"{part.name}.log"
    figures: dict[str, Any] = {}
    with _process(command, log) as process:
        for told in _lines(process, part, limit_s):
            figures |= told
            report.set_part(part.name, "running", figures=figures)
        status = process.poll()
    spent_s = round(time.monotonic() - started, 1)
    outcome: dict[str, Any] = {"figures": figures, "spent_s": spent_s}
    if status is None:
        outcome["error"] = f"broken off after {spent_s:.0f} s: use --resume, or see {log.name}"
        report.set_part(part.name, "broken off", **outcome)
    elif status:
        outcome["error"] = (
            last_line(log.read_text(errors="replace")) or f"its process ended with {status}"
        )
        report.set_part(part.name, "failed", **outcome)
    else:
        report.set_part(part.name, "measured", **outcome)
    said = report.parts[part.name]
    sys.stderr.write(f"{part.name}: {said['status']}, {spent_s:.0f} s")
    sys.stderr.write(f": {said['error']}\n" if "error" in said else "\n")


def last_line(messages: str) -> str:
    """Return the last line of a process's messages: the sentence of what ended it."""
    lines = [line for line in messages.splitlines() if line.strip()]
    return lines[-1][:_SENTENCE] if lines else ""


@contextmanager
def _process(command: list[str], log: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a process in a group of its own, and end all of the group when the context is left."""
    # Nothing here reaches a network: a hub that is asked all the same costs minutes of time-outs.
    settings = {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    environment = {**os.environ, **settings}  # noqa: TID251, the process's own, handed on
    with log.open("w") as messages:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _lines(
    process: "subprocess.Popen[str]", part: CheckPart, limit_s: float
) -> Iterator[dict[str, Any]]:
    """Yield figures as they are told until the process ends or its time is over; show a bar."""
    told: SimpleQueue[str | None] = SimpleQueue()
    Thread(target=_read, args=(process, told), daemon=True).start()
    started = time.monotonic()
    bar: tqdm[Any] = tqdm(
        desc=part.name,
        total=round(limit_s),
        bar_format="{desc:<10}|{bar:24}| {n:.0f} of at most {total:.0f} s{postfix}",
        leave=False,
        disable=None,
    )
    with bar:
        while (spent_s := time.monotonic() - started) < limit_s:
            bar.n = round(spent_s)
            try:
                line = told.get(timeout=_LOOK_S)
            except Empty:
                bar.refresh()
                continue
            if line is None:
                process.wait(timeout=max(limit_s - spent_s, 1.0))
                return
            fresh = json.loads(line)
            if fresh["doing"]:
                bar.set_postfix_str(f" {fresh['doing']}")
            if fresh["figures"]:
                yield fresh["figures"]


def _read(process: "subprocess.Popen[str]", told: "SimpleQueue[str | None]") -> None:
    for line in process.stdout or ():
        if line.startswith("{"):  # a library may print, too
            told.put(line)
    told.put(None)
