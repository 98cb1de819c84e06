"""Says how far a run is: one bar, and lines for what should be read later."""

from types import TracebackType
from typing import Self

from tqdm import tqdm


class Telling:
    """A context manager: a progress bar that counts sets."""

    def __init__(self, sets: int) -> None:
        """Take how many sets there will be."""
        self._bar = tqdm(total=sets, unit="set", dynamic_ncols=True)

    def __enter__(self) -> Self:
        """Show the bar."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def say(self, words: str) -> None:
        """Say what is done now, beside the bar."""
        self._bar.set_description(words[:40].ljust(40))

    def note(self, words: str) -> None:
        """Leave a line above the bar."""
        self._bar.write(words)

    def advance(self, sets: int) -> None:
        """Count sets."""
        self._bar.update(sets)
