"""The context of this process is measured, whoever else starts on the card meanwhile."""

import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch

from models.cuda_context import DEFAULT_BYTES, GIB, context_bytes

CONTEXT = int(0.5 * GIB)
OTHERS = 3 * GIB


@dataclass
class Card:
    """What NVML says of a card on which the process under test makes its context."""

    uuid: str = "GPU-0"
    knows_processes: bool = True
    neighbour_starts: int = 0
    used: int = OTHERS
    processes: list[Any] = field(
        default_factory=lambda: [SimpleNamespace(pid=1, usedGpuMemory=OTHERS)]
    )

    def handle(self, uuid: str) -> str:
        if uuid != self.uuid:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def make_context(self, *_: object, **__: object) -> None:
        self.used += CONTEXT + self.neighbour_starts
        pid = os.getpid() if self.knows_processes else 4_000_000
        self.processes.append(SimpleNamespace(pid=pid, usedGpuMemory=CONTEXT))


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    one = Card()
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", one.handle)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", lambda _: one.processes)
    memory = SimpleNamespace
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: memory(used=one.used))
    monkeypatch.setattr(torch, "zeros", one.make_context)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 0)
    return one


def _measured() -> int:
    return context_bytes(torch.device("cuda", 0), "0")


@pytest.mark.parametrize("uuid", ["GPU-0", "MIG-0"])
def test_it_is_what_nvml_counts_for_this_process(card: Card, uuid: str) -> None:
    card.uuid, card.neighbour_starts = uuid, 5 * GIB
    assert _measured() == CONTEXT


def test_in_a_container_it_is_what_the_card_has_more_in_use(card: Card) -> None:
    card.knows_processes = False
    assert _measured() == CONTEXT


@pytest.mark.parametrize("neighbour", [int(0.5 * GIB), 5 * GIB, -2 * GIB])
def test_a_neighbour_that_comes_or_goes_makes_nobody_refuse(card: Card, neighbour: int) -> None:
    card.knows_processes, card.neighbour_starts = False, neighbour
    assert _measured() == DEFAULT_BYTES


def test_without_nvml_it_is_the_default(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    card.uuid = "GPU-another"
    assert _measured() == DEFAULT_BYTES

    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert _measured() == DEFAULT_BYTES
