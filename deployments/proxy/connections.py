"""All connections of the proxy: what each has not taken, for how long, and which have to go."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from deployments.proxy.uvicorn_connection import UvicornConnection, all_beside

# To look at three thousand connections takes milliseconds: not for each message.
_NOTED_BYTES = 2**20
Reason = Literal["unread", "head", "bytes", "connections"]


@dataclass(frozen=True)
class Bounds:
    """What connections may hold, and for how long.

    Attributes:
        unread_s: an answer of which nothing is taken for so long is given up.
        head_s: a request's head has to be complete within this time, also the first one's.
        keyed_bytes: of answers to callers with a key. One alone may hold half of it, so 26 sets of
            10 MB, of two each a third.
        keyless_bytes: of all other answers: forty of our largest file, or six such sets where
            everybody is let in. Of both, twice as much for a moment.
        stalled_s: over the bound on bytes, who has taken nothing for so long may have to go; over
            twice the bound, anybody: answers that come at once are mostly taken at once.
        keyed_connections: of callers with a key; one alone may keep half of them in any case.
        keyless_connections: of all others: browsers that read the page, and those yet unknown.
    """

    unread_s: float = 30.0
    head_s: float = 30.0
    keyed_bytes: int = 512 * 2**20
    keyless_bytes: int = 64 * 2**20
    keyed_connections: int = 2_000
    keyless_connections: int = 1_000
    stalled_s: float = 2.0


class Connection:
    """One connection and the part of its answer that is still here.

    Attributes:
        caller: whose latest request it carried; None without a known key.
        held_bytes: of the answer, what uvicorn has not been given yet.
        progress_s: when something was taken last, or nothing was there to take.
        is_queued: its request has not been passed on yet.
        is_closed: it was given up; what is held for it is nobody's.
    """

    def __init__(self, uvicorn: UvicornConnection) -> None:
        """Begin to watch it."""
        self.caller: str | None = None
        self.held_bytes = 0
        self.progress_s = self._head_since_s = time.monotonic()
        self.is_queued = False
        self.is_closed = False
        self._uvicorn = uvicorn
        self._given_bytes = 0
        self._taken_bytes = 0
        self._unread_bytes = 0

    @property
    def pending_bytes(self) -> int:
        """How much of its answer the caller has not taken."""
        return self.held_bytes + self._unread_bytes

    @property
    def waits_for_us(self) -> bool:
        """Whether a request is being worked on, and nothing is there to take."""
        return self.pending_bytes == 0 and self._uvicorn.is_under_way and not self.is_queued

    def begin(self, caller: str | None) -> None:
        """Note a request."""
        self.caller = caller
        self.began()

    def began(self) -> None:
        """Note that what comes before now says nothing of its caller."""
        self.progress_s = time.monotonic()

    def gave(self, piece_bytes: int) -> None:
        """Note that uvicorn took a piece of the answer."""
        self._given_bytes += piece_bytes

    def look(self, now_s: float) -> None:
        """See what has been taken since the last look."""
        self._unread_bytes = self._uvicorn.unread_bytes()
        # What HTTP puts around the pieces counts as unread and not as given: never too much taken.
        taken_bytes = self._given_bytes - self._unread_bytes
        if taken_bytes > self._taken_bytes or self.waits_for_us:
            self.progress_s = now_s
        self._taken_bytes = max(taken_bytes, self._taken_bytes)
        if self._uvicorn.is_under_way or self._uvicorn.is_kept_alive or self.pending_bytes:
            self._head_since_s = now_s

    def overdue(self, bounds: Bounds, now_s: float) -> Reason | None:
        """Say why it has waited long enough, or None."""
        if self.pending_bytes and now_s - self.progress_s >= bounds.unread_s:
            return "unread"
        return "head" if now_s - self._head_since_s >= bounds.head_s else None

    def close(self) -> None:
        """Give it up."""
        self.is_closed = True
        self.held_bytes = self._unread_bytes = 0
        self._uvicorn.abort()


class Connections:
    """Those of one server, within their bounds."""

    def __init__(self, bounds: Bounds) -> None:
        """Take the bounds."""
        self.closed: Counter[Reason] = Counter()  # until somebody counts them elsewhere
        self._bounds = bounds
        self._noted_bytes = 0
        self._by_protocol: dict[Any, Connection] = {}
        self._there: set[Any] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_protocol)

    @property
    def pending_bytes(self) -> int:
        """How much of all answers has not been taken."""
        return sum(one.pending_bytes for one in self._by_protocol.values())

    def of(self, protocol: Any) -> Connection:
        """Return the connection behind one of uvicorn's protocol objects."""
        self._there = all_beside(protocol)
        if protocol not in self._by_protocol:
            self._by_protocol[protocol] = Connection(UvicornConnection(protocol))
        return self._by_protocol[protocol]

    def is_over_share(self, caller: str | None) -> bool:
        """Whether a caller with a key leaves so much that no further answer is made for them."""
        if caller is None:
            return False
        held = _by_caller(self._pool(is_keyed=True), _pending)
        return held[caller] >= _share(self._bounds.keyed_bytes, held.keys() | {caller})

    def look(self) -> None:
        """Notice who came, left and took something; close those who have to go."""
        now_s = time.monotonic()
        self._by_protocol = {one: self.of(one) for one in list(self._there)}
        for one in self._open():
            one.look(now_s)
            if reason := one.overdue(self._bounds, now_s):
                self._close(one, reason)
        for is_keyed in (True, False):
            self.bound_bytes(is_keyed)
            self._bound(is_keyed, self._connection_bound(is_keyed), lambda _: 1, "connections")

    def note(self, new_bytes: int, is_keyed: bool) -> None:
        """Note bytes of an answer that have come; now and then look whether they are too many."""
        self._noted_bytes += new_bytes
        if self._noted_bytes > _NOTED_BYTES:
            self._noted_bytes = 0
            self.bound_bytes(is_keyed)

    def bound_bytes(self, is_keyed: bool) -> None:
        """Close connections until the answers that nobody has taken are within their bound."""
        limit = self._bounds.keyed_bytes if is_keyed else self._bounds.keyless_bytes
        self._bound(is_keyed, 2 * limit, _pending, "bytes")
        self._bound(is_keyed, limit, _pending, "bytes", self._bounds.stalled_s)

    def _connection_bound(self, is_keyed: bool) -> int:
        return self._bounds.keyed_connections if is_keyed else self._bounds.keyless_connections

    def _bound(
        self,
        is_keyed: bool,
        limit: int,
        amount: Callable[[Connection], int],
        reason: Reason,
        stalled_s: float = 0.0,
    ) -> None:
        before_s = time.monotonic() - stalled_s
        while worst := _worst(self._pool(is_keyed), limit, amount, before_s):
            self._close(worst, reason)

    def _close(self, connection: Connection, reason: Reason) -> None:
        connection.close()
        self.closed[reason] += 1

    def _open(self) -> Iterator[Connection]:
        return (one for one in self._by_protocol.values() if not one.is_closed)

    def _pool(self, is_keyed: bool) -> list[Connection]:
        return [one for one in self._open() if (one.caller is not None) == is_keyed]


def _pending(connection: Connection) -> int:
    return connection.pending_bytes


def _by_caller(
    connections: list[Connection], amount: Callable[[Connection], int]
) -> Counter[str | None]:
    held: Counter[str | None] = Counter()
    for one in connections:
        held[one.caller] += amount(one)
    return +held  # without those who hold nothing


def _share(limit: int, callers: Any) -> float:
    """Return what each may hold: as `FairShare`, so that there is always room for the next one."""
    return limit / (len(callers) + 1)


def _worst(
    connections: list[Connection],
    limit: int,
    amount: Callable[[Connection], int],
    before_s: float,
) -> Connection | None:
    """Return who goes first where there is too much: the one that waits longest for its caller.

    Only callers over their share come into question, so nobody loses an answer to another one's;
    nobody who waits for an answer; and nobody whose last progress was after `before_s`.
    """
    held = _by_caller(connections, amount)
    if held.total() <= limit:
        return None
    share = _share(limit, held)
    return min(
        (
            one
            for one in connections
            if amount(one)
            and held[one.caller] > share
            and one.progress_s <= before_s
            and not one.waits_for_us
        ),
        key=lambda one: (one.progress_s, -one.pending_bytes),
        default=None,
    )
