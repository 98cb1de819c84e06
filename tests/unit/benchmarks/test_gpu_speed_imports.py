"""The GPU benchmark runs where there is no Ray, no web framework, no NVML and no plotting."""

import subprocess
import sys

import pytest

from benchmarks.paths import ROOT

MODULES = sorted(
    f"benchmarks.gpu_speed.{path.stem}" for path in (ROOT / "benchmarks/gpu_speed").glob("*.py")
)
# Not yaml: the hub's own library, on which transformers stands, needs it.
BLOCKED = ("ray", "pydantic", "pynvml", "fastapi", "starlette", "psutil", "matplotlib", "skimage")
CODE = f"""
import importlib, sys

for name in {BLOCKED!r}:
    sys.modules[name] = None  # an import of it fails, and whoever looks for it finds nothing
for name in {MODULES!r}:
    importlib.import_module(name)
from benchmarks.gpu_speed.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def _blocks() -> bool:
    code = CODE.partition("for name in ['benchmarks")[0] + "import ray"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return "ModuleNotFoundError" in done.stderr


@pytest.mark.slow
def test_it_needs_no_more_than_torch_transformers_and_diffusers(tmp_path: object) -> None:
    assert _blocks()
    arguments = ["--tiny", "--repetitions", "1", "--out", str(tmp_path), "--only", "half_set"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "| half_set | eager | 1 |" in done.stdout
    assert "no plot" in done.stdout
