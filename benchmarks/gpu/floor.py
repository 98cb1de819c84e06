"""The floor: the operations of a set divided by the rate at which the card multiplies matrices."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.clock import Clock
from benchmarks.gpu.networks import full_size_networks, tiny_networks
from benchmarks.gpu.workload import Workload

TOKENS = 77
_META = torch.device("meta")
_PRODUCTS = 10


@dataclass(frozen=True)
class Operations:
    """Floating point operations of one pass, counted; a multiplication and an addition are two.

    Attributes:
        unet: one sample, one call; with guidance an image is two samples.
        encode: one image through the VAE's encoder.
        decode: one image through the VAE's decoder.
        text: one text through the text encoder.
    """

    unet: int
    encode: int
    decode: int
    text: int

    def of_set(self, images: int, unet_calls: int) -> int:
        """Return those of a guided set that encodes its input once and its two texts once."""
        unet = 2 * images * unet_calls * self.unet
        return unet + images * self.decode + self.encode + 2 * self.text


def count_operations(workload: Workload) -> Operations:
    """Count on shapes alone (torch's meta device): no memory, no arithmetic.

    There, attention falls apart into its matrix products, so it is counted whatever kernel will
    compute it.
    """
    with _META:
        networks = full_size_networks() if workload.name == "full" else tiny_networks()
    unet, vae, text = (one.eval() for one in networks[:3])
    side, width = unet.config.sample_size, unet.config.cross_attention_dim
    latent = torch.empty(1, 4, side, side, device=_META)
    states = torch.empty(1, TOKENS, width, device=_META)
    pixels = torch.empty(1, 3, workload.image_px, workload.image_px, device=_META)
    tokens = torch.zeros(1, TOKENS, dtype=torch.long, device=_META)
    timestep = torch.empty((), device=_META)
    return Operations(
        unet=_counted(lambda: unet(latent, timestep, encoder_hidden_states=states)),
        encode=_counted(lambda: vae.encode(pixels)),
        decode=_counted(lambda: vae.decode(latent)),
        text=_counted(lambda: text(tokens)),
    )


def _counted(run: Callable[[], Any]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def matrix_rate(clock: Clock, side: int, dtype: torch.dtype) -> float:
    """Return the operations a second of the product of two square random matrices.

    Random, not zeros: a card that multiplies zeros draws less power and runs faster.
    """
    first, second = (torch.randn(side, side, device=clock.device, dtype=dtype) for _ in range(2))
    seconds = clock.each(lambda: first @ second, _PRODUCTS)
    return 2 * side**3 / seconds


def copy_rate(clock: Clock, size_bytes: int) -> float:
    """Return the bytes a second, read and written, of a copy within the device."""
    source = torch.randint(0, 255, (size_bytes,), dtype=torch.uint8, device=clock.device)
    target = torch.empty_like(source)
    return 2 * size_bytes / clock.each(lambda: target.copy_(source), _PRODUCTS)
