"""The one line that stands in Locust's failure table, and the check names read back from it.

The summary counts by reading these lines back, not by counting in the users: Locust carries the
lines from its worker processes to the master, and nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from loadtests.checks import CHECK_NAMES, Failure

SEPARATOR = "; "
DETAIL_LIMIT = 160

# A worker's line arrives quoted, so a name may also follow a quotation mark.
NAME_PATTERN = re.compile(rf"(?:^|['\"]|{SEPARATOR})({'|'.join(CHECK_NAMES)}): ")


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


def read_names(message: str) -> list[str]:
    """Return the names of the failed checks in a line, `other` where there is none."""
    return NAME_PATTERN.findall(message) or ["other"]
