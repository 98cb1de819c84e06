"""Ten images from one: encode once, noise per seed, denoise as one batch, decode as one batch.

The pixels are those of diffusers' `StableDiffusionImg2ImgPipeline` called with a list of
generators (SDEdit, Meng et al. 2021; classifier-free guidance, Ho and Salimans 2022), which
encodes the same picture once a generator.
"""

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from models import pixels as picture_pixels
from models.interfaces import GeneratedSet, ModelInfo, RGBPixels, StepCallback, ignore_steps
from models.parameters import ImageToImageParameters
from models.stable_diffusion.components import Components
from models.stable_diffusion.pacing import StepPacer, end_marker
from models.stable_diffusion.prompts import Embedding, PromptEncoder
from models.stable_diffusion.step_inputs import StepInputs, StepNeeds, rehearsed
from models.tensors import pixels_of_signed, signed_tensor

# A picture this dark (of 255) may stay black; from any other one a black image is a defect.
_DARK = 8
_REMEMBERED_SCHEDULES = 100


@dataclass
class _Calls:
    """Forward passes of one set, counted where they are made."""

    encoder: int = 0
    unet: int = 0


class ImageToImageSampler:
    """Serves a Stable Diffusion checkpoint as a `models.interfaces.ImageToImageModel`."""

    def __init__(self, components: Components, info: ModelInfo) -> None:
        """Take loaded components; images are `info.image_size_px` square."""
        self._components = components
        self._info = info
        self._prompts = PromptEncoder(components)
        self._upcast_vae: Any = None
        self._needs: dict[tuple[int, float], StepNeeds] = {}

    @property
    def info(self) -> ModelInfo:
        """Describe the loaded weights."""
        return self._info

    @torch.inference_mode()
    def prepare(self) -> None:
        """Make and use once what only some sets need: it is to be part of what is known to fit."""
        vae = self._components.vae
        if vae.dtype == torch.float32:
            return
        upcast, shrinks = self._float32_vae(), 2 ** (len(vae.config.block_out_channels) - 1)
        side = self._info.image_size_px // shrinks
        latents = torch.zeros(1, vae.config.latent_channels, side, side, device=vae.device)
        _decode(upcast.decode, latents, upcast)

    @torch.inference_mode()
    def generate(
        self,
        image: RGBPixels,
        seeds: Sequence[int],
        parameters: ImageToImageParameters,
        on_step: StepCallback = ignore_steps,
    ) -> GeneratedSet:
        """Make `len(seeds)` images of `image`.

        Args:
            image: (S, S, 3) uint8; resized to the model's side with Lanczos, as diffusers does.
            seeds: one seed an image; its generator draws the posterior sample, then the noise.
            parameters: prompts, strength, guidance and steps.
            on_step: called when each step of the scheduler is done, also where a GPU works ahead
                of this thread; what it raises ends the set.

        Raises:
            RuntimeError: an image is not finite or all black, in float32 too.
        """
        calls = _Calls()
        # Generators live on the CPU whatever the device: a seed means the same noise everywhere.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        prompt = self._prompts.encode(parameters.prompt)
        context = self._context(prompt, parameters, len(seeds))
        scheduler, timesteps = self._schedule(parameters)
        clean = self._encode(image, generators, calls)
        noise = self._draw(clean.shape[1:], generators)
        latents = scheduler.add_noise(clean, noise, timesteps[:1].repeat(len(seeds)))
        extra = _step_arguments(scheduler, generators)
        device = self._components.device
        needs = self._needs_of(parameters)
        inputs = StepInputs(needs, scheduler, generators, clean.shape[1:], device)
        pacer = StepPacer(len(timesteps), on_step, end_marker(device))
        for timestep, on_device in zip(timesteps, timesteps.to(device), strict=True):
            model_input = _model_input(scheduler, latents, timestep, parameters)
            predicted = self._predict(model_input, on_device, context, parameters)
            calls.unet += 1
            with inputs:
                made = scheduler.step(predicted, timestep, latents, **extra, return_dict=False)
            latents = made[0]
            pacer.queued()
        pacer.finish()
        pixels, notes = self._finish(latents, may_be_black=int(image.max()) <= _DARK)
        filtered = self._components.safety.flagged(pixels) if self._components.safety else ()
        pixels[list(filtered)] = 0
        notes += _notes("prompt", prompt)
        if _is_guided(parameters):
            negative = self._prompts.encode(parameters.negative_prompt)
            notes += _notes("negative_prompt", negative)
        return GeneratedSet(pixels, calls.encoder, calls.unet, notes, filtered)

    def _context(self, prompt: Embedding, parameters: ImageToImageParameters, count: int) -> Tensor:
        """Return (N or 2N, T, C): with guidance, the negative prompt's half stands first."""
        conditional = prompt.hidden_states.repeat(count, 1, 1)
        if not _is_guided(parameters):
            return conditional.to(self._components.dtype)
        negative = self._prompts.encode(parameters.negative_prompt).hidden_states
        return torch.cat([negative.repeat(count, 1, 1), conditional]).to(self._components.dtype)

    def _schedule(self, parameters: ImageToImageParameters) -> tuple[Any, Tensor]:
        """Return a scheduler of this set's own, and the timesteps that `strength` leaves.

        Both stay on the CPU: schedulers look their tables up by timestep, and to read one from a
        GPU is to wait for it.
        """
        template = self._components.scheduler
        scheduler = type(template).from_config(template.config)
        steps = parameters.num_inference_steps
        scheduler.set_timesteps(steps, device="cpu")
        begin = (steps - min(int(steps * parameters.strength), steps)) * scheduler.order
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begin)
        return scheduler, scheduler.timesteps[begin:]

    def _needs_of(self, parameters: ImageToImageParameters) -> StepNeeds:
        """Return what the steps of a schedule take, rehearsed when it comes for the first time."""
        key = (parameters.num_inference_steps, parameters.strength)
        if key not in self._needs:
            scheduler, timesteps = self._schedule(parameters)
            while len(self._needs) >= _REMEMBERED_SCHEDULES:
                self._needs.pop(next(iter(self._needs)))
            self._needs[key] = rehearsed(
                scheduler,
                timesteps,
                self._components.dtype,
                self._components.device,
                partial(_step_arguments, scheduler),
            )
        return self._needs[key]

    def _encode(
        self, image: RGBPixels, generators: Sequence[torch.Generator], calls: _Calls
    ) -> Tensor:
        """Return (N, C, h, w) scaled latents: one encoder call, one posterior sample a seed."""
        vae = self._components.vae
        resized = picture_pixels.resize(image, self._info.image_size_px, Image.Resampling.LANCZOS)
        pixels = signed_tensor(resized).to(self._components.device, vae.dtype)
        # diffusers' layout: another one rounds differently in half precision.
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        posterior = vae.encode(pixels).latent_dist
        calls.encoder += 1
        eps = self._draw(posterior.mean.shape[1:], generators).to(vae.dtype)
        samples = posterior.mean + posterior.std * eps
        return vae.config.scaling_factor * samples.to(self._components.dtype)

    def _draw(self, shape: torch.Size, generators: Sequence[torch.Generator]) -> Tensor:
        """Return (N, *shape) standard normal noise in the UNet's dtype, row k from generator k.

        Drawn in float32 and rounded: in half precision torch before 2.14 draws another stream.
        """
        rows = [torch.randn(shape, generator=one, dtype=torch.float32) for one in generators]
        return torch.stack(rows).to(self._components.device, self._components.dtype)

    def _predict(
        self,
        model_input: Tensor,
        timestep: Tensor,
        context: Tensor,
        parameters: ImageToImageParameters,
    ) -> Tensor:
        """Return the guided prediction of the UNet, (N, C, h, w), of (N or 2N, C, h, w)."""
        output = self._components.denoise(
            model_input, timestep, encoder_hidden_states=context, return_dict=False
        )[0]
        if not _is_guided(parameters):
            return torch.as_tensor(output)
        negative, conditional = output.chunk(2)
        return torch.as_tensor(negative + parameters.guidance_scale * (conditional - negative))

    def _finish(self, latents: Tensor, may_be_black: bool) -> tuple[RGBPixels, tuple[str, ...]]:
        """Return (N, S, S, 3) uint8 and notes; what half precision spoils is decoded once more.

        The spoiled images alone: the others must not depend on what happened to them.
        """
        vae = self._components.vae
        decoded = _decode(self._components.decode, latents, vae)
        spoiled = _spoiled(decoded, may_be_black)
        if not spoiled:
            return pixels_of_signed(decoded), ()
        if vae.dtype != torch.float32:
            # One by one: a whole set in float32 may be more than the card has left.
            upcast = self._float32_vae()
            again = torch.cat(
                [_decode(upcast.decode, latents[[index]], upcast) for index in spoiled]
            )
            if not _spoiled(again, may_be_black):
                pixels = pixels_of_signed(torch.nan_to_num(decoded))
                pixels[spoiled] = pixels_of_signed(again)
                return pixels, (_upcast_note(spoiled, vae.dtype),)
        raise RuntimeError(
            f"images {spoiled} are not finite or all black, decoded in float32 too: the weights "
            f"are damaged, or precision {self._info.precision!r} is too narrow for them; try "
            "precision 'bfloat16' or 'float32'"
        )

    def _float32_vae(self) -> Any:
        """Return the VAE in float32, made when it is first needed."""
        if self._upcast_vae is None:
            self._upcast_vae = copy.deepcopy(self._components.vae).float()
        return self._upcast_vae


def _model_input(
    scheduler: Any, latents: Tensor, timestep: Tensor, parameters: ImageToImageParameters
) -> Tensor:
    """Return (N or 2N, C, h, w): with guidance the UNet sees each image twice."""
    doubled = torch.cat([latents] * 2) if _is_guided(parameters) else latents
    return torch.as_tensor(scheduler.scale_model_input(doubled, timestep))


def _decode(decode: Any, latents: Tensor, vae: Any) -> Tensor:
    """Return (N, 3, S, S) in the VAE's dtype, in about [-1, 1], by its decoder or one in place."""
    scaled = latents.to(vae.dtype) / vae.config.scaling_factor
    return torch.as_tensor(decode(scaled, return_dict=False)[0])


def _spoiled(decoded: Tensor, may_be_black: bool) -> list[int]:
    """Return the indices of images with a value that is not finite, and of those all black."""
    rows = decoded.float().flatten(start_dim=1)
    bad = ~torch.isfinite(rows).all(dim=1)
    if not may_be_black:
        bad |= rows.amax(dim=1) <= 1 / 255 - 1  # what becomes 0 of 255
    return [int(index) for index in bad.nonzero().flatten()]


def _upcast_note(indices: Sequence[int], dtype: torch.dtype) -> str:
    named = ", ".join(str(index) for index in indices)
    precision = str(dtype).removeprefix("torch.")
    return f"decoded again in float32, because {precision} spoiled them: images {named}"


def _is_guided(parameters: ImageToImageParameters) -> bool:
    return parameters.guidance_scale > 1.0


def _step_arguments(scheduler: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    # Not every scheduler adds noise in its steps; those that do take eta or generators.
    accepted = inspect.signature(scheduler.step).parameters
    offered: dict[str, Any] = {"eta": 0.0, "generator": generators}
    return {name: value for name, value in offered.items() if name in accepted}


def _notes(name: str, text: Embedding) -> tuple[str, ...]:
    if text.tokens <= text.limit:
        return ()
    return (f"{name} has {text.tokens} tokens; the model reads {text.limit}, the rest was cut off",)
