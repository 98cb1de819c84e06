"""The law of a card that nobody has timed: arithmetic from the operations of the networks."""

from typing import Any

from models.roles import DIFFUSION, VAE

UNET_TFLOP = 0.803
"""Of one sample and call, 512 x 512 (401.6 GMAC)."""
DECODE_TFLOP, ENCODE_TFLOP = 2.5, 1.1
"""Of one image through Stable Diffusion's VAE."""
GUIDED = 2
"""Samples an image and call: with guidance the UNet sees each image twice."""
EXTRA_CALLS = 1
"""Of PNDM, the default scheduler, beyond the steps that were asked for."""
EFFICIENCY = 0.38
"""Share of a card's peak: the best published for batched PyTorch, on an A100."""
PEAK_TFLOPS = {"h100": 989.0}
"""Dense bf16 or fp16, as the maker states it for the SXM form."""
_ASSUMED_VAE = {"fixed_s": 0.01, "step_s": 0.0, "image_step_s": 0.0005, "image_s": 0.0}
_ASSUMED_JITTER = 0.02


def computed(card: str) -> dict[str, Any]:
    """Return the document of a law file, labelled as computed and with how it was."""
    speed = EFFICIENCY * PEAK_TFLOPS[card]
    diffusion = {
        "fixed_s": ENCODE_TFLOP / speed,
        "step_s": 0.0,
        "image_step_s": GUIDED * UNET_TFLOP / speed,
        "image_s": (DECODE_TFLOP + EXTRA_CALLS * GUIDED * UNET_TFLOP) / speed,
        "jitter": _ASSUMED_JITTER,
    }
    return {
        "kind": "computed",
        "device": f"{card}, a whole card for one replica",
        "note": "COMPUTED, not measured: nobody has timed these models on this card",
        "formula": {
            "speed": f"{EFFICIENCY} of {PEAK_TFLOPS[card]:g} TFLOP/s",
            "image_step_s": f"{GUIDED} x {UNET_TFLOP} TFLOP / speed",
            "image_s": f"({DECODE_TFLOP} + {EXTRA_CALLS} x {GUIDED} x {UNET_TFLOP}) TFLOP / speed",
            "fixed_s": f"{ENCODE_TFLOP} TFLOP / speed",
            "step_s": "0: the time to launch kernels is left out, which is too kind to small sets",
            "jitter": "assumed",
            VAE: "assumed: a small network, tens of milliseconds at most",
        },
        "laws": {VAE: {**_ASSUMED_VAE, "jitter": _ASSUMED_JITTER}, DIFFUSION: diffusion},
    }
