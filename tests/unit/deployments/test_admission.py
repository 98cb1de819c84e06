"""Places among the requests under way: bounded, fair, given back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deployments.admission.admission import Admission, Slot
from deployments.admission.wait_estimate import WaitEstimate
from deployments.errors import KeyLimitError, OverloadedError, TwinsetError
from deployments.settings import IngressSettings, LiveSettings
from models.roles import ROLES, Role


class _Counts:
    """Stands for Ray's gauge and counter, which need a running Ray."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.values[tags["lane"]] = value

    def inc(self, tags: dict[str, str]) -> None:
        self.values[tags["reason"]] = self.values.get(tags["reason"], 0) + 1


class _Metrics:
    def __init__(self) -> None:
        self.admitted = _Counts()


def _admission(replicas: float = 1.0, **settings: Any) -> Admission:
    estimates = {role: WaitEstimate(lambda: replicas) for role in ROLES}
    return Admission(IngressSettings(**settings), estimates, _Metrics())  # type: ignore[arg-type]


@contextmanager
def _inside(admission: Admission, lane: Role, caller: str | None = None) -> Iterator[Slot]:
    with admission.admit(caller) as slot:
        slot.enter(lane)
        yield slot


def _fill(admission: Admission, lane: Role, caller: str | None, most: int) -> int:
    """Take places until one is refused or `most` are held; they are never given back."""
    for taken in range(most):
        try:
            with _inside(admission, lane, caller) as slot:
                slot.hand_over()
        except TwinsetError:
            return taken
    return most


def _gauge(admission: Admission, lane: str) -> float:
    return admission._metrics.admitted.values[lane]  # type: ignore[attr-defined]


def test_a_place_is_given_back_once_however_the_request_ends() -> None:
    admission = _admission(max_admitted_requests=1)
    with _inside(admission, "vae"):
        with pytest.raises(OverloadedError) as full, _inside(admission, "vae"):
            pass
        assert full.value.retry_after_s == 1
    with pytest.raises(KeyError), _inside(admission, "vae"):
        raise KeyError
    with _inside(admission, "vae") as slot:
        slot.hand_over()
    with pytest.raises(OverloadedError), _inside(admission, "vae"):  # a stream still holds it
        pass
    slot.release()
    slot.release()
    assert _gauge(admission, "vae") == 0
    with _inside(admission, "vae"):
        assert _gauge(admission, "vae") == 1
        assert _gauge(admission, "reading") == 0


def test_an_error_after_the_hand_over_gives_the_place_back() -> None:
    admission = _admission(max_admitted_requests=1)
    with pytest.raises(KeyError), _inside(admission, "vae") as slot:  # noqa: PT012
        slot.hand_over()
        raise KeyError
    assert _fill(admission, "vae", None, 2) == 1


def test_a_full_diffusion_lane_leaves_the_vae_alone() -> None:
    admission = _admission(max_admitted_requests=4)
    assert _fill(admission, "stable_diffusion", None, 9) == 4
    assert _fill(admission, "vae", None, 9) == 4
    # With both full, nobody's body is read any more.
    with pytest.raises(OverloadedError), admission.admit(None):
        pytest.fail("let in")


def test_bodies_that_are_read_are_bounded_by_themselves() -> None:
    admission = _admission(max_reading=2)
    third = pytest.raises(OverloadedError, match="reading")
    with admission.admit(None), admission.admit(None), third, admission.admit(None):
        pass
    with admission.admit(None):
        pass


def test_one_key_never_takes_the_places_of_all_others() -> None:
    admission = _admission(max_admitted_requests=12)
    assert _fill(admission, "vae", "a", 20) == 6  # a half, as long as it is alone
    assert _fill(admission, "vae", "b", 20) == 4  # a third
    with pytest.raises(KeyLimitError) as refused, _inside(admission, "vae", "a"):
        pass
    assert refused.value.retry_after_s == 1
    assert refused.value.reason == "share"
    assert _fill(admission, "vae", "c", 20) == 2  # what is left
    assert _fill(admission, "stable_diffusion", "a", 20) == 6  # the lanes are counted apart


def test_keys_that_have_left_keep_no_places() -> None:
    admission = _admission(max_admitted_requests=12)
    for caller in "bcdefg":
        with _inside(admission, "vae", caller):
            pass
    assert _fill(admission, "vae", "a", 20) == 6


def test_a_key_may_be_held_to_fewer_places_still() -> None:
    admission = _admission(max_admitted_requests=12, max_requests_per_key=2)
    assert _fill(admission, "vae", "a", 20) == 2
    assert _fill(admission, "vae", "b", 20) == 2


def test_a_rate_is_each_keys_own_and_tells_when_it_allows_the_next() -> None:
    admission = _admission(requests_per_minute_per_key=3)
    for _ in range(3):
        with _inside(admission, "vae", "a"):
            pass
    with pytest.raises(KeyLimitError) as refused, admission.admit("a"):
        pass
    assert refused.value.retry_after_s is not None
    assert refused.value.reason == "rate"
    assert 19 <= refused.value.retry_after_s <= 20
    with _inside(admission, "vae", "b"):
        pass
    for _ in range(9):
        with _inside(admission, "vae"):  # callers who are not told apart have no rate
            pass


def test_a_rate_recovers_with_time() -> None:
    admission = _admission(requests_per_minute_per_key=600)
    for _ in range(600):
        with admission.admit("a"):
            pass
    with pytest.raises(KeyLimitError), admission.admit("a"):
        pass
    time.sleep(0.15)
    with admission.admit("a"):
        pass


def test_retry_after_is_when_half_of_the_work_under_way_is_done() -> None:
    admission = _admission(replicas=2, max_admitted_requests=3)
    admission.estimates["stable_diffusion"].observe(work=20, taken_s=40.0)  # 2 s a unit
    deadline = time.monotonic() + 1000
    for _ in range(3):
        with _inside(admission, "stable_diffusion") as slot:
            slot.expect("stable_diffusion", 20, deadline)
            slot.hand_over()
    with pytest.raises(OverloadedError) as full, _inside(admission, "stable_diffusion"):
        pass
    assert full.value.retry_after_s == 30  # 60 units of 2 s on two replicas take 60 s
    slot.release()
    with _inside(admission, "stable_diffusion") as slot:
        slot.expect("stable_diffusion", 1, deadline)


def test_what_others_delay_past_its_deadline_is_refused_at_once() -> None:
    admission = _admission()
    for work in (10, 100):
        admission.estimates["stable_diffusion"].observe(work=work, taken_s=float(work))
    now = time.monotonic()
    with _inside(admission, "stable_diffusion") as first:
        first.expect("stable_diffusion", 100, now + 120.5)
        with _inside(admission, "stable_diffusion") as second:
            with pytest.raises(OverloadedError, match="the queue takes about 100 s") as late:
                second.expect("stable_diffusion", 50, now + 120.5)
            assert late.value.retry_after_s == 30
            second.expect("stable_diffusion", 10, now + 120)
    assert admission.estimates["stable_diffusion"].ahead_s() == 0
    # Alone, nobody is refused by a guess: the deadline itself will tell.
    with _inside(admission, "stable_diffusion") as alone:
        alone.expect("stable_diffusion", 500, now + 120)


def test_limits_change_while_requests_are_under_way() -> None:
    admission = _admission(max_admitted_requests=2)
    assert _fill(admission, "vae", None, 9) == 2
    admission.limit(LiveSettings(max_admitted_requests=5))
    assert _fill(admission, "vae", None, 9) == 3
    admission.limit(LiveSettings(max_admitted_requests=1))
    with pytest.raises(OverloadedError), _inside(admission, "vae"):
        pass


def test_small_sets_say_little_of_large_ones() -> None:
    estimate = WaitEstimate(lambda: 1.0)
    for _ in range(50):
        estimate.observe(work=1, taken_s=0.12)
    assert estimate.own_s(1500) < 1  # nothing is known of so large a set: nobody is refused for it
    estimate.observe(work=1500, taken_s=4.6)
    for _ in range(10):
        estimate.observe(work=1, taken_s=0.12)
    assert estimate.own_s(1) == pytest.approx(0.12, abs=0.02)
    assert estimate.own_s(1500) == pytest.approx(4.6, abs=0.2)


def _with_sets_of_a_second(**settings: Any) -> Admission:
    admission = _admission(**settings)
    for _ in range(3):
        admission.estimates["stable_diffusion"].observe(10, 1.0)
    return admission


def _expect(admission: Admission, caller: str, most: int, left_s: float) -> int:
    """Let so many sets of a second in; return how many were."""
    for taken in range(most):
        try:
            with _inside(admission, "stable_diffusion", caller) as slot:
                slot.expect("stable_diffusion", 10, time.monotonic() + left_s)
                slot.hand_over()
        except TwinsetError:
            return taken
    return most


def test_one_keys_queue_leaves_another_its_time() -> None:
    admission = _with_sets_of_a_second(request_timeout_s=20.0)
    # Twenty seconds of work would fit; a key that is alone has half of them.
    assert _expect(admission, "greedy", 60, 20.0) == 10
    with pytest.raises(KeyLimitError) as refused:
        admission.check_time(admission.estimates["stable_diffusion"], "greedy", 10, 20.0)
    assert refused.value.reason == "share"
    # Of two keys each has a third: the first one is over it, the second begins.
    assert _expect(admission, "modest", 60, 20.0) == 6
    assert _expect(admission, "greedy", 60, 20.0) == 0


def test_who_comes_in_turn_waits_for_no_more_of_others_than_for_oneself() -> None:
    admission = _with_sets_of_a_second(request_timeout_s=20.0)
    _expect(admission, "greedy", 10, 20.0)
    estimate = admission.estimates["stable_diffusion"]
    assert estimate.turns_ahead_s("modest", 10) == pytest.approx(1.0)
    assert estimate.turns_ahead_s("greedy", 10) == pytest.approx(10.0)
    assert _expect(admission, "modest", 1, 2.5) == 1  # with little time, it is in time


def test_callers_who_are_not_told_apart_share_all_of_the_time() -> None:
    admission = _with_sets_of_a_second(request_timeout_s=20.0)
    with _inside(admission, "stable_diffusion") as slot:
        for _ in range(19):
            slot.expect("stable_diffusion", 10, time.monotonic() + 20.5)
        with pytest.raises(OverloadedError) as refused:
            slot.expect("stable_diffusion", 10, time.monotonic() + 19.5)
    assert refused.value.reason == "deadline"
