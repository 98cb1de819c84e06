"""Serves a Serve config on an isolated local Ray, in the foreground, until Ctrl-C."""

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path

import httpx
from tqdm import tqdm

from scripts.local_ray import LocalRay, LocalRayError, free_port
from scripts.port_claim import PortTakenError, claimed
from scripts.run_file import RunFile, RunFileError
from scripts.signals import stop_on_signals

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_FACE = ROOT / "models" / "demo" / "weights" / "sample-face.png"
START_TIMEOUT_S = 180.0


@dataclass(frozen=True)
class RunningService:
    """A service that is ready.

    Attributes:
        url: its base URL.
        api_key: made for this run; None where nobody needs one or the config has its own.
        needs_key: callers need one, of this run or of the config's file.
    """

    url: str
    api_key: str | None = None
    needs_key: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """What a caller has to send along."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


class ServeError(Exception):
    """The service could not start; the sentence says why and what to do."""


def main() -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "demo.yaml")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--num-gpus", type=int, default=0, help="GPUs to pretend to have")
    arguments = parser.parse_args()
    stop_on_signals()
    try:
        config, port, num_gpus = arguments.config, arguments.port, arguments.num_gpus
        with running(config, port, num_gpus, own_key=False) as service:
            _announce(service)
            threading.Event().wait()
    except ServeError as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: stopped\n")
    return 0


@contextmanager
def running(
    config: Path, port: int, num_gpus: int = 0, own_key: bool = True
) -> Iterator[RunningService]:
    """Serve a config while the context lasts; yields the service once it is ready.

    Args:
        config: a Serve config.
        port: of HTTP; 0 takes a free one.
        num_gpus: to pretend to have.
        own_key: whether, where the config asks for keys, this run gets one of its own; else that is
            only so when the config's file of keys is not there.

    Raises:
        ServeError: it cannot start.
    """
    if not config.is_file():
        raise ServeError(
            f"there is no {config}: set CONFIG to a Serve config, such as configs/demo.yaml"
        )
    chosen = port or free_port()
    url = f"http://127.0.0.1:{chosen}"
    try:
        with _claimed(chosen), RunFile.open(url) as run_file:
            service = LocalRay(config, chosen, num_gpus, own_key)
            run_file.record(service.directory)
            with service:
                wait_until_ready(url, service)
                yield RunningService(url, service.api_key, service.needs_key)
    except LocalRayError as error:
        raise ServeError(f"Serve could not start {config}: {error}") from error
    except RunFileError as error:
        raise ServeError(str(error)) from error


@contextmanager
def _claimed(port: int) -> Iterator[None]:
    with ExitStack() as claim:
        try:
            claim.enter_context(claimed(port))
        except PortTakenError as taken:
            raise ServeError(
                f"port {port} is busy, {taken}; choose another with PORT={port + 1}, or stop what "
                "uses it (`make stop` stops the Twinset of this checkout)"
            ) from taken
        except (OSError, OverflowError) as error:
            raise ServeError(
                f"port {port} cannot be used: {error}; choose another, PORT=8001"
            ) from error
        yield


def wait_until_ready(url: str, service: LocalRay) -> None:
    """Show progress until `/readyz` answers 200.

    Raises:
        ServeError: the deployment failed, or it took too long.
    """
    started = time.monotonic()
    with tqdm(
        desc="starting replicas", bar_format="{desc}: {elapsed}", leave=False, disable=None
    ) as bar:
        while time.monotonic() - started < START_TIMEOUT_S:
            if _is_ready(url):
                return
            failure = service.failure()
            if failure:
                raise ServeError(f"the application cannot be deployed:\n{failure}")
            bar.update()
            time.sleep(0.3)
    raise ServeError(
        f"the service was not ready after {START_TIMEOUT_S:.0f} s:\n{service.messages()}"
    )


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=10.0, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _announce(service: RunningService) -> None:
    url, key, sample = service.url, service.api_key, relpath(SAMPLE_FACE)
    shown = key or "$TWINSET_API_KEY"
    header = f'-H "Authorization: Bearer {shown}" ' if service.needs_key else ""
    lines = [
        f"Twinset serves at {url} until Ctrl-C. Open it in a browser, or try:",
        *([f"  API key of this run: {key}"] if key else []),
        f"  curl {header}{url}/v1/models",
        f"  curl {header}-F image=@{sample} -F n=10 -F seed=7 {url}/v1/pairs -o pairs.json",
        "",
    ]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
