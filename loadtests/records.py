"""What a run notes down: a record for each request, a tick for each second; and its files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

REQUESTS_FILE, TICKS_FILE, RUN_FILE = "requests.csv", "ticks.csv", "run.json"
# The time of a request that the run's end cut off counts as well, as the least that it would have
# been: to leave it out would be to leave out the slowest answers.
COMPLETE = ("ok", "wrong", "failed", "cut_off")

Replicas = dict[str, dict[str, int]]


@dataclass(slots=True)
class Record:
    """One request; moments are seconds since 1970, so that those of several machines compare.

    `due_s` is when it was to be sent, `sent_s` when it was: in a closed loop the same. `checks`
    are the names of the failed ones.
    """

    kind: str
    due_s: float
    sent_s: float
    done_s: float
    outcome: str
    status: int = 200
    sets: int = 0
    first_image_s: float | None = None
    vae_first: bool | None = None
    repeat: bool = False
    checks: tuple[str, ...] = ()

    @property
    def latency_s(self) -> float:
        """Seconds from when it was due to the whole answer."""
        return self.done_s - self.due_s

    @property
    def service_s(self) -> float:
        """Seconds from when it was sent to the whole answer."""
        return self.done_s - self.sent_s

    @property
    def is_answer(self) -> bool:
        """Whether its time counts: it was waited for to the end, and not turned away."""
        return self.outcome in COMPLETE and self.kind != "cancel"

    @property
    def is_failure(self) -> bool:
        """Whether something was wrong with it."""
        return bool(self.checks)


@dataclass(slots=True)
class Tick:
    """What held at one moment: users, replicas by deployment and state, the generator's CPU."""

    at_s: float
    users: int
    cpu_percent: float | None = None
    replicas: Replicas = field(default_factory=dict)


def pack(record: Record) -> list[object]:
    """Return a record as a list, the form in which workers send it to the master."""
    return list(astuple(record))


def unpack(row: list[object]) -> Record:
    """Return the record that was packed."""
    names = [one.name for one in fields(Record)]
    values = dict(zip(names, row, strict=True))
    return Record(**{**values, "checks": tuple(values["checks"])})  # type: ignore[arg-type]


def write_requests(path: Path, records: Iterable[Record], start_s: float) -> None:
    """Write one line a request, times in seconds since the run began."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([one.name for one in fields(Record)])
        for record in sorted(records, key=lambda one: one.due_s):
            writer.writerow(as_cells(record, start_s))


def as_cells(record: Record, start_s: float) -> list[object]:
    """Return the cells of one record's line."""
    values = dict(zip([one.name for one in fields(Record)], astuple(record), strict=True))
    for name in ("due_s", "sent_s", "done_s"):
        values[name] = round(getattr(record, name) - start_s, 4)
    if record.first_image_s is not None:
        values["first_image_s"] = round(record.first_image_s, 4)
    values["checks"] = " ".join(record.checks)
    return ["" if value is None else value for value in values.values()]


def read_requests(path: Path) -> list[Record]:
    """Read back what `write_requests` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [from_cells(row) for row in csv.DictReader(file)]


def from_cells(row: Mapping[str, str]) -> Record:
    """Return the record of one line."""
    return Record(
        kind=row["kind"],
        due_s=float(row["due_s"]),
        sent_s=float(row["sent_s"]),
        done_s=float(row["done_s"]),
        outcome=row["outcome"],
        status=int(row["status"]),
        sets=int(row["sets"]),
        first_image_s=float(row["first_image_s"]) if row["first_image_s"] else None,
        vae_first=row["vae_first"] == "True" if row["vae_first"] else None,
        repeat=row["repeat"] == "True",
        checks=tuple(row["checks"].split()),
    )


def write_ticks(path: Path, ticks: Iterable[Tick], start_s: float) -> None:
    """Write one line a tick; columns such as `vae.running` come as the service names them."""
    rows = [flatten(tick, start_s) for tick in ticks]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names or ["at_s", "users", "cpu_percent"], restval="")
        writer.writeheader()
        writer.writerows(rows)


def flatten(tick: Tick, start_s: float) -> dict[str, object]:
    """Return the cells of one tick by column."""
    row: dict[str, object] = {"at_s": round(tick.at_s - start_s, 3), "users": tick.users}
    row["cpu_percent"] = "" if tick.cpu_percent is None else tick.cpu_percent
    for model, states in tick.replicas.items():
        row |= {f"{model}.{state}": count for state, count in states.items()}
    return row


def read_ticks(path: Path) -> list[Tick]:
    """Read back what `write_ticks` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [from_columns(row) for row in csv.DictReader(file)]


def from_columns(row: Mapping[str, str]) -> Tick:
    """Return the tick of one line."""
    cpu = row["cpu_percent"]
    tick = Tick(float(row["at_s"]), int(row["users"]), float(cpu) if cpu else None)
    for name, value in row.items():
        model, dot, state = name.rpartition(".")
        if dot and value:
            tick.replicas.setdefault(model, {})[state] = int(value)
    return tick
