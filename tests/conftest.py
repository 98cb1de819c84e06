"""Pictures for all tests."""

from io import BytesIO

import pytest
from PIL import Image

from tests.support.services import SAMPLE_FACE


@pytest.fixture(scope="session")
def face() -> bytes:
    """Return the sample face, a PNG file."""
    return SAMPLE_FACE.read_bytes()


@pytest.fixture(scope="session")
def small_face(face: bytes) -> bytes:
    """Return the sample face at 128 px, a PNG file."""
    buffer = BytesIO()
    Image.open(BytesIO(face)).convert("RGB").resize((128, 128)).save(buffer, "PNG")
    return buffer.getvalue()
