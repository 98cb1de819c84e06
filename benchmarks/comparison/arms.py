"""The arms that run inside one process, each with its clock; importing this loads torch."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from PIL import Image

from benchmarks.comparison.in_process import Arm, application
from benchmarks.comparison.job import DiffusionJob
from benchmarks.comparison.pictures import opened, png
from benchmarks.comparison.pipeline import CallCounts, batched, load_pipeline, one
from deployments.settings import LimitSettings, ModelSettings
from models.interfaces import GeneratedSet
from models.parameters import ImageToImageParameters
from models.pixels import SquarePicture, read_square
from models.provenance import Provenance, encode_with_provenance
from models.roles import DIFFUSION
from models.set_metrics import descriptor

_ENCODER_THREADS = (
    4  # as a replica has; deployments.replica.model_replica, which says so, would import Ray
)


@dataclass(frozen=True)
class Made:
    """One set and what it took.

    Attributes:
        images: PNG files, in the order of the seeds.
        seconds: from the bytes of the picture to the bytes of all images.
        encode_s: of these, while PNG files were being written.
        encode_cpu_s: what writing them took of the processor, over all threads.
        first_image_s: until the first image was a file.
        unet_calls: passes of the UNet.
        encoder_calls: passes of the image encoder.
    """

    images: Sequence[bytes]
    seconds: float
    encode_s: float
    encode_cpu_s: float
    first_image_s: float
    unet_calls: int
    encoder_calls: int


class LoadedArm(Protocol):
    """A model that is loaded, and a way to make a set with it."""

    def make(self, job: DiffusionJob) -> Made:
        """Make one set, in the thread that has loaded the model."""
        ...


@dataclass(frozen=True)
class _File:
    """An encoded image; moments on the clock of `time.perf_counter()`."""

    data: bytes
    began_s: float
    done_s: float
    cpu_s: float


def load_arm(name: Arm) -> LoadedArm:
    """Load the model of an arm."""
    if name == "notebook":
        return _Notebook()
    return _Diffusers() if name == "diffusers" else _Twinset()


class _Notebook:
    """A call an image, and a file after each."""

    def __init__(self) -> None:
        self._pipeline = load_pipeline()

    def make(self, job: DiffusionJob) -> Made:
        started = time.perf_counter()
        face = opened(job.picture)
        with CallCounts(self._pipeline) as counts:
            files = [self._image(job, seed, face) for seed in job.seeds]
        return _made(files, started, counts.unet, counts.encoder)

    def _image(self, job: DiffusionJob, seed: int, face: Image.Image) -> _File:
        return _written(partial(png, one(self._pipeline, job, seed, face)))


class _Diffusers:
    """One call for all images, and then their files."""

    def __init__(self) -> None:
        self._pipeline = load_pipeline()

    def make(self, job: DiffusionJob) -> Made:
        started = time.perf_counter()
        with CallCounts(self._pipeline) as counts:
            images = batched(self._pipeline, job)
        files = [_written(partial(png, image)) for image in images]
        return _made(files, started, counts.unet, counts.encoder)


class _Twinset:
    """The served model as its replica uses it, without Ray around it."""

    def __init__(self) -> None:
        self._model = ModelSettings(**application()["args"][DIFFUSION]).build()
        self._encoders = ThreadPoolExecutor(_ENCODER_THREADS, thread_name_prefix="encode")
        self._limits = LimitSettings().picture_limits()

    def make(self, job: DiffusionJob) -> Made:
        started = time.perf_counter()
        picture = read_square(job.picture, self._limits)
        parameters = self._parameters(job)
        generated = self._model.generate(picture.pixels, job.seeds, parameters)

        def write(index: int) -> _File:
            provenance = self._provenance(index, job, picture, parameters, generated)
            return _written(partial(_file_of, generated, index, provenance))

        files = list(self._encoders.map(write, range(len(job.seeds))))
        return _made(files, started, generated.unet_calls, generated.encoder_calls)

    def _parameters(self, job: DiffusionJob) -> ImageToImageParameters:
        return ImageToImageParameters(
            prompt=job.prompt,
            negative_prompt=str(self._model.info.defaults["negative_prompt"]),
            strength=job.strength,
            guidance_scale=job.guidance_scale,
            num_inference_steps=job.num_inference_steps,
        )

    def _provenance(
        self,
        index: int,
        job: DiffusionJob,
        picture: SquarePicture,
        parameters: ImageToImageParameters,
        generated: GeneratedSet,
    ) -> Provenance:
        info = self._model.info
        return Provenance(
            model=info.id,
            revision=info.revision,
            seed=job.seeds[index],
            parameters={**vars(parameters), "seeds": list(job.seeds)},
            input=picture.facts(),
            precision=info.precision,
            unet_calls=generated.unet_calls,
            scheduler=info.scheduler,
        )


def _file_of(generated: GeneratedSet, index: int, provenance: Provenance) -> bytes:
    pixels = generated.pixels[index]
    descriptor(pixels)  # a replica makes it beside the file, for the set's metrics
    return encode_with_provenance(pixels, "png", provenance)


def _written(write: Callable[[], bytes]) -> _File:
    """Write one file in this thread, on its clock."""
    began_s, cpu_s = time.perf_counter(), time.thread_time()
    data = write()
    return _File(data, began_s, time.perf_counter(), time.thread_time() - cpu_s)


def _made(files: Sequence[_File], started: float, unet_calls: int, encoder_calls: int) -> Made:
    return Made(
        images=[file.data for file in files],
        seconds=time.perf_counter() - started,
        encode_s=_covered_s(files),
        encode_cpu_s=sum(file.cpu_s for file in files),
        first_image_s=min(file.done_s for file in files) - started,
        unet_calls=unet_calls,
        encoder_calls=encoder_calls,
    )


def _covered_s(files: Sequence[_File]) -> float:
    """Return for how long at least one file was being written."""
    covered, until = 0.0, 0.0
    for file in sorted(files, key=lambda file: file.began_s):
        covered += max(0.0, file.done_s - max(file.began_s, until))
        until = max(until, file.done_s)
    return covered
