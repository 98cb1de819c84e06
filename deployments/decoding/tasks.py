"""What a decoding worker can be asked for: each takes bytes, and returns JSON and bytes."""

from collections.abc import Callable
from typing import Any

from deployments.decoding.bodies import form_body, json_body
from deployments.errors import InvalidRequestError
from models.pixels import (
    Crop,
    PictureLimits,
    UnusablePictureError,
    has_picture_header,
    read_square,
)
from models.provenance import read_provenance

Made = tuple[dict[str, Any], list[bytes]]


def square(data: bytes, limits: dict[str, Any], crop: list[int] | None) -> Made:
    """Return the facts of a `SquarePicture`, and its pixels.

    Raises:
        InvalidRequestError: the picture, or the crop, cannot be used.
    """
    try:
        made = read_square(data, PictureLimits(**limits), None if crop is None else Crop(*crop))
    except UnusablePictureError as error:
        param = "crop" if str(error).startswith("crop") else "image"
        raise InvalidRequestError(str(error), param=param) from error
    return {**made.facts(), "side": len(made.pixels)}, [made.pixels.tobytes()]


def inspect(data: bytes) -> Made:
    """Return what a file says of where it comes from, and whether it is a picture at all."""
    provenance = read_provenance(data)
    told = None if provenance is None else vars(provenance)
    return {"provenance": told, "is_picture": has_picture_header(data)}, []


TASKS: dict[str, Callable[..., Made]] = {
    "square": square,
    "inspect": inspect,
    "form": form_body,
    "json": json_body,
}
