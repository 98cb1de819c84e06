"""What `load_vae` takes, what it says of it, and that it never needs the network."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.celeba_vae.checkpoint import load_network, load_vae, save_network
from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE
from models.parameters import VariationParameters
from tests.unit.celeba_vae.conftest import SMALL, Published

FACE = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
pytestmark = pytest.mark.usefixtures("offline")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    save_network(CelebAVAE(SMALL), tmp_path)
    return tmp_path


def test_every_kind_of_file_makes_the_same_faces(published: Published, tmp_path: Path) -> None:
    state = published.model.state_dict()
    torch.save(state, tmp_path / "state.pt")
    save_file(state, tmp_path / "weights.safetensors")
    sets = []
    for file in (published.file, tmp_path / "state.pt", tmp_path / "weights.safetensors"):
        sampler = load_vae(str(file))
        assert sampler.info.revision == f"sha256:{_digest(file)}"
        sets.append(sampler.generate(FACE, [1, 2], VariationParameters()).pixels)
    assert np.array_equal(sets[0], sets[1])
    assert np.array_equal(sets[0], sets[2])


def test_the_published_file_is_described(published: Published) -> None:
    info = load_vae(str(published.file)).info
    assert (info.id, info.role, info.image_size_px) == ("celeba-vae", "vae", 150)
    assert info.defaults == {"diversity_factor": 7.0}
    assert "BSD-3-Clause" in info.licence
    assert "non-commercial" in info.licence


def test_a_file_beside_a_source_is_still_named_by_its_own_digest(published: Published) -> None:
    (published.file.parent / "source.json").write_text("{}")
    assert load_vae(str(published.file)).info.revision.startswith("sha256:")
    (published.file.parent / "source.json").unlink()


def test_the_weights_can_be_read_by_whom_the_configuration_can(directory: Path) -> None:
    modes = {(directory / name).stat().st_mode for name in ("config.json", "model.safetensors")}
    assert len(modes) == 1


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named_with_the_command_that_makes_it(name: str, directory: Path) -> None:
    (directory / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"has no {name}: run `make weights`"):
        load_vae(str(directory))


def test_a_missing_directory_is_named_and_nothing_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere', where nothing is: run `make weights`"):
        load_vae(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "7", '{"hidden_channels": [4, 8]}x', '{"hidden_channels": [4], "more": 1}', "{}"],
)
def test_a_wrong_configuration_is_a_sentence(text: str, directory: Path) -> None:
    (directory / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is no configuration .*nothing else"):
        load_vae(str(directory))


def test_weights_of_another_configuration_are_named(directory: Path) -> None:
    (directory / "config.json").unlink()
    save_network(CelebAVAE(CelebAVAEConfig((4, 8, 8), 7, 30)), directory / "other")
    shutil.copy(directory / "other" / "config.json", directory)
    with pytest.raises(ValueError, match=r"does not fit .* is \(6, 128\) in place of \(7, 128\)"):
        load_vae(str(directory))


def test_a_directory_of_widths_of_its_own_loads_but_its_file_alone_does_not(
    directory: Path,
) -> None:
    assert load_network(directory).config == SMALL
    with pytest.raises(ValueError, match="the published shape where a file alone is given"):
        load_vae(str(directory / "model.safetensors"))


def test_infinite_weights_are_refused_from_a_directory_too(directory: Path) -> None:
    network = CelebAVAE(SMALL)
    with torch.no_grad():
        network.fc_mu.bias[0] = torch.inf
    save_network(network, directory)
    with pytest.raises(ValueError, match=r"fc_mu\.bias that are infinite"):
        load_vae(str(directory))


def test_half_precision_on_disk_is_served_in_float32(tmp_path: Path) -> None:
    network = CelebAVAE(SMALL)
    save_network(network, tmp_path, torch.float16)
    loaded = load_network(tmp_path)
    assert loaded.fc_mu.weight.dtype == torch.float32
    assert torch.equal(loaded.fc_mu.weight, network.fc_mu.weight.half().float())
    assert not loaded.training


def test_the_source_gives_the_revision_of_exactly_its_weights(directory: Path) -> None:
    weights = directory / "model.safetensors"
    assert load_vae(str(directory)).info.revision == f"sha256:{_digest(weights)}"
    source = {"revision": "git:123", "sha256": _digest(weights)}
    (directory / "source.json").write_text(json.dumps(source))
    assert load_vae(str(directory)).info.revision == "git:123"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x3c")
    with pytest.raises(ValueError, match=r"has sha256 .*, not .*: run `make weights` again, or"):
        load_vae(str(directory))


@pytest.mark.parametrize("text", ["{", "[]", "null", "{}", '{"revision": "git:123"}'])
def test_a_source_that_says_nothing_is_a_sentence(text: str, directory: Path) -> None:
    (directory / "source.json").write_text(text)
    with pytest.raises(ValueError, match=r"source\.json is no object with revision and sha256"):
        load_vae(str(directory))
