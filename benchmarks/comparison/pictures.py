"""Pictures as files (Pillow alone): what servers without a model of their own need, too."""

import base64
from io import BytesIO

from PIL import Image

from benchmarks.comparison.job import SIDE_PX


def opened(picture: bytes) -> Image.Image:
    """Return an encoded picture as RGB at the model's side."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    return image.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def png(image: Image.Image, **options: int) -> bytes:
    """Return an image as a PNG file; with Pillow's defaults unless options say otherwise."""
    buffer = BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def png_in_base64(image: Image.Image) -> str:
    """Return an image as a PNG file in base64, at the quick level that an expert chooses."""
    return base64.b64encode(png(image, compress_level=1)).decode()
