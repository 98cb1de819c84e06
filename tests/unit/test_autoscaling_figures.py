"""What the benchmark of autoscaling reports is what happened."""

from benchmarks.autoscaling_figures import Phase, figures
from benchmarks.closed_loop import Answer, quantile_s
from benchmarks.watching import Moment, Watch

RAN = [1, 1, 4, 4, 6, 4, 4, 1]
WANTED = [1, 4, 4, 6, 3, 4, 1, 1]
USERS = [1, 4, 4, 4, 4, 4, 0, 0]


def _watch() -> Watch:
    moments = [
        Moment(float(second), users, {"stable_diffusion": want, "vae": 1 + (second == 3)}, ran, 50)
        for second, (users, want, count) in enumerate(zip(USERS, WANTED, RAN, strict=True))
        for ran in [{"stable_diffusion": count, "vae": 1}]
    ]
    return Watch(moments)


def test_the_figures_of_a_spike_are_counted_from_its_beginning() -> None:
    phases = [Phase(1, 0.0), Phase(4, 0.5), Phase(0, 5.5)]
    answers = [
        Answer(0.1, 0.4, "", {}),
        Answer(0.5, 4.5, "", {}),
        Answer(2.0, 3.0, "", {}),
        Answer(2.1, 2.2, "503 away", {}),
    ]
    found = figures(phases, _watch(), answers)
    assert found.target_right_s == 0.5
    assert found.running_s == 1.5
    assert (found.most_target, found.least_target, found.most_vae) == (6, 3, 2)
    assert found.small_again_s == 1.5
    assert found.missing_s == 3.0  # one second with one replica for four users
    assert found.idle_s == 2.0 + 3.0  # six for four users; four for nobody, one of them always
    assert (found.sets, found.failed, found.problems) == (3, 1, ["503 away"])
    assert found.p95_s == 4.0


def test_what_never_happened_is_none() -> None:
    found = figures([Phase(1, 0.0), Phase(9, 0.5), Phase(0, 5.5)], _watch(), [])
    assert found.target_right_s is None
    assert found.running_s is None
    assert quantile_s([], 0.5) == 0
