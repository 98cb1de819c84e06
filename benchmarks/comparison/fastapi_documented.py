"""Plain FastAPI as its documentation has it: a model loaded at startup, a `def` route, a lock.

FastAPI runs a route that is no coroutine in a thread of its pool. diffusers' pipelines keep state,
so a lock lets one thread in at a time.
"""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Form, Response, UploadFile

from benchmarks.comparison.fastapi_command import serve_app
from benchmarks.comparison.job import DiffusionJob
from benchmarks.comparison.pictures import png
from benchmarks.comparison.pipeline import load_pipeline, one

_models: dict[str, Any] = {}
_lock = threading.Lock()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request, and let go of it after the last."""
    _models["img2img"] = load_pipeline()
    yield
    _models.clear()


app = FastAPI(lifespan=lifespan)


@app.post("/imagine", response_class=Response)
def imagine(
    image: UploadFile,
    prompt: Annotated[str, Form()],
    strength: Annotated[float, Form()],
    guidance_scale: Annotated[float, Form()],
    num_inference_steps: Annotated[int, Form()],
    seed: Annotated[int, Form()],
) -> Response:
    """Make one image."""
    picture = image.file.read()
    job = DiffusionJob(picture, prompt, strength, guidance_scale, num_inference_steps, (seed,))
    with _lock:
        made = one(_models["img2img"], job, seed)
    return Response(png(made), media_type="image/png")


def main() -> None:
    """Serve until a signal comes."""
    serve_app(app, __doc__)


if __name__ == "__main__":
    main()
