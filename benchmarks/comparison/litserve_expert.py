"""LitServe as a careful engineer would serve sets: a set a request, made in one batched call.

One worker process makes the calls; it encodes a set's images in threads, before the next call.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import litserve  # type: ignore[import-untyped]
import torch
from PIL import Image

from benchmarks.comparison.job import DiffusionJob
from benchmarks.comparison.litserve_command import serve_api
from benchmarks.comparison.pictures import png_in_base64
from benchmarks.comparison.pipeline import batched, load_pipeline
from benchmarks.comparison.set_request import SetRequest


class SetAPI(litserve.LitAPI):
    """Makes one set a request."""

    def setup(self, device: str) -> None:
        """Load the model in the worker process."""
        self.pipeline = load_pipeline()
        self.encoders = ThreadPoolExecutor(thread_name_prefix="encode")

    def decode_request(self, request: SetRequest) -> DiffusionJob:
        """Read the job."""
        return request.job()

    @torch.inference_mode()
    def predict(self, job: DiffusionJob) -> list[Image.Image]:
        """Make the images."""
        return batched(self.pipeline, job)

    def encode_response(self, images: list[Image.Image]) -> dict[str, Any]:
        """Write the PNG files."""
        return {"images": list(self.encoders.map(png_in_base64, images))}


def main() -> None:
    """Serve until a signal comes."""
    serve_api(SetAPI(api_path="/set"), __doc__)


if __name__ == "__main__":
    main()
