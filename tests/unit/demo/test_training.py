"""Tests of the training loop: stopping, going on, and the budget."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.demo.dataset import Dataset, DatasetPlan, render_dataset
from models.demo.latents import Latents
from models.demo.train_autoencoder import (
    AutoencoderSettings,
    build_autoencoder,
    focus_map,
    normalise_latents,
    texture_loss,
)
from models.demo.train_diffusion import DiffusionSettings, DiffusionStage, draw_timesteps
from models.demo.train_vae import VAESettings, VAEStage
from models.demo.training import Budget, generator_of, learning_rate, load_checkpoint, run_stage

pytestmark = pytest.mark.heavy

PLAN = DatasetPlan(training=6, held_out=2, workers=1)
SMALL = VAESettings(hidden_channels=(4, 4, 4, 4, 4), latent_channels=4, batch=4)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, so that two trainings can be equal bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Noise in place of faces."""
    rng = np.random.default_rng(0)
    count = len(PLAN.seeds)
    return Dataset(
        PLAN,
        rng.integers(0, 256, (count, 150, 150, 3), dtype=np.uint8),
        rng.integers(0, 256, (count, 128, 128, 3), dtype=np.uint8),
    )


def test_a_resumed_stage_goes_on_at_the_stored_step(dataset: Dataset, tmp_path: Path) -> None:
    """Two steps, a stop, and two more end in the same weights as four steps at once."""
    at_once = VAEStage(dataset, SMALL)
    for step in range(4):
        at_once.train_step(step, step / 4)
    stopped = VAEStage(dataset, SMALL)
    for step in range(2):
        stopped.train_step(step, step / 4)
    resumed = VAEStage(dataset, SMALL)
    resumed.restore(stopped.state())
    for step in range(2, 4):
        resumed.train_step(step, step / 4)
    for ours, theirs in zip(
        at_once.network.parameters(), resumed.network.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_checkpoint_holds_the_step(dataset: Dataset, tmp_path: Path) -> None:
    """A longer budget goes on from the checkpoint; a finished one does nothing."""
    assert run_stage(VAEStage(dataset, SMALL), Budget(steps=2), tmp_path).step == 2
    assert load_checkpoint(tmp_path / "vae.pt")["step"] == 2
    assert run_stage(VAEStage(dataset, SMALL), Budget(steps=3), tmp_path).step == 3
    assert run_stage(VAEStage(dataset, SMALL), Budget(steps=3), tmp_path).step == 3
    assert not list(tmp_path.glob("*.part"))


def test_the_diffusion_stage_resumes(tmp_path: Path) -> None:
    """UNet, text encoder and their average come back from a checkpoint."""
    rng = np.random.default_rng(0)
    latents = Latents(rng.normal(size=(2, 6, 2, 8, 8, 8)).astype(np.float16))
    settings = DiffusionSettings(
        channels=(32, 32), text_width=32, text_layers=1, latent_side=8, batch=2
    )
    stage = DiffusionStage(tmp_path, PLAN, latents, settings)
    assert run_stage(stage, Budget(steps=2), tmp_path).step == 2
    again = DiffusionStage(tmp_path, PLAN, latents, settings)
    assert run_stage(again, Budget(steps=3), tmp_path).step == 3
    assert set(again.average) == set(stage.average)


def test_rendering_the_data_resumes(tmp_path: Path) -> None:
    """A drawn data set is opened, not drawn again."""
    plan = DatasetPlan(training=2, held_out=1, workers=1)
    first = render_dataset(tmp_path, plan)
    changed = first.vae_pixels[0].copy()
    first.vae_pixels[0] = 0
    first.vae_pixels.flush()  # type: ignore[attr-defined]
    second = render_dataset(tmp_path, plan)
    assert second.vae_pixels.shape == (3, 150, 150, 3)
    assert second.diffusion_pixels.shape == (3, 128, 128, 3)
    assert changed.any()
    assert not second.vae_pixels[0].any()


@pytest.mark.parametrize("settings", [{}, {"steps": 3, "minutes": 1.0}])
def test_a_budget_is_one_of_two(settings: dict[str, float]) -> None:
    """Neither or both is refused."""
    with pytest.raises(ValueError, match="either steps or minutes"):
        Budget(**settings)  # type: ignore[arg-type]


def test_the_budget_in_minutes_counts_training_time() -> None:
    """Half of the minutes are half of the progress."""
    assert Budget(minutes=2.0).progress(7, 60.0) == pytest.approx(0.5)
    assert Budget(steps=10).progress(7, 60.0) == pytest.approx(0.7)


def test_the_rate_warms_up_and_falls() -> None:
    """It rises over the warm-up and ends at a fiftieth of the peak."""
    rates = [learning_rate(1.0, step, step / 1000, 100) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) > 0.95
    assert rates[-1] == pytest.approx(0.02, abs=0.001)


def test_timesteps_stay_in_range_and_follow_their_seed() -> None:
    """Timesteps are whole numbers in [0, 999], the same for the same generator."""
    drawn = draw_timesteps(500, generator_of(1, 2))
    assert drawn.dtype == torch.int64
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) <= 999
    assert torch.equal(drawn, draw_timesteps(500, generator_of(1, 2)))


def test_the_focus_is_on_the_face() -> None:
    """The middle of a picture counts more than its corners, the mean is 1."""
    counts = focus_map(16, 3.0)
    assert counts.shape == (1, 1, 16, 16)
    assert float(counts.mean()) == pytest.approx(1.0)
    assert float(counts[0, 0, 8, 8]) > 2 * float(counts[0, 0, 0, 0])


def test_normalised_latents_leave_the_pictures_as_they_were() -> None:
    """Folding mean and deviation into the weights changes the latents, not the restoration."""
    torch.manual_seed(0)
    settings = AutoencoderSettings(channels=(8, 8), latent_channels=2)
    network = build_autoencoder(settings).eval()
    images = torch.rand(2, 3, 16, 16) * 2.0 - 1.0
    with torch.no_grad():
        before = network.encode(images).latent_dist
        restored = network.decode(before.mean).sample
        mean, deviation = before.mean.mean(dim=(0, 2, 3)), before.mean.std(dim=(0, 2, 3))
        normalise_latents(network, mean, deviation)
        after = network.encode(images).latent_dist
        torch.testing.assert_close(network.decode(after.mean).sample, restored, atol=1e-4, rtol=0)
    scale = deviation.view(1, -1, 1, 1)
    torch.testing.assert_close(after.std * scale, before.std, atol=1e-5, rtol=1e-4)
    assert float(after.mean.std(dim=(0, 2, 3)).mean()) == pytest.approx(1.0, abs=1e-3)


def test_texture_counts_wherever_its_detail_lies() -> None:
    """Other strands as strong as the true ones cost little; smoothed away they cost much."""
    generator = torch.Generator().manual_seed(0)
    strands, others = (torch.randn(4, 3, 64, 64, generator=generator) * 0.2 for _ in range(2))
    evenly = torch.ones(4, 1, 64, 64)
    assert texture_loss(strands, strands, evenly) == 0.0
    smoothed = texture_loss(torch.zeros_like(strands), strands, evenly)
    assert texture_loss(others, strands, evenly) < 0.2 * smoothed
