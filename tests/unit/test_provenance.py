"""What is written into an image comes back out of it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from models.pixels import encode
from models.provenance import Provenance, encode_with_provenance, read_provenance

PROVENANCE = Provenance(
    model="demo-diffusion",
    revision="sha256:00",
    seed=11,
    parameters={"prompt": "a face, naïve 😀", "negative_prompt": "hat", "strength": 0.5},
    input={"sha256": "ab", "width": 3, "height": 4, "crop": {"x": 0, "y": 0, "side": 3}},
    unet_calls=12,
)
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("output_format", ["png", "webp", "jpeg"])
def test_every_format_carries_it_and_repeats_its_bytes(output_format: str) -> None:
    data = encode_with_provenance(PIXELS, output_format, PROVENANCE)
    assert read_provenance(data) == PROVENANCE
    assert encode_with_provenance(PIXELS, output_format, PROVENANCE) == data


def test_png_shows_the_line_that_viewers_read() -> None:
    data = encode_with_provenance(PIXELS, "png", PROVENANCE)
    line = Image.open(BytesIO(data)).info["parameters"]
    assert line.startswith(
        "a face, naïve 😀\nNegative prompt: hat\nSeed: 11, Model: demo-diffusion"
    )


def test_a_picture_of_somebody_else_has_none() -> None:
    assert read_provenance(encode(PIXELS, "png")) is None
    assert read_provenance(encode(PIXELS, "jpeg")) is None
