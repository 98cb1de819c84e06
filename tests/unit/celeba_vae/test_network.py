"""The published architecture, and the formula of the report."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.celeba_vae.checkpoint import load_network, load_vae, save_network
from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE, reparameterize

SMALL = CelebAVAEConfig((4, 8, 8), latent_channels=6, image_size_px=30)


def test_the_default_network_is_the_published_one() -> None:
    network = CelebAVAE()
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_077_155
    prefixes = {key.split(".")[0] for key in network.state_dict()}
    assert prefixes == {
        "encoder",
        "fc_mu",
        "fc_var",
        "decoder_input",
        "decoder",
        "final_layer",
    }
    assert network.state_dict()["final_layer.3.weight"].shape == (3, 32, 3, 3)
    assert network.state_dict()["encoder.4.0.weight"].shape == (512, 256, 3, 3)


@torch.inference_mode()
def test_shapes_and_range_and_nan() -> None:
    network = CelebAVAE(SMALL).eval()
    mu, log_var = network.encode(torch.rand(2, 3, 30, 30))
    assert mu.shape == log_var.shape == (2, 6)
    faces = network.decode(mu)
    assert faces.shape == (2, 3, 30, 30)
    assert 0.0 <= float(faces.min()) <= float(faces.max()) <= 1.0
    assert (network.decode(torch.full((1, 6), torch.nan)) == 0).all()


def test_reparameterize_against_numpy() -> None:
    generator = np.random.default_rng(0)
    mu, log_var, eps = (generator.standard_normal((4, 9)) for _ in range(3))
    expected = mu + eps * np.sqrt(np.exp(log_var)) * 7.0
    actual = reparameterize(*(torch.from_numpy(one) for one in (mu, log_var, eps)), 7.0)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12)


def test_a_saved_network_loads_to_the_same_outputs(tmp_path: Path) -> None:
    network = CelebAVAE(SMALL).eval()
    save_network(network, tmp_path)
    latents = torch.randn(1, 6)
    assert torch.equal(load_network(tmp_path).decode(latents), network.decode(latents))


def test_missing_and_foreign_weights_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        load_vae(str(tmp_path))
    save_network(CelebAVAE(SMALL), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["fc_mu.bias"] = torch.zeros(5)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load_vae(str(tmp_path))


def test_a_gpu_that_is_not_there_is_an_error_not_a_fallback(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RuntimeError, match="no GPU here"):
        load_vae(str(tmp_path), device="cuda")


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="image_size_px"):
        CelebAVAEConfig(image_size_px=16)
