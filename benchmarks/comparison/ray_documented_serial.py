"""Ray Serve's example with one setting more, `max_ongoing_requests` 1: one call at a time."""

import sys

from benchmarks.comparison.ray_cluster import serve_application

if __name__ == "__main__":
    sys.exit(serve_application("documented_serial", __doc__))
