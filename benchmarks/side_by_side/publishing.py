"""Puts a run's tables into the documentation: between two comments, never by hand."""

from dataclasses import asdict
from pathlib import Path

from benchmarks.generated_block import PublishingError, begin_of, with_block
from benchmarks.paths import ROOT
from benchmarks.side_by_side.arms import ARMS
from benchmarks.side_by_side.figures import rows
from benchmarks.side_by_side.plot import draw
from benchmarks.side_by_side.records import Run, write
from benchmarks.side_by_side.tables import report
from benchmarks.side_by_side.verdicts import verdicts

BEGIN = begin_of("python -m benchmarks.side_by_side --publish")
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance" / "side-by-side.png"
_SHOWN = (
    "![Sets a minute and p95 of every arm at 1, 4 and 16 clients](performance/side-by-side.png)\n\n"
    "Every single record: [side_by_side.json](../benchmarks/results/side_by_side.json)."
)
LEAST_REPETITIONS = 5
CLIENTS = (1, 4, 16)
RESULTS = ROOT / "benchmarks" / "results" / "side_by_side.json"


def store(run: Run, path: Path) -> None:
    """Write a run's file, with its figures and verdicts beside the records."""
    shown = {
        "figures": [asdict(row) for row in rows(run)],
        "verdicts": [asdict(one) for one in verdicts(run)],
    }
    write(run, path, **shown)


def paint(run: Run, path: Path) -> None:
    """Write a run's picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw(run))


def publish(run: Run, page: Path = PAGE, picture: Path = PICTURE, results: Path = RESULTS) -> None:
    """Put a run in the place of the last one: page, picture and file.

    Raises:
        PublishingError: it is a smoke run, or the page has no place for it.
    """
    _check(run)
    text = with_block(page.read_text(), BEGIN, f"{_SHOWN}\n\n{report(run)}")
    store(run, results)
    paint(run, picture)
    page.write_text(text)


def _check(run: Run) -> None:
    """Refuse what is less than the page promises: every arm and count, often enough."""
    if run.settings["is_smoke"]:
        raise PublishingError("a smoke run is no result: leave --smoke out to publish")
    if run.repetitions < LEAST_REPETITIONS:
        raise PublishingError(
            f"{run.repetitions} repetitions are too few to publish: at least {LEAST_REPETITIONS}"
        )
    for arm in ARMS:
        for clients in CLIENTS if arm.is_server and arm.form != "pair" else (1,):
            if len(run.of(arm.key, clients)) < LEAST_REPETITIONS:
                raise PublishingError(
                    f"{arm.key} with {clients} clients was not measured {LEAST_REPETITIONS} times: "
                    "leave --arms and --clients out to publish"
                )
