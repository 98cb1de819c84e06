"""A set on a GPU that is pretended: no two devices in one operation, no copy between two steps.

torch's fake tensors know their shape, dtype and device, and nothing else. The networks' are on
"cuda:0"; what the sampler and diffusers' scheduler do on the CPU is done for real beside them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import diffusers
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters
from models.stable_diffusion.checkpoint import components_of, load_pipeline
from models.stable_diffusion.components import Components
from models.stable_diffusion.config import StableDiffusionConfig
from models.stable_diffusion.image_to_image import ImageToImageSampler
from tests.unit.stable_diffusion.conftest import face
from tests.unit.stable_diffusion.test_syncs import SCHEDULERS

pytestmark = pytest.mark.heavy

CARD = torch.device("cuda", 0)
# In inference mode `to` arrives as it is, not as the copy that it is made of.
COPIES = (torch.ops.aten.to, torch.ops.aten._to_copy, torch.ops.aten.copy_)
STEPS = 5
PARAMETERS = ImageToImageParameters("a face", "a hat", 0.84, 3.0, 6)


class PretendedGPU(TorchDispatchMode):
    """Does for fake what has to do with the card, and notes the copies from and to it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_watching = False
        self.copies: list[str] = []
        self._fake = FakeTensorMode()

    def __enter__(self) -> Self:
        # Else torch looks for a driver when it makes an index tensor of a list of numbers.
        self._lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        torch._C._set_only_lift_cpu_tensors(self._lifted)
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if not any(map(_is_on_card, tree_leaves((args, named)))):
            return func(*args, **named)
        args, named = tree_map(self._pretended, (args, named))
        with self._fake:
            result = func(*args, **named)
        if self.is_watching and func.overloadpacket in COPIES:
            source = args[1] if func.overloadpacket is torch.ops.aten.copy_ else args[0]
            if source.device != result.device:
                self.copies.append(f"{source.device} to {result.device}: {tuple(source.shape)}")
        return result

    def _pretended(self, one: Any) -> Any:
        is_real = isinstance(one, torch.Tensor) and not isinstance(one, FakeTensor)
        return self._fake.from_tensor(one, static_shapes=True) if is_real else one


def _is_on_card(one: Any) -> bool:
    return isinstance(one, FakeTensor) or (isinstance(one, torch.device) and one.type == "cuda")


class _LastStepError(Exception):
    pass


@pytest.fixture(scope="module", params=["float16", "bfloat16", "float32"])
def on_card(
    request: pytest.FixtureRequest, tiny_directory: Path
) -> Iterator[tuple[PretendedGPU, Components]]:
    """Return the pretended card, and a tiny model on it in one precision."""
    gpu = PretendedGPU()
    config = StableDiffusionConfig(str(tiny_directory), None, 32, request.param, "cpu")
    components = components_of(load_pipeline(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "_initialized", True)
        patch.setattr("models.stable_diffusion.image_to_image.end_marker", lambda device: None)
        with gpu:
            for network in (components.unet, components.vae, components.text_encoder):
                network.to(CARD)
        yield gpu, components


@pytest.mark.parametrize(
    ("scheduler", "guidance"), [("PNDMScheduler", 1.0), *((one, 3.0) for one in SCHEDULERS)]
)
def test_no_step_mixes_devices_or_copies_between_them(
    on_card: tuple[PretendedGPU, Components], scheduler: str, guidance: float
) -> None:
    gpu, components = on_card
    template = getattr(diffusers, scheduler).from_config(components.scheduler.config)
    info = ModelInfo("tested", "stable_diffusion", "none", 32, {})
    sampler = ImageToImageSampler(replace(components, scheduler=template), info)
    assert sampler._components.device == CARD
    gpu.copies.clear()
    told: list[int] = []

    def on_step(step: int, total: int) -> None:
        told.append(step)
        gpu.is_watching = step < total
        if step == total:  # what follows reads the pixels, of which there are none
            raise _LastStepError

    parameters = replace(PARAMETERS, guidance_scale=guidance)
    with pytest.raises(_LastStepError), gpu:
        sampler.generate(face(32), [1, 2, 3], parameters, on_step)
    assert len(told) >= STEPS
    assert gpu.copies == []
