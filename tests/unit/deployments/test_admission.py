"""Places among the requests under way."""

import pytest

from deployments.admission import Admission
from deployments.errors import OverloadedError


class _Gauge:
    value = 0.0

    def set(self, value: float) -> None:
        self.value = value


class _Metrics:
    def __init__(self) -> None:
        self.admitted = _Gauge()


def test_a_place_is_given_back_once_however_the_request_ends() -> None:
    metrics = _Metrics()
    admission = Admission(1, metrics)  # type: ignore[arg-type]
    with admission.admit():
        with pytest.raises(OverloadedError) as full, admission.admit():
            pass
        assert full.value.retry_after_s is not None
        assert full.value.retry_after_s >= 1
    with pytest.raises(KeyError), admission.admit():
        raise KeyError
    with admission.admit() as place:
        place.hand_over()
    with pytest.raises(OverloadedError), admission.admit():  # a stream still holds it
        pass
    place.release()
    place.release()
    assert metrics.admitted.value == 0
    with admission.admit():
        assert metrics.admitted.value == 1


def test_an_error_after_the_hand_over_gives_the_place_back() -> None:
    admission = Admission(1, _Metrics())  # type: ignore[arg-type]
    with pytest.raises(KeyError), admission.admit() as place:  # noqa: PT012
        place.hand_over()
        raise KeyError
    with admission.admit():
        pass
