"""What is written into every image, and how it is read back (no torch).

PNG carries two text chunks: `parameters`, the line that A1111's viewers show, and `twinset`, the
same facts as JSON. JPEG and WebP carry the JSON in EXIF's UserComment. Nothing of time, host,
request or replica is written, so equal requests give equal files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from models import __version__
from models.interfaces import RGBPixels
from models.pixels import INPUT_FORMATS, OutputFormat, encode

SOFTWARE = f"Twinset {__version__}"
_CHUNK = "twinset"
# EXIF 2.3, section 4.6.5: eight bytes that name the character code stand before the comment.
_UNICODE_PREFIX = b"UNICODE\0"


@dataclass(frozen=True)
class Provenance:
    """Where one image comes from.

    Attributes:
        model: the true id of the weights.
        revision: of the weights.
        seed: of this image.
        parameters: all parameters of the set, resolved.
        input: sha256, size and crop of the input picture.
        precision: that the model computed in.
        unet_calls: forward passes of the UNet.
        software: name and version of what made the image.
    """

    model: str
    revision: str
    seed: int
    parameters: Mapping[str, float | int | str]
    input: Mapping[str, Any]
    precision: str = "float32"
    unet_calls: int = 0
    software: str = field(default=SOFTWARE)

    def as_json(self) -> str:
        """Return the facts as JSON with sorted keys: equal facts, equal text."""
        return json.dumps(vars(self), sort_keys=True, ensure_ascii=False)

    def as_line(self) -> str:
        """Return the facts in A1111's format: prompt, negative prompt, then named settings."""
        rest = {k: v for k, v in self.parameters.items() if not k.endswith("prompt")}
        settings = {"Seed": self.seed, "Model": self.model, **rest, "Version": self.software}
        lines = [str(self.parameters.get("prompt", ""))]
        if self.parameters.get("negative_prompt"):
            lines.append(f"Negative prompt: {self.parameters['negative_prompt']}")
        lines.append(", ".join(f"{name}: {value}" for name, value in settings.items()))
        return "\n".join(line for line in lines if line)


def encode_with_provenance(
    pixels: RGBPixels, output_format: OutputFormat, provenance: Provenance
) -> bytes:
    """Encode (H, W, 3) uint8 with its provenance inside; equal arguments give equal bytes."""
    if output_format == "png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("parameters", provenance.as_line())
        chunks.add_itxt(_CHUNK, provenance.as_json())
        return encode(pixels, output_format, pnginfo=chunks)
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = provenance.software
    comment = _UNICODE_PREFIX + provenance.as_json().encode("utf-16-be")
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    return encode(pixels, output_format, exif=exif.tobytes())


def read_provenance(data: bytes) -> Provenance | None:
    """Read back what `encode_with_provenance` wrote; None where there is nothing of ours."""
    with Image.open(BytesIO(data), formats=INPUT_FORMATS) as image:
        text = image.info.get(_CHUNK)
        if text is None:
            comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
            text = _comment_text(comment)
    if not text:
        return None
    facts = json.loads(text)
    return Provenance(**facts) if isinstance(facts, dict) and "model" in facts else None


def _comment_text(comment: object) -> str:
    if not isinstance(comment, bytes) or not comment.startswith(_UNICODE_PREFIX):
        return ""
    return comment.removeprefix(_UNICODE_PREFIX).decode("utf-16-be", errors="replace")
