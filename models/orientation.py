"""Which way up a picture is, by its EXIF block, and where a square of it is stored (no torch)."""

from PIL import ExifTags, Image

UPRIGHT = 1
_TURNS = {  # EXIF 2.3, tag 274
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)
_COLUMNS_MIRRORED = (2, 3, 7, 8)
_ROWS_MIRRORED = (3, 4, 6, 7)


def orientation_of(image: Image.Image) -> int:
    """Return a picture's EXIF orientation, 1 to 8; one that cannot be read counts as upright.

    Not Pillow's `exif_transpose`: that writes the EXIF block anew and fails on a broken one.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever a broken block makes Pillow raise
        return UPRIGHT
    return orientation if isinstance(orientation, int) and orientation in _TURNS else UPRIGHT


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Return width and height of a stored picture once it is turned."""
    return (height, width) if orientation in _ON_ITS_SIDE else (width, height)


def stored_corner(
    x: int, y: int, side: int, stored_size: tuple[int, int], orientation: int
) -> tuple[int, int]:
    """Return left and top, in the stored picture, of a square of the upright one."""
    width, height = stored_size
    if orientation in _ON_ITS_SIDE:
        x, y = y, x
    left = width - x - side if orientation in _COLUMNS_MIRRORED else x
    top = height - y - side if orientation in _ROWS_MIRRORED else y
    return left, top


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture, or a square of it, upright."""
    method = _TURNS.get(orientation)
    return image if method is None else image.transpose(method)
