"""Makes an API key: prints it once, and adds its digest to a file of keys."""

import argparse
import os
import re
import secrets
import sys
from datetime import date
from pathlib import Path

from deployments.api.key_file import PREFIX, digest_of, parse_date, read_keys, today

DEFAULT_FILE = Path("~/.config/twinset/api-keys")
"""As serve_config.yaml has it."""
_NAME = re.compile(r"[\w.@+-]{1,80}")


def main() -> int:
    """Parse the command line and make a key."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="To revoke a key, delete its line: no restart is needed."
    )
    parser.add_argument("name", help="whose key it is, such as alice or gallery-1")
    parser.add_argument(
        "--file", type=Path, default=DEFAULT_FILE, help="what api_keys_file names (%(default)s)"
    )
    parser.add_argument("--until", help="the key's last day, in UTC, such as 2027-01-31")
    arguments = parser.parse_args()
    try:
        _check_name(arguments.name)
        until = None if arguments.until is None else _future(arguments.until)
        key = add_key(arguments.file.expanduser(), arguments.name, until)
    except OSError as error:
        sys.stderr.write(
            f"twinset: cannot write {arguments.file}: {error.strerror}; choose another file (KEYS=)"
            ", or run this as somebody who may\n"
        )
        return 1
    except ValueError as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    expires = "" if until is None else f"It expires at the end of {until} (UTC). "
    sys.stdout.write(
        f"{key}\n\nThis is the key of {arguments.name}; it is shown this once. {expires}"
        f"Its digest is in {arguments.file}.\n"
    )
    return 0


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: use up to 80 letters, digits, _ . @ + -")
    if name.lower().startswith("until"):
        raise ValueError(f"{name!r} is no name: a word with `until` is a date (UNTIL=2027-01-31)")


def _future(text: str) -> date:
    until = parse_date(text)
    if until < today():
        raise ValueError(f"UNTIL={until} is over: give the key's last day, today or later")
    return until


def add_key(file: Path, name: str, until: date | None = None) -> str:
    """Add the digest of a new key to a file and return the key.

    Raises:
        OSError: the file cannot be written.
        ValueError: it is there and is no file of keys, or open to other users.
    """
    if file.exists():
        _, rights = read_keys(file)
        if rights is not None:
            raise ValueError(rights)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = PREFIX + secrets.token_urlsafe(32)
    words = [digest_of(key), *([] if until is None else [f"until:{until}"]), name]
    file.touch(mode=0o600)
    with file.open("a+b") as opened:
        if opened.tell():
            opened.seek(-1, os.SEEK_END)
        # Without a line end the last line would take this one in.
        line_end = "" if opened.read(1) in b"\r\n" else "\n"
        opened.write(f"{line_end}{' '.join(words)}\n".encode())
    return key


if __name__ == "__main__":
    sys.exit(main())
