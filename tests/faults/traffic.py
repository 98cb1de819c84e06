"""Checked, bounded traffic: users who ask for this and that, and notice each answer that is wrong.

    references = References.taken(url, headers)          # on the idle service
    with Traffic(url, headers, references).running(users=6, at_most_s=120) as tally:
        ...                                              # kill something
    assert not tally.wrong, tally

An answer is right when its images are those of the idle service or when the refusal of a wrong
request is the one expected; honest when it is 429, 503 or 504 in the envelope; wrong otherwise,
with a sentence: another image, an answer that is not an envelope, later than its deadline, never.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.faults.answers import code_of, error_in_stream, is_honest, what_is_wrong
from tests.faults.asks import MIX, Ask, Kind
from tests.faults.references import References
from tests.faults.tally import BROKEN, LEFT, Finished, Tally

LATE_S = 2.0
"""Seconds after its deadline at which an answer is late: both ends share a busy machine."""
HANG_S = 20.0
"""Seconds after its deadline at which a user waits no longer."""
_KEEP_S = 2.0  # less than the server keeps a connection: none is used in the moment it closes


@dataclass(frozen=True)
class Traffic:
    """Users of one service.

    Attributes:
        url: of the service.
        headers: that each request carries.
        references: what is asked, and what is right.
        deadline_s: of each request.
        pause_s: of a user between two requests, on average.
        tolerance: in levels of 255, for models that compute.
    """

    url: str
    headers: Mapping[str, str]
    references: References
    deadline_s: float = 20.0
    pause_s: float = 0.5
    tolerance: int = 0

    def run(self, users: int, for_s: float, mix: dict[Kind, int] = MIX) -> Tally:
        """Send requests for a while; returns when the last one has its answer."""
        with self.running(users, for_s, mix) as tally:
            time.sleep(for_s)
        return tally

    @contextmanager
    def running(self, users: int, at_most_s: float, mix: dict[Kind, int] = MIX) -> Iterator[Tally]:
        """Send requests in the background; at the end of the context those under way finish."""
        tally, over = Tally(), threading.Event()
        until_s = time.monotonic() + at_most_s

        def is_over() -> bool:
            return over.is_set() or time.monotonic() > until_s

        thread = threading.Thread(
            target=lambda: asyncio.run(self._all_users(users, mix, tally, is_over)), name="traffic"
        )
        thread.start()
        try:
            yield tally
        finally:
            over.set()
            thread.join(timeout=self.deadline_s + HANG_S + 10)
        if thread.is_alive():
            raise RuntimeError("the traffic did not end: a request is under way without any bound")

    async def _all_users(
        self, users: int, mix: dict[Kind, int], tally: Tally, is_over: Callable[[], bool]
    ) -> None:
        limits = httpx.Limits(keepalive_expiry=_KEEP_S)
        async with httpx.AsyncClient(
            base_url=self.url, headers=self.headers, trust_env=False, timeout=None, limits=limits
        ) as client:

            async def user(dice: random.Random) -> None:
                while not is_over():
                    ask = self.references.asks.chosen(dice, mix)
                    tally.finished.append(await self._finish(client, ask, dice))
                    await asyncio.sleep(dice.uniform(0, 2 * self.pause_s))

            await asyncio.gather(*(user(random.Random(number)) for number in range(users)))

    async def _finish(self, client: httpx.AsyncClient, ask: Ask, dice: random.Random) -> Finished:
        """Send one request and judge its answer."""
        started_s = time.monotonic()
        patience_s = dice.uniform(0.02, 1.0) if ask.kind == "leaves" else self.deadline_s + HANG_S
        status, code, wrong, is_right = None, "", "", False
        try:
            async with asyncio.timeout(patience_s):
                response = await client.send(ask.sent_by(client, self.deadline_s))
        except TimeoutError:
            code = LEFT if ask.kind == "leaves" else ""
            wrong = "" if code else f"no answer to {ask.name} after {patience_s:.0f} s"
        except httpx.TransportError as error:
            code, wrong = BROKEN, f"{ask.name}: {type(error).__name__} {error}"
        else:
            status = response.status_code
            code, wrong, is_right = self._judge(ask, response)
        taken_s = time.monotonic() - started_s
        if not wrong and taken_s > self.deadline_s + LATE_S:
            wrong = f"{ask.name} came after {taken_s:.1f} s, in time were {self.deadline_s:g}"
        right = is_right and not wrong
        return Finished(ask.kind, status, code, started_s, taken_s, self.deadline_s, wrong, right)

    def _judge(self, ask: Ask, response: httpx.Response) -> tuple[str, str, bool]:
        """Return the code of the answer, what is wrong with it, and whether it is the right one."""
        status = response.status_code
        if status != 200:
            code, wrong = code_of(response)
            is_right = not wrong and status == ask.expected_status
            if not wrong and not is_right and not is_honest(status, code):
                wrong = f"{ask.name} was answered {status} {code}: {response.text[:200]}"
            return code, wrong, is_right
        if ask.expected_status != 200:
            return "", f"{ask.name} was answered 200, not {ask.expected_status}", False
        code = error_in_stream(response)
        if code:
            return code, "" if is_honest(status, code) else f"a stream ended with {code}", False
        right = self.references.images[ask.name]
        wrong = what_is_wrong(ask, response, right, self.tolerance)
        return "", wrong, not wrong
