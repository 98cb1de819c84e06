"""The whole of `make gpu-check` on the card at hand: everything that it has to show holds."""

import pytest
import torch

from benchmarks.gpu.__main__ import main
from benchmarks.paths import ROOT

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.mark.timeout(600)
def test_everything_that_the_check_has_to_show_holds() -> None:
    assert main(["--out", str(ROOT / "out" / "gpu-check")]) == 0
