"""Deploys a Serve config on a Ray that runs: checks it first, then waits until it is healthy.

`serve deploy` takes the path of a file that does not exist for the import path of another
application, answers "successfully", and the application that runs is taken down for it.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from tqdm import tqdm

from deployments.api.api_keys import ApiKeys
from models.roles import ROLES
from scripts.check_configs import check_file
from scripts.serve_schema import check_serve

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "http://127.0.0.1:8265"
TIMEOUT_S = 900.0
_POLL_S = 1.0
_FAILED = ("DEPLOY_FAILED", "UNHEALTHY")

Details = dict[str, Any]


class DeployError(Exception):
    """The config was not deployed, or does not run; the sentence says why and what to do."""


def main() -> int:
    """Parse the command line and deploy."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, default=ROOT / "serve_config.yaml")
    parser.add_argument("--address", default=ADDRESS, help="of Ray's dashboard (%(default)s)")
    parser.add_argument(
        "--timeout-s", type=float, default=TIMEOUT_S, help="to wait for (%(default)g s)"
    )
    arguments = parser.parse_args()
    try:
        deploy(arguments.config, arguments.address, arguments.timeout_s)
    except DeployError as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: not waiting any longer; Ray goes on: see `serve status`\n")
        return 130
    return 0


def deploy(file: Path, address: str, timeout_s: float) -> None:
    """Check a config, submit it, and wait until everything in it is healthy.

    Args:
        file: the Serve config.
        address: base URL of Ray's dashboard.
        timeout_s: seconds to wait for after the config was taken.

    Raises:
        DeployError: something is wrong with the config (nothing was sent then), Ray does not answer
            or refuses, or the application does not get healthy.
    """
    config = read_config(file)
    if _is_here(address):
        _refuse(file, list(_missing_files(config)))
    ray = _Ray(address)
    before = ray.applications()
    ray.submit(config)
    port = (config.get("http_options") or {}).get("port", 8000)
    taken_s = _wait(
        ray, [one.get("name", "default") for one in config["applications"]], before, timeout_s
    )
    sys.stdout.write(f"twinset: {file.name} is healthy on port {port} after {taken_s:.0f} s\n")


def read_config(file: Path) -> dict[str, Any]:
    """Read a Serve config in which every key is known.

    Raises:
        DeployError: it is not there, or something in it is wrong.
    """
    if not file.is_file():
        raise DeployError(
            f"there is no file {file}: set CONFIG to a Serve config, such as serve_config.yaml"
        )
    _refuse(file, [str(problem) for problem in check_file(file, check_serve)])
    documents = list(yaml.safe_load_all(file.read_text()))
    if len(documents) != 1:
        _refuse(file, [f"it holds {len(documents)} documents, not one"])
    config: dict[str, Any] = documents[0]
    return config


def _refuse(file: Path, problems: list[str]) -> None:
    """Raise a DeployError that names the problems, if there are any."""
    if problems:
        raise DeployError(f"{file} was not deployed:\n  " + "\n  ".join(problems))


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _missing_files(config: dict[str, Any]) -> Iterator[str]:
    """Yield what replicas on this machine would not find: they would fail once the old are gone."""
    for application in config["applications"]:
        settings = application.get("args") or {}
        try:
            if keys_file := settings.get("api_keys_file"):
                ApiKeys(Path(keys_file).expanduser())
        except ValueError as error:
            yield str(error)
        options = [(settings.get(role) or {}).get("options") or {} for role in ROLES]
        folders = [str(one["weights_dir"]) for one in options if "weights_dir" in one]
        for folder in dict.fromkeys(folders):
            if not Path(folder).expanduser().is_dir():
                yield f"weights_dir {folder} is not there: `make weights` prepares it"


class _Ray:
    """Ray's dashboard, asked by Ray's own client; what goes wrong becomes a sentence."""

    def __init__(self, address: str) -> None:
        from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

        self._address = address
        try:
            self._client = ServeSubmissionClient(address)
        except Exception as error:  # whatever it raises, there is no Ray to talk to
            raise self._explained(error) from error

    def applications(self) -> Details:
        """Return what is known of each application, by its name."""
        try:
            applications: Details = self._client.get_serve_details().get("applications", {})
        except Exception as error:
            raise self._explained(error) from error
        return applications

    def submit(self, config: dict[str, Any]) -> None:
        """Hand a config over; Ray answers before anything of it runs."""
        from ray.serve.schema import ServeDeploySchema

        submitted = ServeDeploySchema.model_validate(config).model_dump(exclude_unset=True)
        try:
            self._client.deploy_applications(submitted)
        except Exception as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> DeployError:
        from ray.exceptions import AuthenticationError

        if isinstance(error, OSError):
            return DeployError(
                f"no Ray answers at {self._address}: start it as the README says, or set "
                "RAY_DASHBOARD_ADDRESS to where its dashboard listens"
            )
        if isinstance(error, AuthenticationError):
            return DeployError(
                f"the Ray at {self._address} does not take this shell's token: export "
                "RAY_AUTH_MODE=token and the token that it was started with, as the README says"
            )
        return DeployError(f"the Ray at {self._address} refused the config: {error}")


def _wait(ray: _Ray, names: list[str], before: Details, timeout_s: float) -> float:
    """Show progress until every application runs in its new form; return the seconds it took."""
    started = time.monotonic()
    # The description ends with the time, so that a stage of minutes is seen to be alive.
    with tqdm(bar_format="{desc} {elapsed}", leave=False, disable=None) as bar:
        while time.monotonic() - started < timeout_s:
            applications = ray.applications()
            fresh = [
                applications[name]
                for name in names
                if name in applications and _is_newer(applications[name], before.get(name))
            ]
            bar.set_description_str(_progress(fresh))
            for application in fresh:
                if application["status"] in _FAILED:
                    raise DeployError(f"the application does not run:\n{_messages([application])}")
            if len(fresh) == len(names) and all(one["status"] == "RUNNING" for one in fresh):
                return time.monotonic() - started
            time.sleep(_POLL_S)
    raise DeployError(
        f"it was not healthy after {timeout_s:.0f} s; Ray goes on (`serve status`):\n"
        f"{_messages(list(ray.applications().values()))}"
    )


def _is_newer(application: Details, before: Details | None) -> bool:
    last_s: float = application["last_deployed_time_s"]
    return before is None or last_s > before["last_deployed_time_s"]


def _progress(applications: list[Details]) -> str:
    counts = [
        f"{name} {_running(deployment)}/{deployment.get('target_num_replicas', '?')}"
        for application in applications
        for name, deployment in application["deployments"].items()
    ]
    return "deploying" + (f": {', '.join(counts)}" if counts else "")


def _running(deployment: Details) -> int:
    return sum(replica["state"] == "RUNNING" for replica in deployment.get("replicas", []))


def _messages(applications: list[Details]) -> str:
    lines = []
    for application in applications:
        lines.append(f"{application['name']}: {application['status']} {application['message']}")
        lines += [
            f"  {name}: {one['status']} {one['message']}"
            for name, one in application["deployments"].items()
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
