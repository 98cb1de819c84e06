"""LitServe as its documentation serves images: `setup`, `decode_request`, `predict`, and a PNG.

One worker process, one request after the other: its defaults. Two of its settings are not the
default: it listens on loopback alone, and requests may wait for longer than 30 s, because sixteen
callers with ten requests each would be answered with 504 otherwise.
"""

from typing import Any

import litserve  # type: ignore[import-untyped]
from fastapi import Request, Response
from PIL import Image

from benchmarks.comparison.job import DiffusionJob
from benchmarks.comparison.litserve_command import serve_api
from benchmarks.comparison.pictures import png
from benchmarks.comparison.pipeline import load_pipeline, one


class ImageAPI(litserve.LitAPI):
    """Makes one image a request."""

    def setup(self, device: str) -> None:
        """Load the model in the worker process."""
        self.pipeline = load_pipeline()

    def decode_request(self, request: Request) -> DiffusionJob:
        """Read the form."""
        form: Any = request
        return DiffusionJob(
            picture=form["image"].file.read(),
            prompt=form["prompt"],
            strength=float(form["strength"]),
            guidance_scale=float(form["guidance_scale"]),
            num_inference_steps=int(form["num_inference_steps"]),
            seeds=(int(form["seed"]),),
        )

    def predict(self, job: DiffusionJob) -> Image.Image:
        """Make the image."""
        return one(self.pipeline, job, job.seeds[0])

    def encode_response(self, image: Image.Image) -> Response:
        """Write the PNG file."""
        return Response(png(image), media_type="image/png")


def main() -> None:
    """Serve until a signal comes."""
    serve_api(ImageAPI(api_path="/imagine"), __doc__)


if __name__ == "__main__":
    main()
