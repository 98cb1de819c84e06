"""Shapes, arrivals, objectives and figures: what is planned, and what the numbers say of it."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from loadtests.arrivals import Arrivals
from loadtests.figures import in_flight, measure, percentile, series
from loadtests.objectives import judge, read_objectives
from loadtests.records import (
    Record,
    Tick,
    pack,
    read_requests,
    read_ticks,
    unpack,
    write_requests,
    write_ticks,
)
from loadtests.shapes import SHAPES, plan, users_at
from loadtests.summary import summarize

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_reaches_the_users_and_lasts_the_run_time(shape: str) -> None:
    stages = plan(shape, 20, 90.0)
    assert max(stage.users for stage in stages) == 20
    assert sum(stage.duration_s for stage in stages) == pytest.approx(90)
    assert users_at(stages, 89.9) is not None
    assert users_at(stages, 90.1) is None


def test_a_spike_goes_up_at_once_and_comes_back() -> None:
    stages = plan("spike", 20, 60.0, base_users=2)
    assert [users_at(stages, moment_s) for moment_s in (0, 9.9, 10.1, 39.9, 40.1, 59)] == [
        *(2, 2, 20, 20, 2, 2)
    ]


def test_a_staircase_climbs_in_equal_steps() -> None:
    stages = plan("staircase", 8, 40.0, stairs=4)
    assert [(stage.users, stage.duration_s) for stage in stages] == [
        *((2, 10), (4, 10), (6, 10), (8, 10))
    ]


def test_a_soak_climbs_a_tenth_of_the_time() -> None:
    stages = plan("soak", 10, 100.0)
    assert [stages[0].users, users_at(stages, 9.9), users_at(stages, 10.1)] == [1, 10, 10]


def due_until(arrivals: Arrivals, end_s: float) -> list[float]:
    """Return the arrivals of a source up to a moment."""
    moments = []
    while arrivals.due_s < end_s:
        moments.append(arrivals.advance())
    return moments


def test_even_sources_interlock() -> None:
    first = due_until(Arrivals(2.0, "even", 0.0, random.Random()), 2.0)
    second = due_until(Arrivals(2.0, "even", 0.25, random.Random()), 2.0)
    assert sorted(first + second) == [index / 4 for index in range(8)]


def test_a_source_that_begins_late_keeps_the_grid_and_owes_nothing() -> None:
    arrivals = Arrivals(2.0, "even", 0.25, random.Random())
    arrivals.skip_to(7.6)
    assert arrivals.due_s == 7.75


def test_poisson_arrivals_have_the_rate_and_irregular_gaps() -> None:
    moments = due_until(Arrivals(10.0, "poisson", 0.0, random.Random(1)), 200.0)
    gaps = [after - before for before, after in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert len(moments) == pytest.approx(2000, rel=0.05)
    assert spread == pytest.approx(mean, rel=0.1)


def test_our_own_objectives_are_readable() -> None:
    assert read_objectives(ROOT / "loadtests" / "objectives.yaml")["error_share"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p95: 3", "unknown key 'p95': did you mean p95_s?"),
        ("zebra: 3", "unknown key 'zebra': the keys are"),
        ("p95_s: fast", "p95_s: 'fast' is not a number"),
        ("p95_s: -1", "p95_s: -1 is not a number of 0 or more"),
        ("p95_s: .nan", "p95_s: nan is not a number"),
        ("error_share: true", "error_share: True is not a number"),
        ("- p95_s", "keys and numbers are expected"),
        ("p95_s: [", "while parsing"),
    ],
)
def test_a_fault_in_the_objectives_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "objectives.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"objectives\.yaml") as raised:
        read_objectives(path)
    assert words in str(raised.value)


def test_an_absent_or_empty_key_asks_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "objectives.yaml"
    path.write_text("p95_s: 2\np50_s:\n")
    assert read_objectives(path) == {"p95_s": 2}


def test_objectives_are_bounds_from_above_and_the_throughput_from_below() -> None:
    wanted = {"p95_s": 2.0, "p99_s": 2.0, "sets_per_minute": 5.0, "first_image_p95_s": 1.0}
    seen = {"p95_s": 2.0, "p99_s": 2.1, "sets_per_minute": 4.9, "first_image_p95_s": None}
    assert [str(one) for one in judge(wanted, seen)] == [
        "p95_s 2, at most 2: met",
        "p99_s 2.1, at most 2: MISSED",
        "first_image_p95_s, at most 1: not measured",
        "sets_per_minute 4.9, at least 5: MISSED",
    ]


def record(due_s: float, latency_s: float, outcome: str = "ok", **facts: object) -> Record:
    """Return a request that was sent when it was due."""
    kind = str(facts.pop("kind", "pairs"))
    values = {"sets": 2 * (outcome == "ok"), **facts}
    return Record(kind, due_s, due_s, due_s + latency_s, outcome, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)]
)
def test_percentiles_are_values_that_were_seen(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value
    assert percentile([], share) is None


def test_the_figures_count_every_kind_of_end() -> None:
    records = [
        record(0, 1),
        record(1, 2, "wrong", checks=("distinct",)),
        record(2, 3, "failed", checks=("no_answer",)),
        record(3, 0.01, "overloaded"),
        record(3, 0.5, "left", kind="cancel"),
        record(3, 0, "dropped", checks=("dropped_arrival",)),
        record(1, 4, "cut_off"),
    ]
    figures = measure(records)
    assert (figures.correct, figures.wrong, figures.failed) == (1, 1, 1)
    assert (figures.overloaded, figures.left, figures.dropped) == (1, 1, 1)
    assert figures.cut_off == 1
    assert figures.error_share == 3 / 7
    # Refusals, those who left and those never sent are quick: they must not flatter the times.
    # One that the end cut off counts with the time that it had waited.
    assert (figures.p50_s, figures.p99_s) == (2, 4)
    assert figures.sets_per_minute == pytest.approx(60 * 2 / 5)


def test_a_wrong_answer_is_never_within_the_objectives() -> None:
    records = [record(0, 1), record(1, 1, "wrong", checks=("distinct",))]
    summary = summarize(records, {"error_share": 1.0})
    assert summary.faults == ["1 answers were wrong: distinct 1"]
    assert summary.exit_code == 1


def test_failures_are_within_the_objectives_or_not() -> None:
    records = [record(0, 1), record(1, 1, "failed", checks=("no_answer",))]
    assert summarize(records, {"error_share": 0.5}).exit_code == 0
    assert "error_share 0.5, at most 0.4: MISSED" in summarize(records, {"error_share": 0.4}).faults
    assert summarize(records, {}).exit_code == 1


def test_a_late_generator_is_told() -> None:
    late = Record("pairs", 0.0, 0.6, 1.0, "ok", sets=2)
    assert "The generator itself was late: p99 0.60 s" in summarize([late], {}).text()
    assert "generator itself" not in summarize([record(0, 1)], {}).text()


def test_records_and_ticks_come_back_as_they_were(tmp_path: Path) -> None:
    records = [
        record(101, 1, first_image_s=0.5, vae_first=True, kind="stream"),
        record(103, 2, "wrong", checks=("distinct", "metadata"), repeat=True),
    ]
    ticks = [Tick(100.0, 1, None, {}), Tick(101.0, 2, 50.5, {"a.b": {"running": 1, "target": 2}})]
    write_requests(tmp_path / "requests.csv", records, 0.0)
    write_ticks(tmp_path / "ticks.csv", ticks, 0.0)
    assert read_requests(tmp_path / "requests.csv") == records
    assert read_ticks(tmp_path / "ticks.csv") == ticks
    assert [unpack(pack(one)) for one in records] == records


def test_a_stall_shows_where_the_requests_were_due() -> None:
    moments = [number / 10 for number in range(200)]
    records = [record(moment, 10 - moment if moment < 10 else 0.05) for moment in moments]
    found = series(records, 20.0)
    assert found.arrivals_per_s == [10.0] * 20
    assert found.p95_s[:3] == [10, 9, 8]
    assert found.correct_per_s[:10] == [0.0] * 10
    assert in_flight(records, [0.55, 9.95, 15.55]) == [6, 100, 0]
