"""Pictures for all tests; what may run beside what."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.support.services import SAMPLE_FACE

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests together where several processes run them, and all of Ray's in one."""
    for item in items:
        where = item.path.relative_to(HERE)
        group = "ray" if where.parts[0] in ("serve", "cluster") else str(where)
        item.add_marker(pytest.mark.xdist_group(group))


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
