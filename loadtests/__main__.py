"""Shows the options of the kit: Locust's own `--help` ends before it has read them.

python -m loadtests
"""

from __future__ import annotations

import sys

from locust.argument_parser import LocustArgumentParser

from loadtests.flags import add_options


def main() -> int:
    """Print the options."""
    parser = LocustArgumentParser(
        prog="locust --config loadtests/locust.conf",
        usage="%(prog)s [options of the kit] [options of Locust: see locust --help]",
        description="Asks a service for pairs, streams and sweeps, and checks every answer.",
        add_env_var_help=False,
        add_config_file_help=False,
        add_help=False,
    )
    add_options(parser)
    sys.stdout.write(parser.format_help())
    return 0


if __name__ == "__main__":
    sys.exit(main())
