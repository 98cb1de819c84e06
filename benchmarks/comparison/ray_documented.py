"""Ray Serve's own example of Stable Diffusion, adapted to pictures: one image a request."""

import sys

from benchmarks.comparison.ray_cluster import serve_application

if __name__ == "__main__":
    sys.exit(serve_application("documented", __doc__))
