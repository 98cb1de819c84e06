"""A model that hangs is told from one that is slow."""

import time

from deployments.replica.stall import StallDetector


def _steps(heartbeat: StallDetector, count: int, step_s: float) -> None:
    heartbeat.start()
    for _ in range(count):
        time.sleep(step_s)
        heartbeat.beat()
    heartbeat.stop()


def test_a_step_that_takes_far_longer_than_steps_do_has_stalled() -> None:
    heartbeat = StallDetector(stalled_after_s=0.1)
    _steps(heartbeat, 30, 0.001)
    assert heartbeat.stalled_s() is None
    heartbeat.start()
    assert heartbeat.stalled_s() is None
    time.sleep(0.25)
    stalled_s = heartbeat.stalled_s()
    assert stalled_s is not None
    assert stalled_s > 0.2
    heartbeat.beat()
    assert heartbeat.stalled_s() is None


def test_a_model_whose_steps_are_slow_may_be_slow() -> None:
    heartbeat = StallDetector(stalled_after_s=0.01)
    _steps(heartbeat, 25, 0.02)
    assert heartbeat.limit_s() > 0.4
    heartbeat.start()
    time.sleep(0.1)
    assert heartbeat.stalled_s() is None


def test_nothing_is_judged_by_a_few_steps_or_while_nothing_runs() -> None:
    heartbeat = StallDetector(stalled_after_s=0.01)
    _steps(heartbeat, 5, 0.001)
    heartbeat.start()
    time.sleep(0.05)
    assert heartbeat.stalled_s() is None
    heartbeat.stop()
    _steps(heartbeat, 30, 0.001)
    time.sleep(0.1)
    assert heartbeat.stalled_s() is None
