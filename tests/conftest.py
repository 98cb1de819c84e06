"""Pictures for all tests; what may run beside what."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.support.services import SAMPLE_FACE


def _group(where: str) -> str:
    """Return what a test shares a process with: its file, and all of Ray's tests each other."""
    file = where.partition("::")[0]
    return "ray" if file.startswith(("tests/serve/", "tests/cluster/")) else file


class _ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Let each process take the next group when it has done one."""
    return _ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with Ray's tests, which take longest of all groups."""
    items.sort(key=lambda item: _group(item.nodeid) != "ray")


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
