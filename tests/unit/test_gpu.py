"""Shares of a card, as far as they can be known without one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from models import gpu
from models.demo.factory import load_demo_diffusion, load_demo_vae
from models.devices import prepare_device
from models.gpu import GIB, MemoryShare, SharedGPUModel, claim, fitted, needed_bytes, place
from models.interfaces import DeviceLostError, DeviceMemoryError
from models.parameters import VariationParameters
from models.simulated import SimulatedModel, TimeLaw, load_simulated_vae

FACE = np.zeros((64, 64, 3), dtype=np.uint8)


def test_the_limit_is_the_share_without_what_cuda_takes() -> None:
    memory = MemoryShare(0.45, 80 * GIB, GIB)
    assert memory.share_bytes == 36 * GIB
    assert memory.limit_bytes == 35 * GIB
    assert memory.share_for(7 * GIB) == 0.1
    assert memory.share_for(80 * GIB) > 1


def test_a_share_that_cuda_alone_fills_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.80 GiB, less than the 0\.85 GiB .* at least 0\.06"):
        MemoryShare(0.05, 16 * GIB, int(0.85 * GIB))
    for share in (0.0, 1.5, -1.0):
        with pytest.raises(ValueError, match="num_gpus"):
            MemoryShare(share, 16 * GIB, GIB)


def test_the_need_grows_by_the_image() -> None:
    assert needed_bytes(3 * GIB, 4 * GIB, 10) == 12 * GIB
    assert needed_bytes(3 * GIB, 3 * GIB, 10) == 3 * GIB


def test_without_a_gpu_nothing_is_claimed_and_a_model_stays_as_it_is() -> None:
    assert claim(torch.device("cpu"), 0.5) is None
    model = load_simulated_vae()
    assert fitted(model, None) is model


class _Full(SimulatedModel):
    def generate(self, image: Any, seeds: Any, parameters: Any, on_step: Any = None) -> Any:
        if len(seeds) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().generate(image, seeds, parameters)


def test_out_of_memory_is_an_error_of_ours_and_the_model_lives_on() -> None:
    plain = load_simulated_vae()
    model = SharedGPUModel(_Full(plain.info, plain._law), plain.info)
    with pytest.raises(DeviceMemoryError, match="2 images"):
        model.generate(FACE, [1, 2], VariationParameters())
    assert model.generate(FACE, [1], VariationParameters()).pixels.shape[0] == 1


class _Failing(SimulatedModel):
    def __init__(self, error: RuntimeError) -> None:
        super().__init__(load_simulated_vae().info, TimeLaw())
        self._error = error

    def generate(self, image: Any, seeds: Any, parameters: Any, on_step: Any = None) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.AcceleratorError("CUDA error: out of memory\nmore"), DeviceMemoryError),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), DeviceMemoryError),
        (torch.AcceleratorError("CUDA error: an illegal memory access\nmore"), DeviceLostError),
        (torch.AcceleratorError("CUDA error: uncorrectable ECC error"), DeviceLostError),
        (RuntimeError("images [0] are not finite"), RuntimeError),
    ],
)
def test_errors_of_a_device_are_told_apart(
    error: RuntimeError, expected: type[RuntimeError]
) -> None:
    model = SharedGPUModel(_Failing(error), load_simulated_vae().info)
    with pytest.raises(RuntimeError) as caught:
        model.generate(FACE, [1, 2], VariationParameters())
    assert type(caught.value) is expected
    assert "more" not in str(caught.value)


def test_a_librarys_error_on_a_dead_context_is_that_of_the_device(
    cards: "TwoCards", monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("cuBLAS error: CUBLAS_STATUS_EXECUTION_FAILED")
    model = SharedGPUModel(_Failing(error), load_simulated_vae().info)
    with pytest.raises(RuntimeError, match="EXECUTION_FAILED") as caught:
        model.generate(FACE, [1], VariationParameters())
    assert type(caught.value) is RuntimeError  # CUDA says that all is well: the next set may work

    def dead() -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch._C, "_cuda_synchronize", dead)
    with pytest.raises(DeviceLostError, match="EXECUTION_FAILED"):
        model.generate(FACE, [1], VariationParameters())


@dataclass
class TwoCards:
    """What torch's C calls do where there are two cards of 80 GiB; `current` is the first one."""

    current: int = 0
    fractions: dict[int, float] = field(default_factory=dict)
    peaks_reset: list[int] = field(default_factory=list)

    def exchange(self, index: int) -> int:
        before, self.current = self.current, index
        return before

    def replacements(self) -> dict[str, Any]:
        """Return the functions of `torch._C` by name."""
        peaks = ({"reserved_bytes.all.peak": gib * GIB} for gib in (7, 9))
        statistics = dict(enumerate(peaks))
        return {
            "_cuda_getDeviceCount": lambda: 2,
            "_cuda_getDevice": lambda: self.current,
            "_cuda_setDevice": self.exchange,
            "_cuda_exchangeDevice": self.exchange,
            "_cuda_maybeExchangeDevice": self.exchange,
            "_cuda_synchronize": lambda: None,
            "_cuda_emptyCache": lambda: None,
            "_cuda_memoryStats": lambda index: statistics[index],
            "_cuda_resetPeakMemoryStats": self.peaks_reset.append,
            "_cuda_setMemoryFraction": lambda share, index: self.fractions.update({index: share}),
        }


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> TwoCards:
    two = TwoCards()
    for name, replacement in two.replacements().items():
        monkeypatch.setattr(torch._C, name, replacement, raising=False)
    for name in ("_exchange_device", "_maybe_exchange_device"):  # bound when torch was imported
        monkeypatch.setattr(torch.cuda, name, two.exchange)
    properties = SimpleNamespace(total_memory=80 * GIB, uuid="0" * 36)
    monkeypatch.setattr(torch.cuda, "_get_device_properties", lambda _: properties, raising=False)
    monkeypatch.setattr(torch.cuda, "_initialized", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return two


@pytest.fixture
def cards(driver: TwoCards) -> Iterator[TwoCards]:
    with FakeTensorMode():  # tensors of a device that is not here, without memory
        yield driver


@pytest.mark.parametrize(("named", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_share_is_claimed_of_the_card_that_was_named(
    cards: TwoCards, named: str, index: int
) -> None:
    device = prepare_device(named)
    assert device == torch.device("cuda", index)
    assert cards.current == index  # for calls that name no device
    for given in (device, torch.device(named)):
        memory = claim(given, 0.45)
        assert memory is not None
        assert cards.fractions == {index: memory.limit_bytes / (80 * GIB)}


@pytest.mark.parametrize(("named", "peak_gib"), [("cuda", 7), ("cuda:0", 7), ("cuda:1", 9)])
def test_the_peak_is_that_of_the_card_that_was_named(
    cards: TwoCards, named: str, peak_gib: int
) -> None:
    memory = claim(prepare_device(named), 0.45)
    assert memory is not None
    model = fitted(load_simulated_vae(), memory)
    assert model.info.gpu_memory_peak_gib == round(peak_gib + memory.outside_bytes / GIB, 2)
    assert set(cards.peaks_reset) == {prepare_device(named).index}


def test_what_only_some_sets_need_is_warmed_up_too(cards: TwoCards) -> None:
    made: list[object] = []

    class Noting(SimulatedModel):
        def prepare(self) -> None:
            made.append("prepared")

        def generate(self, image: Any, seeds: Any, parameters: Any, on_step: Any = None) -> Any:
            made.append(len(seeds))
            return super().generate(image, seeds, parameters)

    plain = load_simulated_vae()
    fitted(Noting(plain.info, TimeLaw()), claim(prepare_device("cuda"), 0.45))
    assert made[:2] == ["prepared", 10]
    assert {1, 5} <= set(made)


def test_float32_is_float32_on_a_gpu(cards: TwoCards) -> None:
    for backend in (torch.backends.cudnn.conv, torch.backends.cuda.matmul):
        backend.fp32_precision = "tf32"
    prepare_device("cuda")
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_card_that_torch_cannot_use_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"set device to 'cpu'$"):
        prepare_device("cuda")
    monkeypatch.setattr("pynvml.nvmlInit", lambda: None)
    monkeypatch.setattr("pynvml.nvmlDeviceGetCount", lambda: 1)
    monkeypatch.setattr("pynvml.nvmlSystemGetDriverVersion", lambda: "550.54.15")
    with pytest.raises(RuntimeError, match=r"1 GPU\(s\) and driver 550.* driver 580 or later"):
        prepare_device("cuda")


def test_a_card_that_is_not_there_gets_a_sentence(cards: TwoCards) -> None:
    with pytest.raises(RuntimeError, match=r"'cuda:2' but torch sees 2 GPU.* set device to 'cuda'"):
        prepare_device("cuda:2")


@pytest.fixture
def full(driver: TwoCards, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no network fit on a card."""

    def to(network: torch.nn.Module, device: torch.device) -> None:
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(torch.nn.Module, "to", to)
    monkeypatch.setattr(gpu, "context_bytes", lambda *_: GIB // 2)


def test_weights_that_do_not_fit_get_a_sentence(full: None) -> None:
    memory = claim(torch.device("cuda"), 0.02)
    networks = [torch.nn.Linear(8192, 8192, bias=False)] * 8
    with pytest.raises(DeviceMemoryError) as caught:
        place(networks, torch.device("cuda", 0), memory, "large")
    assert str(caught.value) == (
        "the weights of large alone need 2.00 GiB, its share of 0.02 allows 0.85 GiB: set num_gpus "
        "to at least 0.04, or a lower precision; docs/gpu.md has what a set needs beside"
    )
    assert caught.value.__cause__ is None  # no traceback of torch's
    assert caught.value.__context__ is None
    place(networks, torch.device("cpu"), None, "large")


@pytest.mark.parametrize("model", ["demo-vae", "demo-diffusion"])
def test_both_models_say_so_where_their_weights_do_not_fit(full: None, model: str) -> None:
    load = {"demo-vae": load_demo_vae, "demo-diffusion": load_demo_diffusion}[model]
    with pytest.raises(DeviceMemoryError, match=rf"the weights of {model} alone need 0\.\d+ GiB"):
        load(device="cuda", gpu_share=0.1)
