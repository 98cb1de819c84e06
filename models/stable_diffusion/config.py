"""How a Stable Diffusion checkpoint is loaded, and which files that takes."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["float32", "float16", "bfloat16"]
PUBLISHED_ID = "stable-diffusion-v1-5/stable-diffusion-v1-5"
PUBLISHED_REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "bfloat16")
INDEX_FILE = "model_index.json"

# The components of diffusers' image-to-image pipeline; those with weights are read as safetensors.
_WEIGHTED = ("unet", "vae", "text_encoder", "safety_checker")
ALL_PARTS = (*_WEIGHTED, "scheduler", "tokenizer", "feature_extractor")
CORE_PARTS = ("unet", "vae", "text_encoder", "scheduler", "tokenizer")
_HALF = re.compile(r"\.fp16[.-]")
_VARIANTS = re.compile(r"\.(fp16|non_ema|ema|fp32|bf16)[.-]")


@dataclass(frozen=True)
class StableDiffusionConfig:
    """What to load, and how.

    Attributes:
        weights: a directory in diffusers' layout, or the id of a repository on the hub.
        revision: commit of the repository; without meaning for a directory.
        image_size_px: side of the square images, a multiple of 8.
        precision: of weights and computation; the default is float16 on a GPU, else float32.
        device: "cpu", "cuda" or "cuda:N".
        scheduler: class name of diffusers' to use in place of the checkpoint's own.
        safety_checker: whether the checkpoint's safety checker judges the images, if it has one.
    """

    weights: str = PUBLISHED_ID
    revision: str | None = PUBLISHED_REVISION
    image_size_px: int = 512
    precision: Precision | None = None
    device: str = "cuda"
    scheduler: str | None = None
    safety_checker: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the value and the fix."""
        if self.precision not in (None, *PRECISIONS):
            raise ValueError(f"precision is {self.precision!r}: use one of {', '.join(PRECISIONS)}")
        if self.image_size_px < 8 or self.image_size_px % 8:
            raise ValueError(
                f"image_size_px is {self.image_size_px}: use a multiple of 8, such as 512"
            )
        if not isinstance(self.safety_checker, bool):
            # "false" in quotes would be true, and the other way round nobody should guess.
            raise ValueError(f"safety_checker is {self.safety_checker!r}: use true or false")

    @property
    def resolved_precision(self) -> Precision:
        """The precision asked for, or the sensible one for the device."""
        if self.precision is not None:
            return self.precision
        return "float16" if self.device.startswith("cuda") else "float32"


def needed(names: Collection[str], precision: Precision) -> list[str]:
    """Choose the files to fetch: each component's settings, and its weights once.

    Weights are safetensors: in half precision where that is asked for and the component has them,
    else in full.
    """
    chosen = [INDEX_FILE] if INDEX_FILE in names else []
    for part in ALL_PARTS:
        own = [name for name in names if Path(name).parent == Path(part)]
        chosen += [name for name in own if name.endswith((".json", ".txt")) and "index" not in name]
        weights = [
            name for name in own if name.endswith((".safetensors", ".safetensors.index.json"))
        ]
        half = [name for name in weights if _HALF.search(name)]
        full = [name for name in weights if not _VARIANTS.search(name)]
        chosen += half if half and (precision == "float16" or not full) else full
    return sorted(chosen)


def missing_parts(names: Collection[str], parts: Collection[str] = CORE_PARTS) -> list[str]:
    """Name what a checkpoint with these files lacks of the given components."""
    missing = [] if INDEX_FILE in names else [INDEX_FILE]
    for part in parts:
        own = [Path(name) for name in names if Path(name).parts[0] == part]
        if part in _WEIGHTED and not any(path.suffix == ".safetensors" for path in own):
            missing.append(f"{part}/*.safetensors")
        elif not own:
            missing.append(f"{part}/")
    return missing


def missing_in(directory: Path, safety_checker: bool = True) -> list[str]:
    """Name what a directory lacks of the components that its model index lists."""
    files = [*directory.glob("*"), *directory.glob("*/*")]
    names = [path.relative_to(directory).as_posix() for path in files if path.is_file()]
    if INDEX_FILE not in names:
        return missing_parts(names, ())
    index = json.loads((directory / INDEX_FILE).read_text())
    listed = [part for part in ALL_PARTS if (index.get(part) or [None])[0] is not None]
    unused = () if safety_checker else ("safety_checker", "feature_extractor")
    return missing_parts(names, [part for part in listed if part not in unused])


def variant_of(directory: Path, precision: Precision) -> str | None:
    """Return "fp16" to read a directory's half-precision files, None to read those in full.

    Half precision where it is asked for, and where some component has nothing else.
    """
    files = list(directory.glob("*/*.safetensors"))
    half = {file.parent for file in files if _HALF.search(file.name)}
    full = {file.parent for file in files if not _VARIANTS.search(file.name)}
    return "fp16" if half and (precision == "float16" or half - full) else None
