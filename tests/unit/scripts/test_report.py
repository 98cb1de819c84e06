"""The report's figures are pictures of its numbers, its page stands alone."""

import base64
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts import report
from scripts.report_answers import Answers, ReportError
from scripts.report_figures import (
    Drawing,
    _column_labels,
    diversity_chart,
    draw_all,
    set_of_images,
    sharpness_chart,
    sweep_grid,
)
from scripts.report_findings import Findings, read_findings, sharpness
from scripts.report_page import render
from scripts.report_style import LIGHT

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = '<script>alert("x")</script> $\\frac{1}{0}$ </pre> {{ 7 * 7 }}'


def _png(side_px: int, seed: int, noise: int) -> str:
    pixels = np.random.default_rng(seed).integers(128 - noise, 128 + noise, (side_px, side_px, 3))
    buffer = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _set(sharp_value: float, **more: Any) -> dict[str, Any]:
    metrics = {"pairwise_rmse": 0.1, "input_rmse": 0.09, "laplacian_variance": sharp_value}
    return {
        "status": "ok",
        "model": "made-up",
        "revision": "r1",
        "simulated": False,
        "timings_ms": {"model": 100.0},
        "unet_calls": 14,
        "metrics": metrics,
        "notes": ["a note"],
        **more,
    }


def _card(role: str) -> dict[str, Any]:
    return {
        "role": role,
        "device": "cpu",
        "precision": "float32",
        "image_size_px": 64,
        "licence": "Apache-2.0",
        "scheduler": "SomeScheduler",
        "demo": False,
    }


def _answers(prompt: str = "a face", factor: float = 7.0, first_seed: int = 7) -> Answers:
    seeds = [(first_seed + k) % 2**32 for k in range(10)]
    pairs = [
        {
            "index": k,
            "seed": seed,
            "vae": {"status": "ok", "b64_json": _png(50, k, 20)},
            "stable_diffusion": {"status": "ok", "b64_json": _png(64, 100 + k, 90)},
        }
        for k, seed in enumerate(seeds)
    ]
    pairs[3]["stable_diffusion"] = {"status": "filtered", "b64_json": None}
    parameters = {
        "seeds": seeds,
        "diversity_factor": factor,
        "prompt": prompt,
        "negative_prompt": "",
        "strength": 0.6,
        "guidance_scale": 7.5,
        "num_inference_steps": 20,
    }
    crop = {"x": 0, "y": 16, "side": 80}  # not the centre
    common = {"created": 1790000000, "parameters": parameters}
    common["input"] = {"sha256": "ab" * 32, "width": 80, "height": 96, "crop": crop}
    images = [{**pair["vae"], "index": k, "seed": seeds[k]} for k, pair in enumerate(pairs)]
    limits = {"max_bytes": 10**6, "min_side_px": 64, "max_side_px": 999, "max_pixels": 10**6}
    return Answers(
        models={
            "data": [_card("vae"), _card("stable_diffusion")],
            "limits": {**limits, "max_aspect": 4.0},
        },
        reconstruction={**common, "pairs": pairs[:1], "sets": {"vae": _set(0.0004)}},
        pairs={**common, "pairs": pairs, "sets": {"vae": _set(0.1), "stable_diffusion": _set(0.3)}},
        sweep={
            **common,
            "sets": [
                {**_set(0.1), "diversity_factor": float(step), "images": images}
                for step in range(1, 11)
            ],
        },
        seconds={"pairs": 1.0},
    )


def _picture() -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").resize((80, 96)).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def findings() -> Findings:
    return read_findings(_answers(), _picture())


@pytest.fixture(scope="module")
def drawings(findings: Findings) -> dict[str, Drawing]:
    return draw_all(findings)


def _decoded(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(file)).convert("RGBA"))


def test_figures_are_pictures_of_their_size_and_all_different(
    drawings: dict[str, Drawing],
) -> None:
    widths = {name: _decoded(one.light).shape[1] for name, one in drawings.items()}
    assert widths["sweep-grid"] > 1200
    assert widths["sweep-diversity"] == widths["sweep-distance"] == 960
    assert min(widths.values()) > 900
    assert len({one.light for one in drawings.values()}) == 8
    for name in ("sweep-diversity", "sweep-distance", "sharpness"):
        light, dark = drawings[name].light, drawings[name].dark
        assert dark is not None
        assert _decoded(light).mean() > 200
        assert _decoded(dark)[..., :3].mean() < 60


def test_the_grid_has_the_sets_own_pixels_in_its_tiles(
    findings: Findings, drawings: dict[str, Drawing]
) -> None:
    sheet = _decoded(drawings["sweep-grid"].light)
    tile = findings.sweep[1.0].tiles[9].pixels
    assert tile is not None
    shown = Image.fromarray(tile).resize((135, 135), Image.Resampling.LANCZOS)
    corner = sheet[81 : 81 + 135, -135:, :3].astype(int)  # row of factor 1, last seed
    assert np.abs(corner - np.asarray(shown)).max() <= 2


def test_charts_move_with_the_numbers(findings: Findings, drawings: dict[str, Drawing]) -> None:
    numbers = findings.numbers
    diffusion = replace(numbers.diffusion, pairwise_rmse=0.02)
    moved = replace(findings, numbers=replace(numbers, diffusion=diffusion))
    assert diversity_chart(moved, LIGHT) != drawings["sweep-diversity"].light
    assert sharpness_chart(moved, LIGHT) == drawings["sharpness"].light  # equal, to the byte


def _page(findings: Findings, drawings: dict[str, Drawing]) -> str:
    return render(findings, drawings, {"libraries": "none"}, "python -m scripts.report", 1790000000)


class _Sources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = ("src", "srcset", "href", "data", "action")
        self.sources += [value or "" for name, value in attrs if name in names]
        assert not any(name.startswith("on") for name, _ in attrs)


def test_the_page_holds_everything_and_runs_nothing(
    findings: Findings, drawings: dict[str, Drawing]
) -> None:
    page = _page(findings, drawings)
    parsed = _Sources()
    parsed.feed(page)
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    assert len(parsed.sources) == 11  # eight figures, three of them also dark
    for source in parsed.sources:
        file = base64.b64decode(source.removeprefix("data:image/webp;base64,"))
        assert Image.open(BytesIO(file)).width > 900
    assert not re.search(r"url\(|@import|https?://", page)


def test_the_embedded_figures_are_the_files(
    findings: Findings, drawings: dict[str, Drawing]
) -> None:
    found = re.search(r'<img src="data:image/webp;base64,([^"]+)"', _page(findings, drawings))
    assert found
    embedded = _decoded(base64.b64decode(found[1]))
    assert np.array_equal(embedded, _decoded(drawings["input-and-reconstruction"].light))


@pytest.fixture(scope="module")
def small(drawings: dict[str, Drawing]) -> dict[str, Drawing]:
    """Return drawings of the same names that are quick to embed."""
    file = base64.b64decode(_png(8, 0, 9))
    return {name: Drawing(file, file if one.dark else None) for name, one in drawings.items()}


def test_hostile_text_stays_text(small: dict[str, Drawing]) -> None:
    hostile = read_findings(_answers(prompt=HOSTILE), _picture())
    page = _page(hostile, small)
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)" in page
    assert "{{ 7 * 7 }}" in page


def test_the_page_names_the_chosen_factor_and_what_made_it(
    findings: Findings, small: dict[str, Drawing]
) -> None:
    page = _page(findings, small)
    assert "7, served default" in page
    assert "SomeScheduler" in page
    assert "ab" * 32 in page
    assert "A note." in page
    assert "the same pixels" in page  # the made-up sweep repeats the paired set
    between = read_findings(_answers(factor=6.5), _picture())
    other = _page(between, small)
    assert "served default</th>" not in other
    assert "lies between the rows, as 6.5 does" in other


def test_long_seeds_and_missing_images_can_be_drawn() -> None:
    odd = read_findings(_answers(first_seed=2**32 - 3), _picture())
    assert odd.diffusion.tiles[3].pixels is None
    assert odd.diffusion.tiles[3].status == "filtered"
    assert _decoded(set_of_images(odd.diffusion)).shape == _decoded(set_of_images(odd.vae)).shape
    assert _column_labels([tile.seed for tile in odd.vae.tiles]) == (
        "seed: 4294967293 +",
        [str(k) for k in range(10)],
    )
    sweep_grid(odd)


def test_the_input_is_the_crop_and_its_sharpness_is_the_services_measure(
    findings: Findings,
) -> None:
    whole = np.asarray(Image.open(BytesIO(_picture())))
    assert np.array_equal(findings.face, whole[16:])
    assert findings.numbers.input_sharpness == sharpness(findings.face)


def test_an_answer_of_another_version_gets_a_sentence() -> None:
    answers = _answers()
    del answers.pairs["sets"]["vae"]["metrics"]
    with pytest.raises(ReportError, match="not of this version"):
        read_findings(answers, _picture())


# The command


def test_the_command_that_is_shown_holds_no_folder_address_or_key(tmp_path: Path) -> None:
    face = tmp_path / "my face.jpg"
    config = ROOT / "configs" / "demo.yaml"
    asked = report.Wish(face, tmp_path, config, 0, 9, "http://somewhere:1", "secret")
    assert asked.command() == "python -m scripts.report --face 'my face.jpg' --seed 9"
    served = report.Wish(report.SAMPLE_FACE, tmp_path, config, 1, 9)
    assert served.command().endswith(
        "--face models/demo/weights/sample-face.png --seed 9 --config configs/demo.yaml "
        "--num-gpus 1"
    )


def test_ray_is_not_loaded_before_its_environment_is_set() -> None:
    code = "import sys, scripts.report; sys.exit(bool({'ray', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_an_unreadable_face_is_named_before_anything_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.report", "--face", str(tmp_path / "none.jpg")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot read" in done.stderr
    assert "FACE=path.jpg" in done.stderr
