"""What the comparison concludes follows from its records, either way."""

import math

import pytest

from benchmarks.side_by_side.arms import BY_KEY, chosen
from benchmarks.side_by_side.figures import rows
from benchmarks.side_by_side.parts import parts
from benchmarks.side_by_side.ratios import Spread, quantile, ratio, spread
from benchmarks.side_by_side.records import Burst, Run
from benchmarks.side_by_side.schedule import Schedule
from benchmarks.side_by_side.verdicts import Verdict, verdicts
from tests.unit.benchmarks.side_by_side_runs import made_burst, made_run, made_set

EIGHT = "sets a minute: Twinset in process / notebook loop"
HTTP_TIME = "seconds a set: Twinset over HTTP at 1 / Twinset in process"
BUSY = "sets a minute: Twinset over HTTP at 16 / Twinset in process"

DOCUMENTED = "sets a minute: Twinset over HTTP at 4 / FastAPI, documented at 4"
DOCUMENTED_P95 = "p95: Twinset over HTTP at 16 / LitServe, documented at 16"
EXPERT = "sets a minute: Twinset over HTTP at 16 / Ray Serve, expert at 16"
EXPERT_P95 = "p95: Twinset over HTTP at 1 / Ray Serve, expert at 1"


def _named(found: list[Verdict], words: str) -> Verdict:
    (one,) = (one for one in found if one.target == words)
    return one


def test_a_spread_is_the_median_and_the_range() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)
    assert spread([]) is None


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert quantile(values, 0.95) == 95.0
    assert quantile(values, 0.5) == 50.0
    assert quantile([7.0], 0.95) == 7.0
    assert quantile([], 0.95) is None


def test_a_ratio_is_that_of_medians_and_its_interval_that_of_paired_repetitions() -> None:
    # The machine was three times slower in one repetition, for both sides alike.
    found = ratio([2.0, 2.2, 6.0, 1.8, 2.0], [1.0, 1.1, 3.0, 0.9, 1.0])
    assert (found.figure, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_the_interval_holds_the_figure_and_is_the_same_each_time() -> None:
    above, below = [1.0, 1.3, 1.1, 1.5, 0.9], [1.0, 1.0, 1.1, 1.0, 1.0]
    found = ratio(above, below)
    assert found == ratio(above, below)
    assert 0.9 <= found.low < found.figure < found.high <= 1.5


def test_what_never_was_right_is_infinitely_slower() -> None:
    found = ratio([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    assert math.isinf(found.figure)
    assert math.isinf(found.low)


def test_sides_of_other_repetitions_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="same repetitions"):
        ratio([1.0, 2.0], [1.0])


def test_wrong_and_failed_sets_take_time_and_are_no_throughput() -> None:
    sets = [made_set(1.0), made_set(1.0, max_difference=2), made_set(9.0, problem="HTTP 500")]
    burst = Burst("ray_documented", 4, 0, 6.0, tuple(sets))
    assert burst.sets_per_min == 10.0
    (row,) = rows(Run({}, {}, (burst,)))
    assert (row.right, row.wrong, row.failed) == (1, 1, 1)
    assert row.max_difference == 2
    assert row.set_s == Spread(6.0, 6.0, 6.0)
    assert row.p95_s == 1.0


def test_rows_say_what_was_measured_and_nothing_else() -> None:
    found = {(row.arm.key, row.clients): row for row in rows(made_run())}
    assert len(found) == 3 + 8 * 3 + 2
    ours, theirs = found["twinset_http", 4], found["fastapi_expert", 4]
    assert ours.encode_ms == 40.0
    assert theirs.encode_ms is None
    assert found["diffusers", 1].encode_ms == 70.0
    assert ours.encoder_calls == (1,)
    assert ours.peak_rss_mib == 1004.0
    assert ours.p95_s == pytest.approx(4 * 1.39)


def test_every_promise_is_met_by_a_run_that_is_fast_enough() -> None:
    for one in verdicts(made_run()):
        assert one.judgement == "met", one
        assert one.is_clear


@pytest.mark.parametrize(
    ("arm", "set_s", "words", "missed"),
    [
        ("notebook", 1.3 * 1.79, EIGHT, True),
        ("notebook", 1.3 * 1.83, EIGHT, False),
        ("twinset_http", 1.3 * 1.12, HTTP_TIME, True),
        ("twinset_http", 1.3 * 1.09, HTTP_TIME, False),
        ("twinset_http", 1.3 / 0.88, BUSY, True),
        ("twinset_http", 1.3 / 0.92, BUSY, False),
        ("fastapi_documented", 1.35 * 1.28, DOCUMENTED, True),
        ("fastapi_documented", 1.35 * 1.33, DOCUMENTED, False),
        ("litserve_documented", 1.35, DOCUMENTED_P95, True),
        ("litserve_documented", 1.36, DOCUMENTED_P95, False),
        ("ray_expert", 1.33, EXPERT, True),
        ("ray_expert", 1.35, EXPERT, False),
        ("ray_expert", 1.33, EXPERT_P95, True),
        ("ray_expert", 1.35, EXPERT_P95, False),
    ],
)
def test_a_promise_is_missed_on_the_wrong_side_of_its_bound(
    arm: str, set_s: float, words: str, missed: bool
) -> None:
    verdict = _named(verdicts(made_run({arm: set_s})), words)
    assert verdict.judgement == ("missed" if missed else "met")


def test_a_figure_whose_interval_crosses_the_bound_is_not_clear() -> None:
    times = [1.2, 1.2, 1.3, 1.5, 1.6]
    bursts = [made_burst("ray_expert", 4, index, time_s) for index, time_s in enumerate(times)]
    ours = [made_burst("twinset_http", 4, index, 1.29) for index in range(5)]
    run = made_run(bursts={("ray_expert", 4): bursts, ("twinset_http", 4): ours})
    words = "sets a minute: Twinset over HTTP at 4 / Ray Serve, expert at 4"
    verdict = _named(verdicts(run), words)
    assert verdict.judgement == "met"
    assert not verdict.is_clear


def test_against_an_arm_without_a_right_set_there_is_a_verdict_that_says_so() -> None:
    wrong = [
        made_burst("ray_documented", 4, index, 0.1, [made_set(0.1, max_difference=90)])
        for index in range(5)
    ]
    found = verdicts(made_run(bursts={("ray_documented", 4): wrong}))
    words = "sets a minute: Twinset over HTTP at 4 / Ray's example, documented at 4"
    assert _named(found, words).judgement == "met"
    assert _named(found, words).figure == "the other made no right set"


def test_ours_without_a_right_set_misses_whatever_the_others_do() -> None:
    failed = [
        made_burst("twinset_http", 4, index, 1.0, [made_set(1.0, problem="HTTP 503")])
        for index in range(5)
    ]
    found = verdicts(made_run(bursts={("twinset_http", 4): failed}))
    for one in found:
        if "Twinset over HTTP at 4 /" in one.target:
            assert one.judgement == "missed", one


@pytest.mark.parametrize(("difference", "problem"), [(2, ""), (None, "HTTP 503")])
def test_one_wrong_or_failed_set_of_ours_misses_the_promise_of_pixels(
    difference: int | None, problem: str
) -> None:
    sets = [made_set(1.0, max_difference=difference, problem=problem), made_set(1.0)]
    one = [made_burst("twinset_http", 1, index, 1.35, sets) for index in range(5)]
    words = "pixels of every set of Twinset's against diffusers, batched"
    assert _named(verdicts(made_run()), words).judgement == "met"
    run = made_run(bursts={("twinset_http", 1): one})
    assert _named(verdicts(run), words).judgement == "missed"


def test_ten_calls_of_the_encoder_miss_its_promise() -> None:
    words = "image encoder's calls a set: Twinset in process against diffusers, batched"
    sets = [made_set(1.3, encoder_calls=10)]
    ten = [made_burst("twinset", 1, index, 1.3, sets) for index in range(5)]
    assert _named(verdicts(made_run()), words).judgement == "met"
    assert _named(verdicts(made_run(bursts={("twinset", 1): ten})), words).judgement == "missed"


def test_what_was_left_out_is_not_judged() -> None:
    run = made_run()
    few = Run(run.settings, run.circumstances, tuple(run.of("twinset") + run.of("diffusers")))
    judgements = {one.target: one.judgement for one in verdicts(few)}
    assert judgements["sets a minute: Twinset in process / diffusers, batched"] == "met"
    assert judgements[EIGHT] == "not measured"


def test_the_parts_of_a_set_add_up_to_it() -> None:
    found = {part.name: part.http_ms or 0.0 for part in parts(made_run())}
    whole = found.pop("in all")
    alone = [value for name, value in found.items() if name.startswith("of it")]
    named = [value for name, value in found.items() if not name.startswith("of it")]
    assert sum(named) == pytest.approx(whole)
    assert sum(alone) == pytest.approx(found["all the rest"])


def test_arms_are_chosen_by_letter_or_name() -> None:
    assert [arm.key for arm in chosen(["d", "g", "ray_expert"])] == [
        "twinset_http",
        "ray_expert",
        "fastapi_documented",
        "fastapi_expert",
    ]
    with pytest.raises(ValueError, match="no arm 'z'"):
        chosen(["z"])


def test_no_seed_is_asked_for_twice_of_one_arm_and_all_arms_get_the_same() -> None:
    schedule = Schedule(chosen(["b", "d", "e"]), repetitions=3)
    bursts = [schedule.jobs(repetition, count) for repetition in range(3) for count in (1, 4, 16)]
    seeds = [seed for burst in bursts for own in burst for job in own for seed in job.seeds]
    assert len(seeds) == len(set(seeds)) == 3 * 10 * (2 + 4 + 16)
    referenced = {job.seeds for repetition in range(3) for job in schedule.references(repetition)}
    assert {job.seeds for burst in bursts for own in burst for job in own} == referenced


def test_each_repetition_has_every_burst_in_an_order_of_its_own() -> None:
    schedule = Schedule(chosen(["a", "c", "d", "f", "pair"]))
    first, second = schedule.tasks(0), schedule.tasks(1)
    assert first != second
    assert set(first) == set(second)
    assert first == schedule.tasks(0)
    assert [task.clients for task in first if task.arm == BY_KEY["pair"]] == [1]


@pytest.mark.parametrize("fields", [{"clients": (0,)}, {"repetitions": 0}, {"arms": ()}])
def test_a_schedule_that_measures_nothing_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"give|name"):
        Schedule(**{"arms": chosen(["c"]), **fields})  # type: ignore[arg-type]
