"""Compiled for a few sizes before the first request, and never during one."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.parameters import ImageToImageParameters
from models.stable_diffusion.checkpoint import load_stable_diffusion
from models.stable_diffusion.compilation import SizedCall, check_toolchain, keep_compiled
from tests.unit.stable_diffusion.conftest import face

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).resolve().parents[3]


class _Compiler:
    """A backend of `torch.compile` that compiles nothing, and counts for which sizes it was asked.

    What it returns runs the graph that it got, and adds one to the result to be told apart.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, graph: Any, inputs: Any) -> Any:
        batches = [one for one in inputs if not isinstance(one, nn.Parameter) and one.dim() == 4]
        self.sizes += [len(one) for one in batches]
        return lambda *arguments: tuple(one + 1.0 for one in graph(*arguments))


def _call(batches: set[int]) -> tuple[SizedCall, _Compiler, nn.Module]:
    torch._dynamo.reset()
    module = nn.Conv2d(3, 3, 1).eval()
    compiler = _Compiler()
    compiled = torch.compile(module, backend=compiler, dynamic=False)
    return SizedCall(module, compiled, batches, torch.channels_last), compiler, module


def _same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return torch.allclose(ours, theirs, atol=1e-4)


@torch.inference_mode()
def test_a_size_is_compiled_once_whatever_layout_it_comes_in_and_others_never() -> None:
    call, compiler, module = _call({4, 6})
    for size in (4, 5, 6, 4, 1, 6, 5):
        batch = torch.randn(size, 3, 8, 8)
        for layout in (torch.contiguous_format, torch.channels_last):
            ran_compiled = not _same(call(batch.contiguous(memory_format=layout)), module(batch))
            assert ran_compiled == (size in {4, 6})
    assert compiler.sizes == [4, 6]


@torch.inference_mode()
def test_what_would_have_to_be_compiled_again_runs_as_it_is() -> None:
    call, compiler, module = _call({4})
    call(torch.randn(4, 3, 8, 8))
    larger = torch.randn(4, 3, 16, 16)
    assert _same(call(larger), module(larger))
    assert compiler.sizes == [4]


def test_the_cache_is_a_directory_of_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    kept = keep_compiled(str(tmp_path / "a" / "cache"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(kept)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keep_compiled(None) == tmp_path / ".cache" / "twinset" / "compile"
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("which", "mode"), [("cache", 0o777), ("cache", 0o770), (".", 0o777)])
def test_compiled_code_is_not_taken_from_where_others_can_write(
    tmp_path: Path, which: str, mode: int
) -> None:
    cache = tmp_path / "shared" / "cache"
    cache.mkdir(parents=True)
    (tmp_path / "shared" / which).chmod(mode)
    with pytest.raises(ValueError, match=r"others than this user can write"):
        keep_compiled(str(cache))


@pytest.mark.parametrize(
    ("device", "package"), [("cuda", "apt install gcc"), ("cpu", r"apt install g\+\+")]
)
def test_without_a_compiler_compile_is_refused_with_the_package(
    monkeypatch: pytest.MonkeyPatch, device: str, package: str
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match=package):
        check_toolchain(torch.device(device))


def test_without_pythons_headers_compile_is_refused_with_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", sys.executable)  # whatever: it is there
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(ValueError, match=r"apt install python3\.\d+-dev"):
        check_toolchain(torch.device("cuda"))
    (tmp_path / "Python.h").touch()
    check_toolchain(torch.device("cuda"))


def test_a_cache_that_cannot_be_made_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"compile_cache is .*file/cache.* cannot be made"):
        load_stable_diffusion(
            str(tmp_path / "nothing"),
            device="cpu",
            compile="default",
            compile_cache=str(tmp_path / "file" / "cache"),
        )


def _start(directory: Path, cache: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.unit.stable_diffusion.compiled_start"]
    done = subprocess.run(
        [*command, str(directory), str(cache)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    facts: dict[str, Any] = json.loads(done.stdout.split("FACTS ")[1])
    return facts


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_pixels_are_the_same_and_the_second_start_finds_them_compiled(
    tiny_directory: Path, tmp_path: Path
) -> None:
    first, second = (_start(tiny_directory, tmp_path / "cache") for _ in range(2))
    sys.stdout.write(f"{first}\n{second}\n")  # shown by `pytest -s`
    for facts in (first, second):
        assert facts["compiled_images"] == [2]
        for size in ("guided 2", "guided 3", "guided 1", "unguided 4"):
            assert facts[size][0] <= 1, size
        calls = facts["guided 2"][1]
        assert facts["guided 2"][2] == calls + 1, "the UNet each step, and the decoder"
        assert facts["guided 3"][2] == facts["guided 1"][2] == 0
        assert facts["unguided 4"][2] == facts["unguided 4"][1]
        assert facts["graphs"] == [2, 2], "something was compiled after the start"
    assert first["cache_hits"] == 0
    assert second["cache_hits"] == 2
    assert second["load_s"] < first["load_s"] / 2


def test_the_unet_is_one_graph_a_size_and_never_compiled_again(
    tiny_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the graphs of torch's own compiler, but run as they are: compiling takes a minute."""
    sizes, ran = [], []

    def compiler(graph: Any, inputs: Any) -> Any:
        sizes.append(next(len(one) for one in inputs if one.dim() == 4 and one.shape[1] == 4))

        def run(*arguments: Any) -> Any:
            ran.append(len(arguments[0]))
            return graph(*arguments)

        return run

    def compile_as_it_is(function: Any, mode: str, **options: Any) -> Any:
        return real_compile(function, backend=compiler, **options)

    torch._dynamo.reset()
    real_compile = torch.compile
    monkeypatch.setattr(torch, "compile", compile_as_it_is)
    options: dict[str, Any] = {"device": "cpu", "image_size_px": 32, "channels_last": True}
    with monkeypatch.context() as patched:
        patched.setattr("models.stable_diffusion.tuning.compiled_decode", lambda vae, *_: None)
        model: Any = load_stable_diffusion(
            str(tiny_directory), compile="default", compiled_images=(1, 2), **options
        )
    assert sorted(sizes) == [2, 4], "one graph a size, of which each image is seen twice"
    plain: Any = load_stable_diffusion(str(tiny_directory), **options)
    ran.clear()
    calls = 0
    asked = [("a face", 0.8, 5), ("a long face with a hat and a beard", 0.5, 9), ("", 1.0, 3)]
    for prompt, strength, steps in asked:
        parameters = ImageToImageParameters(prompt, "a hat", strength, 7.5, steps)
        for count in (1, 2, 3):
            made = model.generate(face(32), range(count), parameters)
            expected = plain.generate(face(32), range(count), parameters)
            assert np.abs(made.pixels.astype(int) - expected.pixels).max() <= 1
            calls += made.unet_calls if count < 3 else 0
    assert len(ran) == calls, "each call of a compiled size runs compiled, no other does"
    assert sorted(sizes) == [2, 4], "something was compiled after the start"
