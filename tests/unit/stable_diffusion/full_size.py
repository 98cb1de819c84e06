"""Stable Diffusion v1.5 in its full size with random weights: builds it, or loads and runs it.

Run as `python -m tests.unit.stable_diffusion.full_size build|run DIRECTORY`, each in a process of
its own, so that the memory is free again and its peak is the process's own.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionImg2ImgPipeline
from safetensors import safe_open
from transformers import CLIPImageProcessor, CLIPTokenizer

from benchmarks.gpu.networks import flag_nothing, full_size_networks, published_scheduler
from models.demo.vocabulary import write_tokenizer
from models.parameters import ImageToImageParameters
from models.roles import DIFFUSION, FACTS
from models.stable_diffusion.checkpoint import load_stable_diffusion
from models.stable_diffusion.config import PUBLISHED_REVISION
from models.weights_manifest import checked_directory, measure, write_manifest
from tests.unit.stable_diffusion.conftest import face, use_published_names

WEIGHTS = {
    "unet": "diffusion_pytorch_model.fp16.safetensors",
    "vae": "diffusion_pytorch_model.fp16.safetensors",
    "text_encoder": "model.fp16.safetensors",
    "safety_checker": "model.fp16.safetensors",
}


def build(weights_dir: Path) -> None:
    """Write prepared weights in half precision, named as the published ones, with a manifest."""
    torch.manual_seed(0)
    directory = weights_dir / FACTS[DIFFUSION].weights_folder
    write_tokenizer(directory / "tokenizer")
    settings = directory / "tokenizer" / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"model_max_length": 77}))
    tokenizer = CLIPTokenizer.from_pretrained(directory / "tokenizer")
    unet, vae, text_encoder, checker = (one.half() for one in full_size_networks())
    flag_nothing(checker)
    # One whole pipeline at once: it is the pipeline that writes the model index.
    pipeline = StableDiffusionImg2ImgPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=published_scheduler(),
        safety_checker=checker,
        feature_extractor=CLIPImageProcessor(),
    )
    pipeline.save_pretrained(directory, variant="fp16")
    use_published_names(directory)
    (directory / "source.json").write_text(json.dumps({"revision": PUBLISHED_REVISION}))
    write_manifest(weights_dir, measure(weights_dir, "stable_diffusion"))


def _same_weights(module: Any, file: Path) -> int:
    """Count the tensors of a module that are what the file holds under whatever prefix."""
    with safe_open(file, "pt") as opened:
        stored = {name.removeprefix("text_model."): name for name in opened.keys()}  # noqa: SIM118
        stored = {
            name.replace("vision_model.vision_model.", "vision_model."): key
            for name, key in stored.items()
        }
        return sum(
            torch.equal(value, opened.get_tensor(stored[name]).to(value.dtype))
            for name, value in module.state_dict().items()
            if name in stored
        )


def run(weights_dir: Path, precision: Any) -> dict[str, Any]:
    """Load the weights as a replica does and make one image in two steps."""
    checked = time.perf_counter()
    checked_directory(weights_dir, "stable_diffusion")
    started = time.perf_counter()
    model = load_stable_diffusion(weights_dir=str(weights_dir), device="cpu", precision=precision)
    loaded = time.perf_counter()
    parts = model._components
    modules = {
        "unet": parts.unet,
        "vae": parts.vae,
        "text_encoder": parts.text_encoder,
        "safety_checker": parts.safety and parts.safety._checker,
    }
    directory = weights_dir / FACTS[DIFFUSION].weights_folder
    facts: dict[str, Any] = {
        name: {
            "parameters": sum(one.numel() for one in module.parameters()),
            "tensors": len(module.state_dict()),
            "same": _same_weights(module, directory / name / WEIGHTS[name]),
        }
        for name, module in modules.items()
    }
    asked = time.perf_counter()
    parameters = ImageToImageParameters("a face", "", 1.0, 1.0, 2)
    made = model.generate(face(512), [7], parameters)
    facts["check_s"] = round(started - checked, 1)
    facts["load_s"] = round(loaded - started, 1)
    facts["generate_s"] = round(time.perf_counter() - asked, 1)
    facts["peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    facts["shape"] = made.pixels.shape
    facts["spread"] = float(made.pixels.std())
    facts["calls"] = [made.encoder_calls, made.unet_calls]
    facts["notes"], facts["filtered"] = list(made.notes), list(made.filtered)
    facts["revision"], facts["precision"] = model.info.revision, model.info.precision
    return facts


if __name__ == "__main__":
    torch.set_num_threads(2)
    if sys.argv[1] == "build":
        build(Path(sys.argv[2]))
    else:
        sys.stdout.write("FACTS " + json.dumps(run(Path(sys.argv[2]), sys.argv[3])) + "\n")
