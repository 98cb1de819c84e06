"""The one line that stands in Locust's failure table for a request that failed checks."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.checks import Failure

SEPARATOR = "; "
DETAIL_LIMIT = 160


def write_message(failures: Sequence[Failure]) -> str:
    """Return one line with the first failure of each check, and how many more it had."""
    by_check: dict[str, list[Failure]] = {}
    for failure in failures:
        by_check.setdefault(failure.check, []).append(failure)
    return SEPARATOR.join(write_group(group) for group in by_check.values())


def write_group(group: Sequence[Failure]) -> str:
    """Return the first failure of one check; what the service wrote is kept short and plain."""
    detail = " ".join(group[0].detail.split()).replace(";", ",")[:DETAIL_LIMIT]
    more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
    return f"{group[0].check}: {detail}{more}"
