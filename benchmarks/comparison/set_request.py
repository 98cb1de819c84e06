"""The request of the expert servers: one picture, many seeds."""

import base64

from pydantic import BaseModel

from benchmarks.comparison.job import DiffusionJob


class SetRequest(BaseModel):
    """The body of `POST /set`; the answer is `{"images": [...]}`, PNG files in base64."""

    image: str
    prompt: str
    strength: float
    guidance_scale: float
    num_inference_steps: int
    seeds: list[int]

    def job(self) -> DiffusionJob:
        """Return what is to be made."""
        return DiffusionJob(
            picture=base64.b64decode(self.image),
            prompt=self.prompt,
            strength=self.strength,
            guidance_scale=self.guidance_scale,
            num_inference_steps=self.num_inference_steps,
            seeds=tuple(self.seeds),
        )
