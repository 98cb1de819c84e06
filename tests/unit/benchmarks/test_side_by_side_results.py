"""What a run leaves behind: its file, its tables, its picture and its place in the docs."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.generated_block import END, PublishingError, with_block
from benchmarks.side_by_side.figures import rows
from benchmarks.side_by_side.plot import draw
from benchmarks.side_by_side.publishing import (
    BEGIN,
    PAGE,
    paint,
    publish,
    store,
)
from benchmarks.side_by_side.records import Run, read
from benchmarks.side_by_side.tables import report
from benchmarks.side_by_side.verdicts import verdicts
from tests.unit.benchmarks.side_by_side_runs import made_burst, made_run, made_set


def _faulty() -> Run:
    """Return a run with failed and wrong sets, one arm without a right one."""
    wrong = [
        made_burst("ray_documented", 16, index, 0.1, [made_set(0.1, max_difference=90)])
        for index in range(5)
    ]
    failed = [made_set(1.0), made_set(30.0, problem="HTTP 504", max_difference=None)]
    timed_out = [made_burst("litserve_documented", 4, index, 2.6, failed) for index in range(5)]
    return made_run(bursts={("ray_documented", 16): wrong, ("litserve_documented", 4): timed_out})


@pytest.mark.parametrize("run", [made_run(), _faulty(), Run({}, {}, ())])
def test_a_run_comes_back_from_its_file_as_it_was(run: Run, tmp_path: Path) -> None:
    store(run, tmp_path / "deep" / "run.json")
    assert read(tmp_path / "deep" / "run.json") == run


def test_the_file_holds_records_circumstances_figures_and_verdicts(tmp_path: Path) -> None:
    store(_faulty(), tmp_path / "run.json")
    document: dict[str, Any] = json.loads((tmp_path / "run.json").read_text())
    assert document["circumstances"]["commit"] == "0123456789ab"
    assert len(document["bursts"]) == 5 * (3 + 8 * 3 + 2)
    assert document["figures"][0]["arm"]["key"] == "notebook"
    judgements = [one["judgement"] for one in document["verdicts"]]
    assert judgements == [one.judgement for one in verdicts(_faulty())]


def test_figures_are_computed_anew_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    store(made_run(), path)
    document = json.loads(path.read_text())
    document["verdicts"], document["figures"] = [{"judgement": "met"}], []
    for burst in document["bursts"]:
        if burst["arm"] == "twinset":
            burst["wall_s"] *= 2
    path.write_text(json.dumps(document))
    assert verdicts(read(path))[0].judgement == "missed"


def test_the_report_shows_what_went_wrong() -> None:
    text = report(_faulty())
    assert "- (e) Ray's example, documented, 16: 5 with other pixels (up to 90 of 255)" in text
    assert "- (f) LitServe, documented, 4: 5 x HTTP 504" in text
    assert "Nothing: every set" in report(made_run())


def test_the_report_has_a_line_for_every_row_and_verdict() -> None:
    run = made_run()
    lines = report(run).splitlines()
    assert sum(line.startswith("| (c) Twinset in process") for line in lines) == 2
    assert sum(line.startswith("| (d) Twinset over HTTP") for line in lines) == 2 * 3
    for one in verdicts(run):
        assert any(line.startswith(f"| {one.target} ") and one.figure in line for line in lines)
    # 370 GFLOP at the better of two rates, 370 GFLOP/s.
    assert any("floor of the hardware" in line and " 60.0 |" in line for line in lines)


def test_a_smoke_run_says_that_it_is_no_result() -> None:
    assert "smoke run" in report(made_run(is_smoke=True))
    assert "smoke run" not in report(made_run())


def _pixels(run: Run) -> NDArray[np.int16]:
    return np.asarray(Image.open(BytesIO(draw(run))).convert("RGB")).astype(np.int16)


def test_the_picture_marks_arms_whose_sets_did_not_all_count() -> None:
    run = made_run()
    failed = made_set(9.0, problem="HTTP 500")
    bursts = [replace(one, sets=(*one.sets, failed)) for one in run.of("ray_expert", 4)]
    right = _pixels(run)
    marked = _pixels(made_run(bursts={("ray_expert", 4): bursts}))
    assert right.std() > 10
    # The same throughput and the same p95: two marks are hollow, and nothing else is different.
    assert 20 < (np.abs(marked - right).max(axis=2) > 50).sum() < 500


def test_a_run_without_records_has_a_picture(tmp_path: Path) -> None:
    run = made_run()
    paint(Run(run.settings, run.circumstances, ()), tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 0


def test_publishing_replaces_the_block_and_nothing_else(tmp_path: Path) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results.json"
    page.write_text(f"# Before\n\n{BEGIN}\n\nold figures\n\n{END}\n\nAfter.\n")
    publish(made_run(), page, tmp_path / "picture.png", results)
    text = page.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN}\n\n![")
    assert "\n\nMeasured 2026-01-02T03:04:05+00:00 at commit 0123456789ab" in text
    assert text.endswith(f"\n\n{END}\n\nAfter.\n")
    assert "old figures" not in text
    assert read(results) == made_run()
    publish(made_run(), page, tmp_path / "picture.png", results)
    assert page.read_text() == text


@pytest.mark.parametrize(
    "text",
    ["no place", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}", f"{BEGIN}{BEGIN}{END}"],
)
def test_a_page_without_one_place_is_left_alone(text: str) -> None:
    with pytest.raises(PublishingError, match="once, in this order"):
        with_block(text, BEGIN, "figures")


def test_the_page_of_the_documentation_has_its_place() -> None:
    assert "figures of a run" in with_block(PAGE.read_text(), BEGIN, "figures of a run")


def _few_repetitions() -> Run:
    run = made_run()
    some = tuple(burst for burst in run.bursts if burst.repetition < 4)
    return Run(run.settings, run.circumstances, some)


def _one_arm_less() -> Run:
    run = made_run()
    some = tuple(burst for burst in run.bursts if burst.arm != "fastapi_expert")
    return Run(run.settings, run.circumstances, some)


@pytest.mark.parametrize("run", [made_run(is_smoke=True), _few_repetitions(), _one_arm_less()])
def test_less_than_the_page_promises_is_not_published(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}")
    with pytest.raises(PublishingError):
        publish(run, page, tmp_path / "picture.png", tmp_path / "results.json")
    assert [one.name for one in tmp_path.iterdir()] == ["page.md"]
    assert page.read_text() == f"{BEGIN}{END}"


def test_every_row_has_a_unique_place() -> None:
    places = [(row.arm.key, row.clients) for row in rows(made_run())]
    assert len(places) == len(set(places))
