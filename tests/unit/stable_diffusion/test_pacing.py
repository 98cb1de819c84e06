"""Steps are queued at most two ahead, and told of in order, when they are done."""

import pytest
import torch

from models.stable_diffusion.pacing import StepPacer, end_marker


class _Device:
    """Writes down in which order marks are set and waited for, and steps told of."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.marks = 0

    def mark(self) -> "_Mark":
        self.marks += 1
        self.log.append(f"queued {self.marks}")
        return _Mark(self.marks, self.log)

    def on_step(self, step: int, total: int) -> None:
        self.log.append(f"told {step}/{total}")


class _Mark:
    def __init__(self, step: int, log: list[str]) -> None:
        self.step, self.log = step, log

    def synchronize(self) -> None:
        self.log.append(f"waited {self.step}")


def test_a_step_is_waited_for_before_the_one_after_the_next_is_queued() -> None:
    device = _Device()
    pacer = StepPacer(4, device.on_step, device.mark)
    for _ in range(4):
        pacer.queued()
    pacer.finish()
    assert device.log == [
        "queued 1",
        *("queued 2", "waited 1", "told 1/4"),
        *("queued 3", "waited 2", "told 2/4"),
        *("queued 4", "waited 3", "told 3/4"),
        *("waited 4", "told 4/4"),
    ]


def test_a_single_step_is_told_of_at_the_end() -> None:
    device = _Device()
    pacer = StepPacer(1, device.on_step, device.mark)
    pacer.queued()
    assert device.log == ["queued 1"]
    pacer.finish()
    assert device.log == ["queued 1", "waited 1", "told 1/1"]


def test_whoever_ends_the_set_ends_it_one_queued_step_later() -> None:
    device = _Device()

    def stop(step: int, total: int) -> None:
        raise KeyError(step)

    pacer = StepPacer(4, stop, device.mark)
    pacer.queued()
    with pytest.raises(KeyError, match="1"):
        pacer.queued()
    assert device.log == ["queued 1", "queued 2", "waited 1"]


def test_without_a_queue_each_step_is_told_of_at_once() -> None:
    device = _Device()
    assert end_marker(torch.device("cpu")) is None
    pacer = StepPacer(2, device.on_step, end_marker(torch.device("cpu")))
    pacer.queued()
    assert device.log == ["told 1/2"]
    pacer.queued()
    pacer.finish()
    assert device.log == ["told 1/2", "told 2/2"]
