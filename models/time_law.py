"""How long a model takes for a set: a law of few numbers, and the files with measured ones."""

import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

from models.roles import Role

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"


@dataclass(frozen=True)
class TimeLaw:
    """Seconds of a set: `fixed_s + image_s * images + steps * (step_s + image_step_s * images)`.

    Attributes:
        fixed_s: seconds a set.
        step_s: seconds a step.
        image_step_s: seconds an image and step.
        image_s: seconds an image, whatever the steps: decoding.
        jitter: relative spread of a set's time, the standard deviation of its logarithm.
    """

    fixed_s: float = 0.05
    step_s: float = 0.0
    image_step_s: float = 0.002
    image_s: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is not a time."""
        values = [getattr(self, field.name) for field in fields(self)]
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"{self} has a negative time: give seconds of 0 or more")

    def seconds(self, images: int, steps: int = 1) -> float:
        """Return how long a set takes in the middle of its spread."""
        return self.once_s(images) + steps * self.each_step_s(images)

    def once_s(self, images: int) -> float:
        """Return the seconds of a set that do not depend on its steps."""
        return self.fixed_s + self.image_s * images

    def each_step_s(self, images: int) -> float:
        """Return the seconds of one step."""
        return self.step_s + self.image_step_s * images

    def slowed(self, factor: float) -> "TimeLaw":
        """Return the law of a model that takes `factor` times as long; the spread stays."""
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"slowdown is {factor}: give a factor over 0")
        times = (self.fixed_s, self.step_s, self.image_step_s, self.image_s)
        fixed_s, step_s, image_step_s, image_s = (factor * seconds for seconds in times)
        return replace(
            self, fixed_s=fixed_s, step_s=step_s, image_step_s=image_step_s, image_s=image_s
        )


def read_law(law: str, role: Role) -> TimeLaw:
    """Return the law of a role from a file that `python -m benchmarks.time_law` has written.

    Args:
        law: a path that ends in `.json`, from the checkout's root if it is relative; or the name
            in `benchmarks/results/time_law_<name>.json`.
        role: of the model.

    Raises:
        ValueError: there is no such file, or it is not a file of laws.
    """
    path = law_path(law)
    try:
        numbers = json.loads(path.read_text())["laws"][role]
        return TimeLaw(**{key: float(value) for key, value in numbers.items()})
    except OSError as error:
        names = sorted(one.stem.removeprefix("time_law_") for one in RESULTS.glob("time_law_*"))
        raise ValueError(
            f"law {law!r}: {path} cannot be read ({error.strerror}); names here: {', '.join(names)}"
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"law {law!r}: {path} is not a file of laws: {error}") from error


def law_path(law: str) -> Path:
    """Return the file that a law's name or path means."""
    return (
        RESULTS.parent.parent / law if law.endswith(".json") else RESULTS / f"time_law_{law}.json"
    )
