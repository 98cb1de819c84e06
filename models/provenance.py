"""What is written into every image, and how it is read back (no torch).

Each file carries the facts twice. For people, the text that A1111 writes and that viewers and model
sites parse: the prompts, then a line of settings; in PNG as the text chunk `parameters`, in JPEG
and WebP as EXIF's UserComment. For machines, an XMP packet (`models/xmp.py`) that says that a model
made the image and holds all facts as JSON; only this is read back. Nothing of time, host, request
or replica is written, so equal requests give equal files.
"""

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from PIL import ExifTags, PngImagePlugin, TiffTags

from models import __version__
from models.interfaces import RGBPixels
from models.pixels import OutputFormat, encode
from models.xmp import packet, read_facts

SOFTWARE = f"Twinset {__version__}"
SAMPLER_NAMES: Mapping[str, str] = {
    "DDIMScheduler": "DDIM",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "EulerDiscreteScheduler": "Euler",
    "HeunDiscreteScheduler": "Heun",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PLMS",
    "UniPCMultistepScheduler": "UniPC",
}
"""A1111's name of a sampler, by diffusers' scheduler class; other classes keep their own name."""

ParameterValue = float | int | str | Sequence[float | int | str]

# EXIF 2.3, section 4.6.5: eight bytes that name the character code stand before the comment. Which
# byte order follows is left open there; A1111 and most readers take big endian.
_UNICODE_PREFIX = b"UNICODE\0"
# A1111's own words and order; all other parameters follow under their own names.
_SHOWN_AS = {"guidance_scale": "CFG scale", "strength": "Denoising strength"}
_SHOWN_APART = ("prompt", "negative_prompt", "num_inference_steps", *_SHOWN_AS)


@dataclass(frozen=True)
class Provenance:
    """Where one image comes from.

    Attributes:
        model: the true id of the weights.
        revision: of the weights.
        seed: of this image.
        parameters: all parameters of the set, resolved: numbers, texts, or lists of these.
        input: sha256, size and crop of the input picture.
        precision: that the model computed in.
        unet_calls: forward passes of the UNet.
        software: name and version of what made the image.
        scheduler: diffusers' name of its class; empty for a model that has none.
    """

    model: str
    revision: str
    seed: int
    parameters: Mapping[str, ParameterValue]
    input: Mapping[str, Any]
    precision: str = "float32"
    unet_calls: int = 0
    software: str = field(default=SOFTWARE)
    scheduler: str = ""

    def as_json(self) -> str:
        """Return the facts as ASCII JSON with sorted keys: equal facts, equal text.

        Raises:
            ValueError: a number is infinite or not a number, which JSON does not have.
        """
        return json.dumps(vars(self), sort_keys=True, allow_nan=False)

    def as_text(self, width_px: int, height_px: int) -> str:
        """Return the facts as A1111 writes them: prompt, negative prompt, one line of settings."""
        lines = [str(self.parameters.get("prompt", ""))]
        if self.parameters.get("negative_prompt"):
            lines.append(f"Negative prompt: {self.parameters['negative_prompt']}")
        settings = self._settings(f"{width_px}x{height_px}")
        lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in settings.items()))
        # For many readers the text ends at a NUL.
        return "\n".join(line for line in lines if line).replace("\0", "")

    def _settings(self, size: str) -> dict[str, str]:
        values: dict[str, Any] = {
            "Steps": self.parameters.get("num_inference_steps", 1),
            "Sampler": SAMPLER_NAMES.get(self.scheduler, self.scheduler),
            "CFG scale": self.parameters.get("guidance_scale", ""),
            "Seed": self.seed,
            "Size": size,
            "Model": self.model,
            "Denoising strength": self.parameters.get("strength", ""),
        }
        for name, value in self.parameters.items():
            if name not in _SHOWN_APART:
                values[name.replace("_", " ").capitalize()] = value
        values["Version"] = self.software
        texts = {name: _shown(value) for name, value in values.items()}
        return {name: text for name, text in texts.items() if text}


def encode_with_provenance(
    pixels: RGBPixels, output_format: OutputFormat, provenance: Provenance
) -> bytes:
    """Encode (H, W, 3) uint8 with its provenance inside; equal arguments give equal bytes.

    Raises:
        ValueError: the facts do not fit into a file (prompts of 2000 characters each do), or hold
            half a surrogate pair, or a number that is infinite or not a number.
    """
    height_px, width_px = pixels.shape[:2]
    text = provenance.as_text(width_px, height_px)
    xmp = packet(
        provenance.as_json(),
        model=provenance.model,
        revision=provenance.revision,
        software=provenance.software,
    )
    if output_format == "png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("parameters", text)  # tEXt, or iTXt where Latin-1 does not suffice
        chunks.add_itxt("XML:com.adobe.xmp", xmp)
        return encode(pixels, output_format, pnginfo=chunks)
    return encode(pixels, output_format, exif=_exif(text), xmp=xmp)


def read_provenance(data: bytes) -> Provenance | None:
    """Read back what `encode_with_provenance` wrote; None where there is nothing of ours.

    Takes any bytes and never raises: whatever is broken, foreign or of wrong types gives None.
    What a later version adds is ignored. Nothing proves that the facts are true: anybody can
    write them into a file.
    """
    text = read_facts(data)
    if text is None:
        return None
    try:
        facts = json.loads(text, parse_float=_finite, parse_constant=_finite)
        json.dumps(facts, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict):
        return None
    known: dict[str, Any] = {item.name: facts.get(item.name) for item in fields(Provenance)}
    return Provenance(**known) if _has_right_types(known) else None


def _exif(comment: str) -> bytes:
    """Return an EXIF block that holds a UserComment alone.

    Pillow would write the comment as numbers of one byte; common readers then find none.
    """
    data = _UNICODE_PREFIX + comment.encode("utf-16-be")
    # Two directories of one entry each (EXIF 2.3, section 4.6.2): count, tag, type, number of
    # values, value or where it stands, and that no directory follows.
    first = struct.pack(">HHHIII", 1, ExifTags.IFD.Exif, TiffTags.LONG, 1, 26, 0)
    tag = ExifTags.Base.UserComment
    second = struct.pack(">HHHIII", 1, tag, TiffTags.UNDEFINED, len(data), 44, 0)
    return b"Exif\0\0MM\0*\0\0\0\x08" + first + second + data


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _quoted(text: str) -> str:
    """Quote as A1111 does where a reader would otherwise cut the value short."""
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,:"\n]', text) else text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _has_right_types(facts: Mapping[str, Any]) -> bool:
    texts = ("model", "revision", "precision", "software", "scheduler")
    return (
        all(isinstance(facts[name], str) for name in texts)
        and all(type(facts[name]) is int for name in ("seed", "unet_calls"))  # True is no number
        and all(isinstance(facts[name], dict) for name in ("parameters", "input"))
        and all(_is_parameter(value) for value in facts["parameters"].values())
        and all(_is_input_fact(value) for value in facts["input"].values())
    )


def _is_parameter(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, (str, int, float)) for item in items)


def _is_input_fact(value: object) -> bool:
    items = value.values() if isinstance(value, dict) else [value]
    return all(_is_parameter(item) for item in items)
