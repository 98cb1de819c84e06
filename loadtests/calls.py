"""One request over HTTP: sent, read to its end or left, and timed. Nothing is judged here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import requests

from loadtests.asks import Ask
from loadtests.events import Event, EventReader

CONNECT_TIMEOUT_S = 10.0
CHUNK_BYTES = 2**16


@dataclass
class Answer:
    """What came back. Times are readings of `time.perf_counter`, in seconds.

    `status` is 0 where no answer came, and `error` says why. `left` tells that the caller went
    away before the end, as it was meant to.
    """

    sent_s: float
    done_s: float = 0.0
    status: int = 0
    retry_after: str | None = None
    body: bytes = b""
    events: list[Event] = field(default_factory=list)
    first_image_s: float | None = None
    length_bytes: int = 0
    error: str = ""
    left: bool = False

    def is_time_to_leave(self, ask: Ask) -> bool:
        """Say whether an impatient caller has waited long enough."""
        if ask.leave_after_s is None:
            return False
        return time.perf_counter() - self.sent_s >= ask.leave_after_s


def new_session() -> requests.Session:
    """Return a session that goes straight to the service, whatever proxies are configured."""
    session = requests.Session()
    session.trust_env = False
    return session


def call(
    session: requests.Session, host: str, ask: Ask, headers: dict[str, str], timeout_s: float
) -> Answer:
    """Send one request and read what comes; never raises for what the service does."""
    answer = Answer(time.perf_counter())
    silence_s = timeout_s if ask.leave_after_s is None else max(ask.leave_after_s, 0.001)
    try:
        with session.post(
            host.rstrip("/") + ask.path,
            data=ask.fields,
            files={"image": (ask.face.filename, ask.face.data, ask.face.content_type)},
            headers={**headers, "Accept": ask.accept},
            timeout=(CONNECT_TIMEOUT_S, silence_s),
            stream=True,
        ) as response:
            answer.status = response.status_code
            answer.retry_after = response.headers.get("Retry-After")
            read(response, ask, answer)
    except requests.RequestException as error:
        answer.left = answer.is_time_to_leave(ask)
        if not answer.left:
            # A part of an answer is none: what was announced did not come.
            answer.status, answer.error = 0, describe(error)
    answer.done_s = time.perf_counter()
    return answer


def read(response: requests.Response, ask: Ask, answer: Answer) -> None:
    """Read the body as it comes; an impatient caller stops in the middle."""
    reader = EventReader() if ask.is_stream and answer.status == 200 else None
    body = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        answer.length_bytes += len(chunk)
        if reader is None:
            body += chunk
        else:
            note_events(reader.feed(chunk), answer)
        if answer.is_time_to_leave(ask):
            answer.left = True
            break
    answer.body = bytes(body)


def note_events(events: list[Event], answer: Answer) -> None:
    """Keep events, and when the first image was there."""
    answer.events.extend(events)
    if answer.first_image_s is None and any(event.name == "image" for event in events):
        answer.first_image_s = time.perf_counter()


def describe(error: requests.RequestException) -> str:
    """Return a few words on why no answer came."""
    return f"{type(error).__name__}: {error}"
