"""A stream of server-sent events: taken apart while it comes, then judged like any other answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from loadtests.checks import Checked, Expected, Failure, check_parsed, parse_object

ENDS = ("completed", "error")


@dataclass(frozen=True)
class Event:
    """One event: its name and its JSON object."""

    name: str
    fields: dict[str, object] = field(default_factory=dict)


class EventReader:
    """Takes the bytes of a stream as they come and returns the events that are complete."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that end in this chunk; comments, which keep the line open, are none.

        Blocks end with an empty line (WHATWG HTML, section 9.2.6).
        """
        *blocks, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        return [event for block in blocks if (event := read_block(block))]


def read_block(block: bytes) -> Event | None:
    """Return the event in one block of lines, None where it holds a comment alone."""
    name, data = "", []
    for line in block.split(b"\n"):
        if line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", errors="replace")
        elif line.startswith(b"data:"):
            data.append(line[5:].strip())
    return Event(name, parse_object(b"\n".join(data)) or {}) if name or data else None


def check_events(events: list[Event], expected: Expected) -> Checked:
    """Check a whole stream: its frame, then the images in it as an answer of their own."""
    failures = [*check_frame(events), *check_places(events, expected)]
    checked = check_parsed(rebuild(events, expected), expected)
    return Checked(failures + checked.failures, checked.pictures)


def check_beginning(events: list[Event]) -> list[Failure]:
    """Check what a caller saw who left early: a start, if anything, and no error."""
    failures = [] if not events or events[0].name == "started" else [start_failure(events[0])]
    errors = [event for event in events if event.name == "error"]
    return failures + [Failure("stream_error", describe_error(event)) for event in errors]


def check_frame(events: list[Event]) -> list[Failure]:
    """Check that a stream begins with `started` and ends with one `completed`."""
    if not events:
        return [Failure("stream_end", "the stream was empty")]
    failures = check_beginning(events)
    ends = [event.name for event in events if event.name in ENDS]
    if len(ends) != 1 or events[-1].name not in ENDS:
        last = events[-1].name
        failures.append(Failure("stream_end", f"ended with {last!r}, terminal events: {ends}"))
    return failures


def start_failure(first: Event) -> Failure:
    """Return what is wrong with a stream that begins otherwise."""
    return Failure("stream_start", f"began with {first.name!r} instead of 'started'")


def describe_error(event: Event) -> str:
    """Return the error code of an `error` event."""
    error = event.fields.get("error")
    return f"error code {error.get('code')}" if isinstance(error, dict) else "no error code"


def check_places(events: list[Event], expected: Expected) -> list[Failure]:
    """Check that each image of each set came once, with its own seed."""
    failures = []
    seeds = expected.seeds()
    seen: set[tuple[object, object]] = set()
    for event in events:
        if event.name != "image":
            continue
        role, index, seed = (event.fields.get(key) for key in ("role", "index", "seed"))
        if role not in expected.sets or type(index) is not int or not 0 <= index < expected.n:
            failures.append(Failure("stream_images", f"unasked image {index!r} of {role!r}"))
            continue
        if (role, index) in seen:
            failures.append(Failure("stream_images", f"image {index} of {role} came twice"))
        seen.add((role, index))
        if type(seed) is not int or seed != seeds[index]:
            detail = f"image {index} of {role} has seed {seed!r} instead of {seeds[index]}"
            failures.append(Failure("seed_alignment", detail))
    return failures


def rebuild(events: list[Event], expected: Expected) -> dict[str, object]:
    """Return the paired answer that the events of a stream amount to.

    Places and seeds are judged by `check_places`; here an image stands where it says it belongs.
    """
    pairs: list[dict[str, object]] = [
        {"index": index, "seed": seed} for index, seed in enumerate(expected.seeds())
    ]
    sets: dict[str, object] = {}
    for event in events:
        role, index = str(event.fields.get("role")), event.fields.get("index")
        if event.name == "set":
            sets[role] = event.fields
        elif event.name == "image" and type(index) is int and 0 <= index < len(pairs):
            pairs[index][role] = event.fields
    return {"pairs": pairs, "sets": sets}
