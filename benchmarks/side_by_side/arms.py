"""What is timed side by side: the arms of the comparison, in the order of the tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["in process", "documented", "expert", "ours", "pair"]


@dataclass(frozen=True)
class Arm:
    """One way to make the set.

    Attributes:
        key: its name in records and on the command line.
        letter: its letter in the list of docs/performance.md.
        title: what tables and the plot call it.
        form: "in process", "documented" (one image a call, as its documentation writes it),
            "expert" (ten in one batch), "ours" (Twinset over HTTP) or "pair" (both of its sets).
        runs: name of its child process or of its server in `benchmarks.comparison`.
    """

    key: str
    letter: str
    title: str
    form: Form
    runs: str

    @property
    def is_server(self) -> bool:
        """Say whether it is asked over HTTP."""
        return self.form != "in process"


NOTEBOOK = Arm("notebook", "a", "notebook loop", "in process", "notebook")
DIFFUSERS = Arm("diffusers", "b", "diffusers, batched", "in process", "diffusers")
TWINSET = Arm("twinset", "c", "Twinset in process", "in process", "twinset")
TWINSET_HTTP = Arm("twinset_http", "d", "Twinset over HTTP", "ours", "twinset")
PAIR = Arm("pair", "pair", "Twinset, both sets (JSON)", "pair", "twinset")
PAIR_EVENTS = Arm("pair_events", "pair", "Twinset, both sets (events)", "pair", "twinset")


def _server(key: str, letter: str, title: str, form: Form) -> Arm:
    return Arm(key, letter, f"{title}, {form}", form, key)


ARMS = (
    NOTEBOOK,
    DIFFUSERS,
    TWINSET,
    TWINSET_HTTP,
    _server("ray_documented", "e", "Ray's example", "documented"),
    Arm(
        "ray_documented_serial",
        "e",
        "Ray's example, one at a time",
        "documented",
        "ray_documented_serial",
    ),
    _server("ray_expert", "e", "Ray Serve", "expert"),
    _server("litserve_documented", "f", "LitServe", "documented"),
    _server("litserve_expert", "f", "LitServe", "expert"),
    _server("fastapi_documented", "g", "FastAPI", "documented"),
    _server("fastapi_expert", "g", "FastAPI", "expert"),
    PAIR,
    PAIR_EVENTS,
)
BY_KEY = {arm.key: arm for arm in ARMS}


def chosen(words: Sequence[str]) -> tuple[Arm, ...]:
    """Return the arms that letters or keys name, in the order of the tables.

    Raises:
        ValueError: a word names none.
    """
    for word in words:
        if word not in BY_KEY and word not in {arm.letter for arm in ARMS}:
            known = ", ".join(["a to g", "pair", *BY_KEY])
            raise ValueError(f"there is no arm {word!r}: choose of {known}")
    return tuple(arm for arm in ARMS if arm.letter in words or arm.key in words)
