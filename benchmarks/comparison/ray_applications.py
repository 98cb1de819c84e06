"""Ray Serve's own example of Stable Diffusion, adapted to pictures; and an expert's version.

Replicas import this file: torch is loaded where the model is, not in the ingress.
"""

import asyncio
from io import BytesIO
from typing import Annotated, Any

from fastapi import FastAPI, Form, Response, UploadFile
from PIL import Image
from ray import serve
from ray.serve.handle import DeploymentHandle

from benchmarks.comparison.job import DiffusionJob
from benchmarks.comparison.pictures import png_in_base64
from benchmarks.comparison.set_request import SetRequest

documented_api = FastAPI()
expert_api = FastAPI()


@serve.ingress(documented_api)
class DocumentedIngress:
    """Takes one picture, has one image made, and encodes it in its event loop."""

    def __init__(self, model: DeploymentHandle) -> None:
        """Take the model's handle."""
        self._model = model

    @documented_api.post("/imagine", response_class=Response)
    async def imagine(
        self,
        image: UploadFile,
        prompt: Annotated[str, Form()],
        strength: Annotated[float, Form()],
        guidance_scale: Annotated[float, Form()],
        num_inference_steps: Annotated[int, Form()],
        seed: Annotated[int, Form()],
    ) -> Response:
        """Make one image."""
        picture = await image.read()
        job = DiffusionJob(picture, prompt, strength, guidance_scale, num_inference_steps, (seed,))
        made = await self._model.generate.remote(job)
        file = BytesIO()
        made.save(file, "PNG")
        return Response(file.getvalue(), media_type="image/png")


class DocumentedModel:
    """One image a call; as many calls at once as Serve sends: five, unless told otherwise."""

    def __init__(self) -> None:
        """Load the model."""
        from benchmarks.comparison.pipeline import load_pipeline

        self._pipeline = load_pipeline()

    def generate(self, job: DiffusionJob) -> Image.Image:
        """Make one image."""
        from benchmarks.comparison.pipeline import one

        return one(self._pipeline, job, job.seeds[0])


def _file_of(array: Any) -> str:
    # Above the ingress: `serve.ingress` makes a copy of what it needs when it decorates.
    return png_in_base64(Image.fromarray(array))


@serve.ingress(expert_api)
class ExpertIngress:
    """Takes one picture, has a set made, and encodes it while the next one is being made."""

    def __init__(self, model: DeploymentHandle) -> None:
        """Take the model's handle."""
        self._model = model

    @expert_api.post("/set")
    async def make_set(self, request: SetRequest) -> dict[str, list[str]]:
        """Make one set."""
        arrays = await self._model.generate.remote(request.job())
        files = await asyncio.gather(*(asyncio.to_thread(_file_of, array) for array in arrays))
        return {"images": files}


class ExpertModel:
    """A set a call, one call at a time, in the replica's own thread."""

    def __init__(self) -> None:
        """Load the model."""
        from benchmarks.comparison.pipeline import load_pipeline

        self._pipeline = load_pipeline()

    async def generate(self, job: DiffusionJob) -> Any:
        """Make (N, S, S, 3) uint8 in [0, 255]: Ray passes arrays without a copy.

        A coroutine, though it computes: Serve then runs it in the thread that loaded the model,
        which is the one that may have to wait for it, because no other request is let in.
        """
        import numpy as np
        import torch

        from benchmarks.comparison.pipeline import batched

        with torch.inference_mode():
            return np.stack([np.asarray(image) for image in batched(self._pipeline, job)])


_api = serve.deployment(num_replicas=1)
_one_at_a_time = serve.deployment(num_replicas=1, max_ongoing_requests=1)
documented = _api(DocumentedIngress).bind(serve.deployment(num_replicas=1)(DocumentedModel).bind())
documented_serial = _api(DocumentedIngress).bind(_one_at_a_time(DocumentedModel).bind())
_many_at_a_time = serve.deployment(num_replicas=1, max_ongoing_requests=100)
expert = _many_at_a_time(ExpertIngress).bind(_one_at_a_time(ExpertModel).bind())
