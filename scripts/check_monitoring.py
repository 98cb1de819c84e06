"""Has promtool read our Prometheus files and run the alerts against invented series."""

import shutil
import subprocess
import sys
from pathlib import Path

MONITORING = Path(__file__).resolve().parent.parent / "configs" / "monitoring"
COMMANDS = (
    ("check", "config", "prometheus.yaml"),
    ("check", "rules", "alerts.yaml"),
    ("test", "rules", "alerts_test.yaml"),
)


def main() -> int:
    """Run promtool; 1 when it complains, 0 with a sentence when it is not installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        sys.stdout.write(
            "Not checked: promtool is not installed. It comes with Prometheus; on Debian: "
            "apt-get install prometheus\n"
        )
        return 0
    done = [subprocess.run([promtool, *command], cwd=MONITORING) for command in COMMANDS]
    return int(any(one.returncode for one in done))


if __name__ == "__main__":
    sys.exit(main())
