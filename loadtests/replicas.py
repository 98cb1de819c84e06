"""How many replicas of each model there are, as `GET /v1/models` tells it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping

from loadtests.checks import parse_object
from loadtests.records import Replicas, Tick

ANSWER_TIMEOUT_S = 5.0


def fetch(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the body at a URL; raises OSError or HTTPException where none comes."""
    request = urllib.request.Request(url, headers=dict(headers))
    # Straight to the service, as the users go.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=ANSWER_TIMEOUT_S) as response:
        body: bytes = response.read()
    return body


def read_replicas(body: bytes) -> Replicas:
    """Return the counts by state (`running`, `target`, `starting` ...) of each model."""
    models = (parse_object(body) or {}).get("data")
    found: Replicas = {}
    for model in models if isinstance(models, list) else []:
        replicas = model.get("replicas") if isinstance(model, dict) else None
        if isinstance(replicas, dict) and "running" in replicas:
            counts = {str(key): value for key, value in replicas.items() if type(value) is int}
            found[str(model.get("id"))] = counts
    return found


def write_count(counts: Mapping[str, int]) -> str:
    """Return "running/target", or "running" alone where no target is stated."""
    running, target = counts.get("running", 0), counts.get("target")
    return str(running) if target is None else f"{running}/{target}"


def table(ticks: Iterable[Tick], start_s: float, trouble: str | None) -> str:
    """Return the changes as a table, or a sentence where there is nothing to show."""
    changes = list_changes(ticks, start_s)
    if not changes:
        return f"Replicas over time: not known ({trouble or 'never sampled'}).\n"
    names = sorted({name for _, counts in changes for name in counts})
    title = "Replicas over time, running (of target, where stated), changes only"
    lines = [title, write_row("time", names, names)]
    lines += [
        write_row(f"{elapsed_s:.0f} s", [counts.get(name, "-") for name in names], names)
        for elapsed_s, counts in changes
    ]
    if trouble:
        lines.append(f"(some samples are missing: {trouble})")
    return "\n".join(lines) + "\n"


def list_changes(ticks: Iterable[Tick], start_s: float) -> list[tuple[float, dict[str, str]]]:
    """Return the moments at which a count was another one than before."""
    changes: list[tuple[float, dict[str, str]]] = []
    for tick in ticks:
        counts = {name: write_count(states) for name, states in tick.replicas.items()}
        if counts and (not changes or changes[-1][1] != counts):
            changes.append((tick.at_s - start_s, counts))
    return changes


def write_row(time_cell: str, cells: list[str], names: list[str]) -> str:
    """Return one row, each cell as wide as its column's name."""
    widths = [max(len(name), 5) for name in names]
    aligned = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
    return "   ".join([time_cell.rjust(8), *aligned])
