"""FastAPI as a careful engineer would serve sets: one batched call, the event loop kept free.

One thread loads the model and makes all calls, so that torch has one team of threads; images are
encoded in others while the next set is being made.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import torch
from fastapi import FastAPI
from PIL import Image

from benchmarks.comparison.fastapi_command import serve_app
from benchmarks.comparison.job import DiffusionJob
from benchmarks.comparison.pictures import png_in_base64
from benchmarks.comparison.pipeline import batched, load_pipeline
from benchmarks.comparison.set_request import SetRequest

_models: dict[str, Any] = {}
_model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request, in the thread that will use it."""
    _models["img2img"] = await asyncio.wrap_future(_model_thread.submit(load_pipeline))
    yield
    _model_thread.shutdown(cancel_futures=True)


app = FastAPI(lifespan=lifespan)


@app.post("/set")
async def make_set(request: SetRequest) -> dict[str, list[str]]:
    """Make one set."""
    images = await asyncio.wrap_future(_model_thread.submit(_make, request.job()))
    files = await asyncio.gather(*(asyncio.to_thread(png_in_base64, image) for image in images))
    return {"images": files}


@torch.inference_mode()
def _make(job: DiffusionJob) -> list[Image.Image]:
    return batched(_models["img2img"], job)


def main() -> None:
    """Serve until a signal comes."""
    serve_app(app, __doc__)


if __name__ == "__main__":
    main()
