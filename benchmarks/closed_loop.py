"""Users of a service who each wait for their answer before they ask again, every answer checked."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.paths import SAMPLE_FACE

SEEDS = (7, 1007)
_TIMEOUT_S = 130.0
_KEEP_S = 2.0  # less than the server keeps a connection: none is used in the moment it closes


@dataclass(frozen=True)
class Answer:
    """What became of one request; moments on the clock of `time.monotonic()`.

    Attributes:
        asked_s: when it was sent.
        done_s: when its last byte was here.
        problem: what is wrong with it, "" when nothing is.
        model_s: by role, the seconds that the model took.
    """

    asked_s: float
    done_s: float
    problem: str
    model_s: Mapping[str, float]

    @property
    def taken_s(self) -> float:
        """Return how long its user waited."""
        return self.done_s - self.asked_s


class ClosedLoop:
    """So many users, changed at any time; a right answer has the images of the idle service."""

    def __init__(self, url: str, **fields: Any) -> None:
        """Take the service, idle at this moment, and the fields of each request."""
        self.answers: list[Answer] = []
        self._url = url
        self._fields = {key: str(value) for key, value in fields.items()}
        self._face = SAMPLE_FACE.read_bytes()
        self._wanted = 0
        self._over = False
        with httpx.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False) as client:
            self._right = {
                seed: client.send(self._request(client, seed)).raise_for_status().json()["pairs"]
                for seed in SEEDS
            }

    def set_users(self, users: int) -> None:
        """Have so many users from now on; whom it takes away gets the answer under way first."""
        self._wanted = users

    @contextmanager
    def running(self) -> Iterator["ClosedLoop"]:
        """Let users work while the context lasts; at its end the requests under way finish."""
        thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="users")
        thread.start()
        try:
            yield self
        finally:
            self._over = True
            thread.join(timeout=_TIMEOUT_S + 10)

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_S)
        users: dict[int, asyncio.Task[None]] = {}
        async with httpx.AsyncClient(
            base_url=self._url, timeout=_TIMEOUT_S, trust_env=False, limits=limits
        ) as client:
            while not self._over:
                for number in range(self._wanted):
                    if number not in users or users[number].done():
                        users[number] = asyncio.create_task(self._user(client, number))
                await asyncio.sleep(0.05)
            await asyncio.gather(*users.values())

    async def _user(self, client: httpx.AsyncClient, number: int) -> None:
        for turn in itertools.count(number):
            if self._over or number >= self._wanted:
                return
            self.answers.append(await self._ask(client, SEEDS[turn % len(SEEDS)]))

    async def _ask(self, client: httpx.AsyncClient, seed: int) -> Answer:
        asked_s = time.monotonic()
        model_s: dict[str, float] = {}
        try:
            response = await client.send(self._request(client, seed))
            problem, model_s = self._judge(response, seed)
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            await asyncio.sleep(0.5)  # nobody hammers at a service that refuses
        return Answer(asked_s, time.monotonic(), problem, model_s)

    def _judge(self, response: httpx.Response, seed: int) -> tuple[str, dict[str, float]]:
        if response.status_code != 200:
            return f"{response.status_code} {response.text[:200]}", {}
        answer = response.json()
        wrong = "" if answer["pairs"] == self._right[seed] else f"other images for seed {seed}"
        sets = answer["sets"].items()
        return wrong, {role: made["timings_ms"]["model"] / 1000 for role, made in sets}

    def _request(self, client: httpx.Client | httpx.AsyncClient, seed: int) -> httpx.Request:
        data = {**self._fields, "seed": str(seed)}
        files = {"image": ("face.png", self._face)}
        return client.build_request("POST", "/v1/pairs", files=files, data=data)


def quantile_s(answers: Sequence[Answer], share: float) -> float:
    """Return the time that `share` of all answers did not exceed; 0 without any."""
    taken = sorted(answer.taken_s for answer in answers)
    return taken[min(len(taken) - 1, int(share * len(taken)))] if taken else 0.0
