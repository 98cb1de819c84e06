"""Puts the Serve part of serve_config.yaml into the RayService for Kubernetes."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVE_CONFIG = ROOT / "serve_config.yaml"
RAYSERVICE = ROOT / "configs" / "kubernetes" / "rayservice.yaml"
_BEGIN = "  serveConfigV2: |\n"
_END = "  rayClusterConfig:\n"
_FIRST_KEY = "proxy_location:"
_LOOPBACK = "host: 127.0.0.1"
_ALL = "host: 0.0.0.0  # callers come from other pods; network-policies.yaml says which"


def main() -> int:
    """Rewrite the file in place."""
    RAYSERVICE.write_text(with_serve_config(RAYSERVICE.read_text(), SERVE_CONFIG.read_text()))
    sys.stdout.write(f"wrote the Serve part of {RAYSERVICE.relative_to(ROOT)}\n")
    return 0


def with_serve_config(rayservice: str, serve_config: str) -> str:
    """Return the RayService's text with the Serve config inside, comments included.

    All but the header is taken as it stands; the host alone differs, for in Kubernetes each pod has
    an address of its own and loopback would reach nobody.

    Raises:
        ValueError: a text is not as expected.
    """
    before, begin, rest = rayservice.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    _, key, config = serve_config.partition(f"\n{_FIRST_KEY}")
    if not (begin and end and key and config.count(_LOOPBACK) == 1):
        raise ValueError(f"expected {_BEGIN!r}, {_END!r}, {_FIRST_KEY!r} and one {_LOOPBACK!r}")
    lines = (_FIRST_KEY + config.replace(_LOOPBACK, _ALL)).splitlines()
    block = "".join(f"    {line}".rstrip() + "\n" for line in lines)
    return before + begin + block + end + after


if __name__ == "__main__":
    sys.exit(main())
