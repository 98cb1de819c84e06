"""What each change was expected to bring, written down before anything was measured."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """One figure, and why.

    Attributes:
        cell: where it is measured.
        figure: path of the figure inside the cell, joined by "/".
        value: predicted, for an H100 or H200 that multiplies bf16 matrices at 790 TFLOP/s.
        unit: of the value.
        reason: the arithmetic, or what it leans on.
    """

    cell: str
    figure: str
    value: float
    unit: str
    reason: str

    @property
    def key(self) -> str:
        """The name by which the decision's table and this list are compared."""
        return f"{self.cell}: {self.figure.removesuffix('/median_s')}"


def _set(cell: str, arm: str, seconds: float, reason: str) -> Prediction:
    return Prediction(cell, f"{arm}/median_s", seconds, "s", reason)


def _db(what: str, precision: str, value: float, reason: str) -> Prediction:
    return Prediction("quality", f"{what}, {precision}/psnr_db", value, "dB", reason)


def _backend(shape: str, backend: str, rate: float, reason: str) -> Prediction:
    figure = f"{shape}, {backend}/tflop_per_s"
    return Prediction("attention_kernels", figure, rate, "TFLOP/s", reason)


PREDICTIONS = (
    Prediction("card", "floor_s", 0.66, "s", "524 TFLOP a set over 790 TFLOP/s"),
    _set(
        "eager_float16",
        "notebook",
        7.0,
        "at batch 2 the host is the limit: about 20 ms of Python and launches a UNet call, 310 "
        "calls, and 10 x 80 ms of VAE, text and copies",
    ),
    _set(
        "eager_float16",
        "diffusers",
        1.9,
        "16.1 TFLOP a UNet call at 300 TFLOP/s (30 % of the peak; the best published for eager "
        "diffusers is 38 %): 54 ms x 31; ten encodes 0.07 s, ten decodes 0.13 s",
    ),
    _set(
        "eager_float16",
        "eager",
        1.8,
        "the same kernels, less nine encodes (10 TFLOP, 0.06 s), the texts and syncs (0.03 s)",
    ),
    _set(
        "eager_float16",
        "channels_last",
        1.75,
        "cuDNN's Hopper kernels want channels last, so transposes go; but GroupNorm and attention "
        "read it no better: at most 5 %, perhaps nothing",
    ),
    Prediction(
        "gaps_float16",
        "eager/non_gpu_s",
        0.09,
        "s",
        "ten PNGs at level 1 on four threads 0.06 s; start, copies and the last sync 0.03 s",
    ),
    _set(
        "compile_default",
        "compiled",
        1.4,
        "GroupNorm with SiLU, GEGLU and the additions are about 30 % of eager time, bound by "
        "memory; fused they read and write half: 1.8 - 0.27, and channels last now pays 0.1",
    ),
    _set(
        "compile_default_contiguous",
        "compiled",
        1.5,
        "the fusion alone: transposes around every convolution stay",
    ),
    _set(
        "compile_max_autotune_no_cudagraphs",
        "compiled",
        1.35,
        "Triton's matrix products seldom beat cuBLAS on Hopper; fused epilogues give 3-4 %",
    ),
    _set(
        "compile_reduce_overhead",
        "compiled",
        1.38,
        "at batch 20 the GPU is the limit (45 ms a call against 20 ms of host): graphs hide little",
    ),
    _set("compile_max_autotune", "compiled", 1.33, "autotuning's gain and the graphs' together"),
    _set("eager_bfloat16", "diffusers", 1.9, "the same rates as float16"),
    _set("eager_bfloat16", "eager", 1.8, "the same rates as float16"),
    _set("compile_default_bfloat16", "compiled", 1.4, "the same rates as float16"),
    _backend("head 40, self", "cudnn", 300, "heads of 40 are padded to 64: 62 % of 480"),
    _backend("head 40, self", "flash", 210, "FlashAttention 2 reaches 340 on Hopper; 62 % of it"),
    _backend("head 40, self", "efficient", 130, "no Hopper instructions; half of flash and less"),
    _backend(
        "head 40, self",
        "math",
        15,
        "10.7 GB of float32 scores go through memory five times, 18 ms; 9 ms of products",
    ),
    _backend("head 80, self", "cudnn", 320, "padded to 128: 62 % of 520"),
    _backend("head 80, self", "flash", 240, "padded to 96: 83 %, and only 1024 keys"),
    _backend("head 160, self", "flash", 120, "256 keys: little work a block"),
    _set(
        "attention_sets",
        "cudnn",
        1.7,
        "self-attention at 64x64 is 10 % of the operations and 15 % of the time; a third faster",
    ),
    _set("attention_sets", "flash", 1.8, "what torch chooses by itself"),
    _set("attention_sets", "efficient", 2.0, "attention takes twice as long"),
    _set(
        "attention_sets",
        "math",
        6.5,
        "27 ms for each of five layers at 64x64, and the smaller ones: 150 ms x 31",
    ),
    _set("many_images", "diffusers", 3.7, "batch 4 to 16 gains 8 %; 10 to 20 perhaps 3 %"),
    _set("many_images", "eager", 3.5, "likewise"),
    _set("best_again", "best", 1.33, "the fastest of the above, measured again"),
    _set("half_set", "eager", 0.98, "half of eager and 8 %: fewer tiles to fill the card with"),
    _set("best_half_set", "best", 0.72, "half of the best and 8 %, for a set split over two cards"),
    Prediction(
        "best_again",
        "gaps/non_gpu_s",
        0.09,
        "s",
        "as eager: what is left outside the GPU does not change",
    ),
    _db(
        "ours against diffusers",
        "float16",
        52,
        "the same operations, but the encoder's input has another layout in memory and rounds "
        "otherwise: 52 dB in a tiny trial on the CPU, and equal there with diffusers' layout",
    ),
    _db("ours against diffusers", "bfloat16", 36, "likewise: 36 dB in the tiny trial, or equal"),
    _db(
        "ours against float32",
        "float16",
        38,
        "42 dB in the tiny trial of 2 calls; 31 calls through deeper networks round more",
    ),
    _db("ours against float32", "bfloat16", 18, "likewise: 21 dB; three bits less are 18 dB"),
)


def as_facts() -> list[dict[str, Any]]:
    """Return the predictions as JSON holds them."""
    return [asdict(one) for one in PREDICTIONS]


def measured(prediction: dict[str, Any], figures: dict[str, Any]) -> float | None:
    """Return what the cell found for a prediction; None where it found nothing."""
    found: Any = figures
    for name in prediction["figure"].split("/"):
        found = found.get(name) if isinstance(found, dict) else None
    return float(found) if isinstance(found, (int, float)) else None
