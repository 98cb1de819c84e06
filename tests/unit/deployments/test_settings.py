"""Settings and Serve configs: a typo is an error, here and not on the cluster."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary

from deployments.api.service import SWEEP_WIDTH
from deployments.app import DEPLOYMENTS as REPLICAS
from deployments.app import build_app
from deployments.jobs import ANSWER_S
from deployments.settings import AppSettings, IngressSettings, ModelSettings

DEPLOYMENTS = {role: replica.__name__ for role, replica in REPLICAS.items()}
ROOT = Path(__file__).resolve().parents[3]
CONFIGS = [ROOT / "serve_config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]
ARGUMENTS = {
    "vae": {"factory": "models.simulated:load_simulated_vae"},
    "stable_diffusion": {"factory": "models.simulated:load_simulated_diffusion"},
    "allow_anonymous": True,
}


def test_the_builder_is_given_checked_settings_not_a_dictionary() -> None:
    """Held against `from __future__ import annotations`, which switches the check off unseen."""
    call_user_app_builder_with_args_if_necessary(build_app, ARGUMENTS)
    with pytest.raises(ValidationError, match="vea"):
        call_user_app_builder_with_args_if_necessary(build_app, {**ARGUMENTS, "vea": {}})


@pytest.mark.parametrize("factory", ["models.simulated", "a b:c", "os:system('x')", ""])
def test_a_factory_is_an_import_path(factory: str) -> None:
    with pytest.raises(ValidationError, match="factory"):
        ModelSettings(factory=factory)


def test_a_factory_is_called_with_its_options() -> None:
    settings = ModelSettings(
        factory="models.simulated:load_simulated_vae", options={"fixed_s": 0.0}
    )
    assert settings.build().info.role == "vae"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_serve_config_says_how_each_deployment_scales(path: Path) -> None:
    """Its keys are checked in test_configs.py."""
    for application in yaml.safe_load(path.read_text())["applications"]:
        names = {deployment["name"] for deployment in application["deployments"]}
        assert names == {"Ingress", *DEPLOYMENTS.values()}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_no_config_opens_the_service_to_others_without_keys(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    for application in config["applications"]:
        if application["args"].get("allow_anonymous"):
            assert path.name == "demo.yaml"
            assert config["http_options"]["host"] == "127.0.0.1"
        else:
            assert application["args"]["api_keys_file"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_whoever_is_admitted_finds_room_behind_the_admission(path: Path) -> None:
    """Serve's own bounds answer in plain text and know no fairness: ours have to be stricter."""
    (application,) = yaml.safe_load(path.read_text())["applications"]
    ingress = AppSettings.model_validate(application["args"]).ingress
    by_name = {deployment["name"]: deployment for deployment in application["deployments"]}
    admitted = ingress.max_admitted_requests
    everybody = 2 * admitted + ingress.max_reading
    assert by_name["Ingress"]["max_ongoing_requests"] > everybody + 10  # status and pages
    sets = {"vae": admitted * (1 + SWEEP_WIDTH), "stable_diffusion": admitted}
    for role, name in DEPLOYMENTS.items():
        assert by_name[name]["max_queued_requests"] >= sets[role]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_nothing_of_serves_ends_a_request_before_its_deadline(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    (application,) = config["applications"]
    deadline_s = AppSettings.model_validate(application["args"]).ingress.request_timeout_s
    assert config["http_options"]["request_timeout_s"] > deadline_s + ANSWER_S
    for deployment in application["deployments"]:
        assert deployment["graceful_shutdown_timeout_s"] > deadline_s + ANSWER_S


@pytest.mark.parametrize("callers", [{}, {"allow_anonymous": True, "api_keys_file": "keys"}])
def test_a_service_that_does_not_say_whom_it_serves_is_not_built(callers: dict[str, Any]) -> None:
    models = {name: ARGUMENTS[name] for name in ("vae", "stable_diffusion")}
    with pytest.raises(ValidationError, match="api_keys_file"):
        call_user_app_builder_with_args_if_necessary(build_app, {**models, **callers})


def test_production_scales_the_two_models_apart() -> None:
    (application,) = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"]
    by_name = {deployment["name"]: deployment for deployment in application["deployments"]}
    assert by_name["Ingress"]["num_replicas"] == 2
    for name in DEPLOYMENTS.values():
        assert by_name[name]["autoscaling_config"]["max_replicas"] > 1
        assert 0 < by_name[name]["ray_actor_options"]["num_gpus"] < 1


def test_live_settings_change_by_name_and_nothing_else_does() -> None:
    settings = IngressSettings(max_attempts=2, request_timeout_s=60)
    changed = settings.changed({"max_admitted_requests": 8})
    assert (changed.max_admitted_requests, changed.request_timeout_s) == (8, 60)
    assert changed.max_attempts == 2
    for wrong in ({"max_attempts": 1}, {"max_admited_requests": 8}, {"request_timeout_s": 0}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            settings.changed(wrong)


def test_whatever_autoscaling_starts_fills_the_cards_of_production() -> None:
    """All VAE replicas fit beside as many diffusion replicas as a card takes without them."""
    (application,) = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"]
    deployments = {one["name"]: one for one in application["deployments"]}
    vae, diffusion = deployments["VAEDeployment"], deployments["StableDiffusionDeployment"]
    shares = [Fraction(str(one["ray_actor_options"]["num_gpus"])) for one in (vae, diffusion)]
    beside = vae["autoscaling_config"]["max_replicas"] * shares[0]
    assert (1 // shares[1]) * shares[1] + beside <= 1
