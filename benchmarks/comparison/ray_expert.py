"""Ray Serve as a careful engineer would serve sets: one batched call at a time."""

import sys

from benchmarks.comparison.ray_cluster import serve_application

if __name__ == "__main__":
    sys.exit(serve_application("expert", __doc__))
