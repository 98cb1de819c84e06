"""The GPU benchmark, tried on the CPU with a tiny model; its figures on a card are unmeasured."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu_speed.__main__ import main
from benchmarks.gpu_speed.cells import CELLS
from benchmarks.gpu_speed.floor import count_operations
from benchmarks.gpu_speed.gaps import union_s
from benchmarks.gpu_speed.predictions import PREDICTIONS
from benchmarks.gpu_speed.race import likeness, psnr_db
from benchmarks.gpu_speed.random_model import RandomModel
from benchmarks.gpu_speed.report import FILE
from benchmarks.gpu_speed.variant import Variant
from benchmarks.gpu_speed.workload import FULL, TINY
from benchmarks.paths import ROOT
from tests.unit.benchmarks.gpu_speed_runs import read

pytestmark = pytest.mark.usefixtures("one_thread")

ONCE = ["--tiny", "--repetitions", "1"]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the directory and the output of a trial, run as a user runs it."""
    directory = tmp_path_factory.mktemp("gpu-speed")
    chosen = ["card", "eager_float16", "gaps_float16", "quality", "attention_sets", "many_images"]
    command = [sys.executable, "-m", "benchmarks.gpu_speed", *ONCE, "--out", str(directory)]
    done = subprocess.run(
        [*command, "--only", *chosen], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return directory, done.stdout


@pytest.mark.slow
def test_a_trial_times_every_way_to_make_a_set_and_counts_its_passes(
    tried: tuple[Path, str],
) -> None:
    arms = read(tried[0])["cells"]["eager_float16"]["figures"]
    counted = {name: (one["unet_calls"], one["encoder_calls"]) for name, one in arms.items()}
    images, calls = TINY.images, TINY.unet_calls
    assert counted == {
        "notebook": (images * calls, images),
        "diffusers": (calls, images),
        "eager": (calls, 1),
        "channels_last": (calls, 1),
    }
    assert all(one["median_s"] > 0 for one in arms.values())
    # A round of half precision apart, and with contrast enough that another picture would show.
    assert all(one["equal"] or one["psnr_db"] > 40 for one in arms.values() if "against" in one)
    assert arms["eager"]["reference_std"] > 20


@pytest.mark.slow
def test_a_trial_measures_precision_and_where_the_time_goes(tried: tuple[Path, str]) -> None:
    cells_ = read(tried[0])["cells"]
    quality = cells_["quality"]["figures"]
    assert (
        10
        < quality["ours against float32, bfloat16"]["psnr_db"]
        < quality["ours against float32, float16"]["psnr_db"]
        < 70
    )
    eager = cells_["gaps_float16"]["figures"]["eager"]
    assert eager["busy_s"] > 0
    assert set(eager["spans_s"]) == {"unet", "encode", "decode"}
    assert eager["non_gpu_s"] == pytest.approx(
        eager["wall_s"] - eager["busy_s"] + eager["png_4_threads_s"]
    )


@pytest.mark.slow
def test_an_arm_that_fails_is_written_down_with_its_sentence_and_the_others_go_on(
    tried: tuple[Path, str],
) -> None:
    cell = read(tried[0])["cells"]["attention_sets"]
    assert "backend" in cell["figures"]["cudnn"]["error"]  # a CPU has none of cuDNN's
    assert cell["figures"]["math"]["median_s"] > 0
    assert cell["status"] == "measured"
    assert "| attention_sets | cudnn | RuntimeError: " in tried[1]


@pytest.mark.slow
def test_the_table_shows_card_date_and_each_prediction_beside_what_was_measured(
    tried: tuple[Path, str],
) -> None:
    report, out = read(tried[0]), tried[1]
    eager = report["cells"]["eager_float16"]["figures"]["eager"]
    assert out.startswith(f"no GPU: the CPU, {report['measured'][:10]}")
    assert f"| eager_float16 | eager | {TINY.images} | {eager['median_s']:.3f} |" in out
    ratio = eager["median_s"] / 1.8
    row = f"| eager_float16: eager/median_s | 1.8 s | {eager['median_s']:.3g} | {ratio:.2f} |"
    assert row in out
    assert "| compile_default: compiled/median_s | 1.4 s | unmeasured |  |" in out
    assert [one["value"] for one in report["predictions"]] == [one.value for one in PREDICTIONS]


@pytest.mark.slow
def test_a_report_is_shown_again_without_a_gpu(
    tried: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / FILE
    copy.write_text((tried[0] / FILE).read_text())
    assert main(["--replot", str(copy)]) == 0
    before = tried[1].splitlines()[:-1]  # the last line names the files
    assert capsys.readouterr().out.splitlines()[:-1] == before
    assert (tmp_path / "gpu_speed.png").stat().st_size > 5000


@pytest.mark.slow
def test_resume_measures_what_is_missing_and_keeps_the_rest(
    tried: tuple[Path, str], tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text((tried[0] / FILE).read_text())
    before = read(tmp_path)["cells"]
    arguments = [*ONCE, "--out", str(tmp_path), "--resume"]
    assert main([*arguments, "--only", "eager_float16", "half_set"]) == 0
    after = read(tmp_path)["cells"]
    assert after.pop("half_set")["status"] == "measured"
    assert after == before


@pytest.mark.slow
def test_resume_refuses_figures_of_another_card(
    tried: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = read(tried[0])
    facts["machine"]["card"] = "another card"
    (tmp_path / FILE).write_text(json.dumps(facts))
    assert main([*ONCE, "--out", str(tmp_path), "--resume", "--only", "card"]) == 1
    assert "was measured on another card" in capsys.readouterr().err
    assert read(tmp_path) == facts


def test_full_size_takes_the_operations_that_are_known() -> None:
    operations = count_operations(FULL)
    assert operations.unet / 1e12 == pytest.approx(0.803, rel=0.02)
    assert operations.decode / 1e12 == pytest.approx(2.5, rel=0.02)
    assert operations.encode / 1e12 == pytest.approx(1.1, rel=0.02)
    assert operations.of_set(10, FULL.unet_calls) / 1e12 == pytest.approx(526, rel=0.02)
    assert FULL.unet_calls == 31


def test_peak_signal_to_noise_ratio() -> None:
    black = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    assert psnr_db(black, black) is None
    assert psnr_db(black, black + 255) == pytest.approx(0)
    assert psnr_db(black, black + 1) == pytest.approx(48.13, abs=0.01)
    assert likeness(black + 200, black + 100)["max_difference"] == 100
    assert likeness(black, black)["equal"]


def test_time_that_overlaps_counts_once() -> None:
    assert union_s([(5, 6), (0, 2), (1, 3), (1, 2)]) == 4


def test_a_model_is_the_same_each_time_and_hands_out_copies() -> None:
    first, second = (RandomModel(TINY, torch.device("cpu")) for _ in range(2))
    ours, again = first.components("float16"), first.components("float16")
    assert torch.equal(ours.unet.conv_out.weight, second.components("float16").unet.conv_out.weight)
    ours.unet.conv_out.weight.data.zero_()
    assert again.unet.conv_out.weight.abs().max() > 0


def test_random_weights_predict_noise_and_show_contrast() -> None:
    parts = RandomModel(TINY, torch.device("cpu")).components("float32")
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    states = torch.randn(1, 77, 32, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        noise = parts.unet(latents, 500, encoder_hidden_states=states).sample
        picture = parts.vae.decode(latents / parts.vae.config.scaling_factor).sample
    assert float(noise.std()) == pytest.approx(1.0, rel=0.15)
    assert float(picture.std()) == pytest.approx(0.4, rel=0.15)


def test_a_pipeline_that_is_not_ours_is_not_tuned() -> None:
    with pytest.raises(ValueError, match="only 'ours' is tuned"):
        Variant("diffusers", channels_last=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_the_full_size_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert "torch sees no GPU here" in capsys.readouterr().err


def test_the_decision_lists_every_prediction() -> None:
    text = (ROOT / "docs/decisions/0010-gpu-speed-predictions.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    listed = {row[0].removeprefix("| ").strip("`"): row[1] for row in rows}
    assert listed == {one.key: f"{one.value:g} {one.unit}" for one in PREDICTIONS}


def test_every_prediction_is_of_a_cell_that_is_measured() -> None:
    assert {one.cell for one in PREDICTIONS} <= {one.name for one in CELLS}
