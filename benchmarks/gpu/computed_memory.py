"""Peak GPU memory of the published models, full size with random weights.

    python -m benchmarks.gpu.computed_memory

Computed from shapes alone, without a GPU and without weights: every tensor that a set of ten makes
and drops is followed (torch's fake tensors). That knows no workspaces of cuDNN and no
fragmentation: 15 % are added for those, and what CUDA itself takes (`models.gpu`). `make gpu-check`
measures what `models.gpu.fitted` finds on a card.
"""

import argparse
import json
import math
import sys
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.gpu.networks import full_size_networks
from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE
from models.cuda_context import DEFAULT_BYTES, GIB
from models.gpu import KERNEL_BYTES
from models.seeds import MAX_IMAGES

MARGIN = 1.15
CARDS_GIB = (16, 24, 48, 80, 141)
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_LATENT, _SIDE = 64, 512


@dataclass(frozen=True)
class Peak:
    """Of one model in one precision.

    Attributes:
        model: its id.
        precision: name of the dtype.
        weights_gib: of its parameters.
        peak_gib: of a set of ten, everything included: what a replica needs.
    """

    model: str
    precision: str
    weights_gib: float
    peak_gib: float

    def num_gpus(self, card_gib: int) -> float | None:
        """Return the share of a card that holds it, rounded up to twentieths; None if none does."""
        share = math.ceil(20 * self.peak_gib / card_gib) / 20
        return share if share <= 1 else None


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that are alive, and remembers the most."""

    def __init__(self) -> None:
        """Start at nothing."""
        super().__init__()
        self.live = self.most = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it returns."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage())
        return out

    def _count(self, storage: Any) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        self._seen.add(key)
        size = storage.nbytes()
        self.live += size
        self.most = max(self.most, self.live)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


def computed_peaks() -> list[Peak]:
    """Compute the peak of each model in each precision."""
    peaks = []
    for name, dtype in PRECISIONS.items():
        if name == "float32":
            peaks.append(_computed("celeba-vae", name, _celeba(dtype)))
        peaks.append(_computed("stable-diffusion-v1-5", name, _stable_diffusion(dtype)))
    return peaks


def _computed(model: str, precision: str, run: Callable[[], int]) -> Peak:
    torch.set_default_dtype(PRECISIONS[precision])
    try:
        with FakeTensorMode(), torch.no_grad(), LiveBytes() as bytes_:
            weights = run()
    finally:
        torch.set_default_dtype(torch.float32)
    outside = DEFAULT_BYTES + KERNEL_BYTES
    peak = weights + MARGIN * (bytes_.most - weights) + outside
    return Peak(model, precision, weights / GIB, peak / GIB)


def _bytes_of(*networks: torch.nn.Module) -> int:
    return sum(one.numel() * one.element_size() for net in networks for one in net.parameters())


def _celeba(dtype: torch.dtype) -> Callable[[], int]:
    def run() -> int:
        network = CelebAVAE(CelebAVAEConfig()).eval()
        side = network.config.image_size_px
        network.encode(torch.empty(1, 3, side, side, dtype=dtype))
        network.decode(torch.empty(MAX_IMAGES, network.config.latent_channels, dtype=dtype))
        return _bytes_of(network)

    return run


def _stable_diffusion(dtype: torch.dtype) -> Callable[[], int]:
    def run() -> int:
        networks = [one.eval() for one in full_size_networks()]
        unet, vae, _, checker = networks
        weights = _bytes_of(*networks)
        pixels = torch.empty(1, 3, _SIDE, _SIDE, dtype=dtype)
        vae.encode(pixels)
        context = torch.empty(2 * MAX_IMAGES, 77, 768, dtype=dtype)
        latents = torch.empty(2 * MAX_IMAGES, 4, _LATENT, _LATENT, dtype=dtype)
        unet(latents, torch.tensor(1), encoder_hidden_states=context, return_dict=False)
        vae.decode(latents[:MAX_IMAGES], return_dict=False)
        checker.vision_model(torch.empty(MAX_IMAGES, 3, 224, 224, dtype=dtype))
        return weights

    return run


def table(peaks: list[Peak]) -> str:
    """Lay the peaks out as Markdown, with the share that each needs of common cards."""
    cards = " | ".join(f"{card} GiB" for card in CARDS_GIB)
    lines = [
        f"| model | precision | weights GiB | peak GiB | how | {cards} |",
        "|---" * (5 + len(CARDS_GIB)) + "|",
    ]
    for one in peaks:
        shares = " | ".join(str(one.num_gpus(card) or "too small") for card in CARDS_GIB)
        lines.append(
            f"| {one.model} | {one.precision} | {one.weights_gib:.2f} | {one.peak_gib:.1f} | "
            f"computed | {shares} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Parse the command line, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    peaks = computed_peaks()
    sys.stdout.write(table(peaks) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in peaks], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
