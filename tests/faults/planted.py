"""Pictures and words that can be recognised wherever they turn up again."""

import base64
import secrets
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

_MARKER_BYTES = 64
# Long enough that diffusers and transformers cut it, and would say what they cut.
_FILLER = "a portrait of a person in the evening light before a wall of old bricks " * 12


@dataclass
class Planted:
    """What one run hides in its requests.

    Attributes:
        marker: random bytes inside the pictures.
        word: in the prompts, at the start and past the 77 tokens that a model reads.
        name: in the names of files.
        secrets: further texts that must turn up nowhere, such as keys.
    """

    marker: bytes = field(default_factory=lambda: secrets.token_bytes(_MARKER_BYTES))
    word: str = field(default_factory=lambda: f"zq{secrets.token_hex(8)}")
    name: str = field(default_factory=lambda: f"fn{secrets.token_hex(8)}")
    secrets: list[str] = field(default_factory=list)

    @property
    def prompt(self) -> str:
        """A prompt that is too long for a model."""
        return f"{self.word} {_FILLER} {self.word}"

    def needles(self) -> dict[str, bytes]:
        """Return what to look for, by name: as it was sent, in base64, as a log would show it."""
        found = {
            "the prompt": self.word.encode(),
            "the prompt in UTF-16": self.word.encode("utf-16-le"),
            "a file's name": self.name.encode(),
            # A part of it: a copy that was cut is found, too.
            "the picture": self.marker[8:40],
            "the picture, escaped": repr(self.marker[8:40])[2:-1].encode(),
            "the picture in hexadecimal": self.marker[8:40].hex().encode(),
        }
        for shift in range(3):  # where it stands in the file decides how base64 shows it
            found[f"the picture in base64, {shift}"] = _base64_core(self.marker, shift)
            found[f"the prompt in base64, {shift}"] = _base64_core(self.word.encode(), shift)
        return found | {f"secret {one[:4]}": one.encode() for one in self.secrets}

    def pictures(self) -> dict[str, bytes]:
        """Return pictures that hold the marker in different places, by what they are."""
        return {
            "png text": self._png(128, in_text=True),
            "png pixels": self._png(128),
            "png over 1 MB": self._png(640),
            "png over 5 MB": self._png(1400),
            "jpeg comment": self._jpeg(),
            "no picture at all": b"not a picture " + self.marker * 20_000,
            "a broken png": self._png(128, in_text=True)[:-200],
        }

    def _png(self, side_px: int, in_text: bool = False) -> bytes:
        pixels = np.full((side_px, side_px, 3), 127, np.uint8)
        row = np.frombuffer(self.marker * (side_px * 3 // _MARKER_BYTES), np.uint8)
        if not in_text:
            pixels.reshape(side_px, -1)[:, : len(row)] = row
        text = PngInfo()
        if in_text:
            text.add_text("comment", self.marker.decode("latin-1"))
        buffer = BytesIO()
        # Not compressed: the marker stands in the file as it is.
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=0, pnginfo=text)
        return buffer.getvalue()

    def _jpeg(self) -> bytes:
        buffer = BytesIO()
        grey = Image.new("RGB", (128, 128), (127, 127, 127))
        grey.save(buffer, "JPEG", comment=self.marker)
        return buffer.getvalue()


def _base64_core(content: bytes, shift: int) -> bytes:
    """Return what base64 shows of bytes that stand `shift` bytes after a multiple of three."""
    encoded = base64.b64encode(b"\0" * shift + content)
    return encoded[4 if shift else 0 : (shift + len(content)) // 3 * 4]
