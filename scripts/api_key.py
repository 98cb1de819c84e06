"""Makes an API key: prints it once, and adds its digest to a file of keys."""

import argparse
import re
import secrets
import sys
from pathlib import Path

from deployments.api.api_keys import digest_of, read_digests

PREFIX = "twinset-"
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
    arguments = parser.parse_args()
    if not _NAME.fullmatch(arguments.name):
        sys.stderr.write(
            f"twinset: {arguments.name!r} is no name: use up to 80 letters, digits, _ . @ + -\n"
        )
        return 1
    try:
        key = add_key(arguments.file.expanduser(), arguments.name)
    except OSError as error:
        sys.stderr.write(
            f"twinset: cannot write {arguments.file}: {error.strerror}; choose another file (KEYS=)"
            ", or run this as somebody who may\n"
        )
        return 1
    except ValueError as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    sys.stdout.write(
        f"{key}\n\nThis is the key of {arguments.name}; it is shown this once. "
        f"Its digest is in {arguments.file}.\n"
    )
    return 0


def add_key(file: Path, name: str) -> str:
    """Add the digest of a new key to a file and return the key.

    Raises:
        OSError: the file cannot be written.
        ValueError: it is there and is no file of keys.
    """
    if file.exists():
        read_digests(file)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = PREFIX + secrets.token_urlsafe(32)
    file.touch(mode=0o600)
    with file.open("a") as opened:
        opened.write(f"{digest_of(key)} {name}\n")
    return key


if __name__ == "__main__":
    sys.exit(main())
