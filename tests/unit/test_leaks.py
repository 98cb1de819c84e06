"""The leak run's verdict: what grows, ends or begins is told; what only wavers is not."""

import numpy as np
import pytest

from tests.faults.leaks import TARGET_MIB, LeakRun
from tests.faults.memory import ProcessMemory
from tests.faults.tally import Finished, Tally

SETS = range(0, 1501, 15)


def _process(mib_per_1000: float, is_ours: bool = True, noise_mib: float = 3.0) -> ProcessMemory:
    """Return a log that climbs by 200 MiB in its first 300 sets, as a process warms up."""
    dice = np.random.default_rng(0)
    mib = [
        100 + min(200.0, sets * 200 / 300) + sets * mib_per_1000 / 1000 + dice.normal(0, noise_mib)
        for sets in SETS
    ]
    return ProcessMemory("Ingress 1", is_ours, [float(one) for one in SETS], mib, mib)


def _run(*processes: ProcessMemory) -> LeakRun:
    return LeakRun(1500, Tally(), list(processes))


def test_the_fit_finds_the_growth_and_its_error() -> None:
    run = _run(_process(35.0))
    growth = run.growth(run.processes[0])
    assert growth is not None
    assert growth.mib == pytest.approx(35.0, abs=3 * growth.error_mib)
    assert 0 < growth.error_mib < 3


def test_a_leak_is_red() -> None:
    (failure,) = _run(_process(35.0)).failures()
    assert "Ingress 1 grows by 3" in failure
    assert "+3" in _run(_process(35.0)).table()


def test_a_process_that_only_warms_up_is_green() -> None:
    assert _run(_process(0.0), _process(12.0)).failures() == []


def test_growth_within_its_error_is_green() -> None:
    run = _run(_process(100.0, noise_mib=100.0))
    growth = run.growth(run.processes[0])
    assert growth is not None
    assert TARGET_MIB < growth.mib < TARGET_MIB + growth.error_mib
    assert not run.failures()


def test_rays_own_processes_are_not_judged() -> None:
    assert _run(_process(0.0), _process(80.0, is_ours=False)).failures() == []


def test_a_process_that_was_replaced_is_red() -> None:
    old, new = _process(0.0, noise_mib=0.1), _process(0.0, noise_mib=0.1)
    for values in (old.at, old.resident_mib):
        del values[50:]
    for values in (new.at, new.resident_mib):
        del values[:50]
    failures = _run(_process(0.0), old, new).failures()
    assert failures == ["Ingress 1 ended after 735 sets", "Ingress 1 began after 750 sets"]


def test_a_wrong_answer_is_red() -> None:
    run = _run(_process(0.0))
    run.tally.finished.append(Finished("pairs", 500, "", 0.0, 0.1, 60.0, "answered 500", False))
    assert run.failures() == ["1 answers were wrong"]
