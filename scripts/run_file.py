"""Notes what runs, in `.run/`, so that `make stop` finds one that was left behind."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

RUN_DIRECTORY = Path(__file__).resolve().parent.parent / ".run"


class RunFileError(Exception):
    """The file cannot be kept; the sentence says why and what to do."""


@dataclass(frozen=True)
class RunFile:
    """A file that lives as long as the service whose process and directory it names."""

    path: Path
    url: str

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator["RunFile"]:
        """Keep the file while the context lasts.

        Raises:
            RunFileError: there is no place for it that nobody else can write to.
        """
        try:
            RUN_DIRECTORY.mkdir(exist_ok=True)
            RUN_DIRECTORY.chmod(0o700)  # `make stop` does what stands in it
        except OSError as error:
            raise RunFileError(
                f"{RUN_DIRECTORY} must be a folder of yours: {error.strerror}; clone Twinset into "
                "a folder of your own"
            ) from error
        run_file = cls(RUN_DIRECTORY / f"{os.getpid()}.json", url)
        try:
            yield run_file
        finally:
            run_file.path.unlink(missing_ok=True)

    def record(self, directory: Path) -> None:
        """Write which process serves what, and where Ray keeps its files."""
        started = psutil.Process().create_time()  # a process id alone is given out again
        facts = {"pid": os.getpid(), "started": started, "url": self.url}
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps({**facts, "directory": str(directory)}))
        partial.rename(self.path)
