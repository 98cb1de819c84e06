"""Asks a running service for all that the report shows, over HTTP alone."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from tqdm import tqdm

from models.roles import VAE
from models.seeds import MAX_IMAGES

FACTORS = tuple(float(factor) for factor in range(1, 11))
"""Of the sweep: the whole numbers of the original report."""
_CONNECT_S = 10.0
_MARGIN_S = 15.0
"""How much longer than the service's own deadline to wait: its error says more than ours."""


class ReportError(Exception):
    """The report could not be made; the sentence says why and what to do."""


@dataclass(frozen=True)
class Answers:
    """What the service answered, as it stood in the JSON.

    Attributes:
        models: the answer of `/v1/models`.
        reconstruction: of `/v1/pairs` with the VAE alone, one image, factor 0.
        pairs: of `/v1/pairs` with nothing but the picture and the seed: the served defaults.
        sweep: of `/v1/sweep` over `FACTORS`.
        seconds: of each of the three requests, as the caller saw them.
    """

    models: dict[str, Any]
    reconstruction: dict[str, Any]
    pairs: dict[str, Any]
    sweep: dict[str, Any]
    seconds: dict[str, float]


class Caller:
    """A client of one service, whose every failure is a sentence."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        """Take the base URL and what has to be sent along."""
        self._url = url.rstrip("/")
        self._headers = dict(headers)
        self.timeout_s = 60.0

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON of a GET.

        Raises:
            ReportError: no service, or none of ours.
        """
        return self._call("GET", path)

    def post(self, path: str, picture: bytes, fields: Mapping[str, str]) -> dict[str, Any]:
        """Send a picture as a form and return the JSON.

        Raises:
            ReportError: it was refused, or did not get through.
        """
        return self._call("POST", path, files={"image": ("face", picture)}, data=dict(fields))

    def _call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            reply = httpx.request(
                method,
                f"{self._url}{path}",
                headers=self._headers,
                timeout=httpx.Timeout(self.timeout_s, connect=_CONNECT_S),
                trust_env=False,
                **content,
            )
        except httpx.TimeoutException as error:
            raise ReportError(
                f"{self._url} did not answer {path} in time: is it busy? Try again later"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise ReportError(
                f"no service answers at {self._url} ({error}): start one with `make serve`, or "
                "leave --url out and one is started for the report"
            ) from error
        return self._checked(path, reply)

    def _checked(self, path: str, reply: httpx.Response) -> dict[str, Any]:
        try:
            body = reply.json()
            message = "" if reply.is_success else str(body["error"]["message"])
        except (ValueError, KeyError, TypeError) as error:
            raise ReportError(
                f"what answers {path} at {self._url} is no Twinset of this version (status "
                f"{reply.status_code}): give --url the address that `make serve` prints"
            ) from error
        if reply.status_code == 401:
            raise ReportError(f"the service wants an API key: {message}; give it as --api-key")
        if message:
            raise ReportError(f"the service refused ({reply.status_code}): {message}")
        return dict(body)


def ask(caller: Caller, picture: bytes, seed: int) -> Answers:
    """Ask for everything with one seed, so that all sets are paired; shows progress.

    Raises:
        ReportError: the service is away, or refused.
    """
    models = caller.get("/v1/models")
    try:
        limits = models["limits"]
        caller.timeout_s = float(limits["request_timeout_s"]) + _MARGIN_S
        n = min(MAX_IMAGES, int(limits["max_images"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError("what answers /v1/models is no Twinset: see --url") from error
    alone = {"models": VAE, "diversity_factor": "0", "n": "1", "seed": str(seed)}
    common = {"n": str(n), "seed": str(seed)}
    factors = {"diversity_factors": ",".join(f"{factor:g}" for factor in FACTORS)}
    questions: dict[str, tuple[str, dict[str, str]]] = {
        "reconstruction": ("/v1/pairs", alone),
        "pairs": ("/v1/pairs", common),
        "sweep": ("/v1/sweep", {**common, **factors}),
    }
    answers, seconds = _ask_all(caller, picture, questions)
    return Answers(models=models, seconds=seconds, **answers)


def _ask_all(
    caller: Caller, picture: bytes, questions: Mapping[str, tuple[str, dict[str, str]]]
) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
    answers: dict[str, dict[str, Any]] = {}
    seconds: dict[str, float] = {}
    shape = "{desc:<25} {n_fmt}/{total_fmt} |{bar:20}| {elapsed}"
    with tqdm(total=len(questions), bar_format=shape, leave=False, disable=None) as bar:
        for name, (path, fields) in questions.items():
            bar.set_description_str(f"asking for {name}")
            started = time.monotonic()
            answers[name] = _waited_for(
                lambda path=path, fields=fields: caller.post(path, picture, fields),  # type: ignore[misc]
                bar.refresh,
            )
            seconds[name] = time.monotonic() - started
            bar.update()
    return answers, seconds


def _waited_for(call: Callable[[], dict[str, Any]], tick: Callable[[], object]) -> dict[str, Any]:
    """Call in a thread, so that the clock is seen to run and Ctrl-C is not kept waiting."""
    results: list[dict[str, Any] | BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
        tick()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]
