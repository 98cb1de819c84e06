"""What an image file says of itself, read as any viewer would: with Pillow, and no code of ours.

PNG carries the line that A1111's viewers read as the text chunk `parameters`, JPEG and WebP as
EXIF's UserComment; all of them an XMP packet that marks the picture as made by a model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import ExifTags, Image

UNICODE_PREFIX = b"UNICODE\0"
SOURCE_TYPES = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")


@dataclass(frozen=True)
class Marks:
    """The texts inside one file; empty where there is none."""

    parameters: str = ""
    xmp: str = ""


def read_marks(image: Image.Image) -> Marks:
    """Return the texts of a picture that was loaded to its end."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or ""
    parameters = image.info.get("parameters") or read_comment(image)
    return Marks(as_text(parameters), as_text(xmp))


def read_comment(image: Image.Image) -> str:
    """Return EXIF's UserComment, as EXIF 2.3 (4.6.5) and A1111's viewers write it."""
    comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
    if isinstance(comment, bytes) and comment.startswith(UNICODE_PREFIX):
        return comment.removeprefix(UNICODE_PREFIX).decode("utf-16-be", errors="replace")
    return as_text(comment)


def as_text(value: object) -> str:
    """Return text, decoded where it is bytes; "" for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value if isinstance(value, str) else ""


def describe_fault(marks: Marks, seed: int, model: object, input_sha256: str | None) -> str | None:
    """Say what is wrong with the marks of one image, or None where all is well.

    `model` is what the answer calls the model of the set; `input_sha256` the digest of the file
    that was sent.
    """
    if not marks.parameters:
        return "carries no parameters"
    if (stated := setting(marks.parameters, "Seed")) != str(seed):
        return f"says seed {stated} instead of {seed}"
    if isinstance(model, str) and (stated := setting(marks.parameters, "Model")) != model:
        return f"says model {stated} instead of {model}"
    if not any(f"/{kind}<" in marks.xmp or f'/{kind}"' in marks.xmp for kind in SOURCE_TYPES):
        return "is not marked as made by a model (XMP)"
    if input_sha256 and input_sha256 not in marks.xmp:
        return "does not name the input's digest (XMP)"
    return None


def setting(parameters: str, name: str) -> str | None:
    """Return one setting of A1111's last line, such as `Seed: 7`; the prompt stands before it."""
    found = re.findall(rf'(?:^|, ){name}: (?:"([^"]*)"|([^,\n]*))', parameters.rpartition("\n")[2])
    return found[-1][0] or found[-1][1] if found else None
