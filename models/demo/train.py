"""Trains the demo weights from nothing: `python -m models.demo.train`.

Faces are rendered, then the VAE, the autoencoder, its decoder once more on the final latents, and
the diffusion model are trained, then the weights are written. Each stage goes on where it
stopped; a finished one is skipped. Delete the working directory to begin again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from models.demo.dataset import Dataset, DatasetPlan, render_dataset
from models.demo.export import (
    WEIGHTS_DIRECTORY,
    WORKING_DIRECTORY,
    export_diffusion,
    export_vae,
)
from models.demo.latents import cache_latents
from models.demo.train_autoencoder import AutoencoderSettings, AutoencoderStage
from models.demo.train_decoder import DecoderStage
from models.demo.train_diffusion import DiffusionStage
from models.demo.train_vae import VAEStage
from models.demo.training import Budget, Standing, run_stage

STAGES = ("render", "vae", "autoencoder", "decoder", "diffusion", "export")
STEPS = {"vae": 7_600, "autoencoder": 5_600, "decoder": 9_600, "unet": 21_000}
"""Lengths of the published training: about two and a half hours on two CPU cores."""
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """Where the training works and how much of it there is."""

    working: Path
    weights: Path
    dataset: DatasetPlan
    vae: Budget
    autoencoder: Budget
    decoder: Budget
    diffusion: Budget


def smoke_plan(options: argparse.Namespace) -> TrainingPlan:
    """Every stage at full network size but for a few steps, in a directory of its own."""
    working = options.working_directory / "smoke"
    few = Budget(steps=8)
    return TrainingPlan(working, working / "weights", DatasetPlan(60, 20), few, few, few, few)


def full_plan(options: argparse.Namespace) -> TrainingPlan:
    """The training of the published demo weights."""
    return TrainingPlan(
        options.working_directory,
        options.weights,
        DatasetPlan(),
        budget(options.vae_steps, options.vae_minutes),
        budget(options.autoencoder_steps, options.autoencoder_minutes),
        budget(options.decoder_steps, options.decoder_minutes),
        budget(options.unet_steps, options.unet_minutes),
    )


def budget(steps: int, minutes: float | None) -> Budget:
    """Minutes where they are given, steps otherwise."""
    return Budget(steps=steps) if minutes is None else Budget(minutes=minutes)


def report(name: str, standing: Standing) -> None:
    """Say how a stage ended."""
    LOGGER.info(
        "%s: %d steps, %.1f minutes, loss %.4f",
        name,
        standing.step,
        standing.trained_s / 60,
        standing.loss,
    )


def train_vae(plan: TrainingPlan, dataset: Dataset) -> None:
    """Train and write the VAE."""
    report("vae", run_stage(VAEStage(dataset), plan.vae, plan.working))
    export_vae(plan.working, plan.weights)


def train_autoencoder(plan: TrainingPlan, dataset: Dataset) -> None:
    """Train the autoencoder and compute all latents."""
    stage = AutoencoderStage(dataset)
    report("autoencoder", run_stage(stage, plan.autoencoder, plan.working))
    cache_latents(plan.working, dataset, stage.settings)


def train_decoder(plan: TrainingPlan, dataset: Dataset) -> None:
    """Polish the autoencoder's decoder."""
    latents = cache_latents(plan.working, dataset, AutoencoderSettings())
    stage = DecoderStage(plan.working, dataset, latents)
    report("decoder", run_stage(stage, plan.decoder, plan.working))


def train_diffusion(plan: TrainingPlan, dataset: Dataset) -> None:
    """Train UNet and text encoder."""
    latents = cache_latents(plan.working, dataset, AutoencoderSettings())
    stage = DiffusionStage(plan.working, plan.dataset, latents)
    report("diffusion", run_stage(stage, plan.diffusion, plan.working))


def run(plan: TrainingPlan, stages: Sequence[str]) -> None:
    """Run the stages that were asked for, in order."""
    dataset = render_dataset(plan.working / "data", plan.dataset)
    if "vae" in stages:
        train_vae(plan, dataset)
    if "autoencoder" in stages:
        train_autoencoder(plan, dataset)
    if "decoder" in stages:
        train_decoder(plan, dataset)
    if "diffusion" in stages:
        train_diffusion(plan, dataset)
    if "export" in stages:
        LOGGER.info("wrote %s", export_diffusion(plan.working, plan.weights))


def build_parser() -> argparse.ArgumentParser:
    """The command's options; a budget in minutes replaces the one in steps."""
    parser = argparse.ArgumentParser(
        prog="python -m models.demo.train",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--working-directory", type=Path, default=WORKING_DIRECTORY, help="data and checkpoints")
    add("--weights", type=Path, default=WEIGHTS_DIRECTORY, help="where the weights are written")
    add("--stages", nargs="+", choices=STAGES, default=STAGES, help="which stages run")
    add("--smoke", action="store_true", help="all stages with a few steps, in under three minutes")
    add("--threads", type=int, default=2, help="CPU threads of torch")
    for name, steps in STEPS.items():
        add(f"--{name}-steps", type=int, default=steps, help="length of the stage in steps")
        add(f"--{name}-minutes", type=float, default=None, help="length of the stage in minutes")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the options say."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = build_parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        run(smoke_plan(options) if options.smoke else full_plan(options), options.stages)
    except KeyboardInterrupt:
        LOGGER.info("stopped; the same command goes on where the last minute began")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
