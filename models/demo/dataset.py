"""The training pictures: rendered once, kept as memory-mapped uint8 arrays, resumable."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from models.demo.attributes import draw_attributes
from models.demo.faces import render_face

FIRST_TRAINING_SEED = 100_000
FIRST_HELD_OUT_SEED = 20_000
"""Held-out faces; with the sample faces 9001 to 9004 they never appear in training."""
DRAWN_SIDE_PX = 300
VAE_SIDE_PX = 150
DIFFUSION_SIDE_PX = 128
CHUNK = 20
"""Faces drawn by one task of the pool."""


@dataclass(frozen=True)
class DatasetPlan:
    """How many faces are drawn, and by how many processes."""

    training: int = 8_800
    held_out: int = 200
    workers: int = 2

    @property
    def seeds(self) -> list[int]:
        """The seeds of all faces: training first, then held out."""
        return [
            *range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + self.training),
            *range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + self.held_out),
        ]


@dataclass(frozen=True)
class Dataset:
    """Rendered faces: memory-mapped uint8 (N, 150, 150, 3) and (N, 128, 128, 3), training first."""

    plan: DatasetPlan
    vae_pixels: NDArray[np.uint8]
    diffusion_pixels: NDArray[np.uint8]


def draw_chunk(seeds: list[int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw some faces once and reduce them to both sides, as uint8 (N, side, side, 3)."""
    pictures = [
        Image.fromarray(render_face(draw_attributes(seed), DRAWN_SIDE_PX, oversampling=1))
        for seed in seeds
    ]
    sides = (VAE_SIDE_PX, DIFFUSION_SIDE_PX)
    small, smaller = (
        np.stack(
            [
                np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
                for picture in pictures
            ]
        )
        for side in sides
    )
    return small, smaller


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, never half."""
    draft = path.with_suffix(path.suffix + ".part")
    draft.write_text(text)
    os.replace(draft, path)


def open_pixels(path: Path, count: int, side_px: int) -> NDArray[np.uint8]:
    """Open or create a memory-mapped (count, side, side, 3) uint8 array; redo another shape."""
    shape = (count, side_px, side_px, 3)
    if path.exists() and np.load(path, mmap_mode="r").shape == shape:
        return np.lib.format.open_memmap(path, mode="r+")
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def missing_chunks(directory: Path, plan: DatasetPlan) -> tuple[set[int], list[int]]:
    """Which chunks are drawn, by the progress file of the same plan, and which are not."""
    progress, total = directory / "progress.json", -(-len(plan.seeds) // CHUNK)
    done: set[int] = set()
    if progress.exists():
        found = json.loads(progress.read_text())
        if found["faces"] == [plan.training, plan.held_out]:
            done = set(found["chunks"])
    return done, [index for index in range(total) if index not in done]


def render_dataset(directory: Path, plan: DatasetPlan) -> Dataset:
    """Draw what is missing of the data set and open it."""
    directory.mkdir(parents=True, exist_ok=True)
    count = len(plan.seeds)
    done, missing = missing_chunks(directory, plan)
    vae_pixels = open_pixels(directory / "faces-150.npy", count, VAE_SIDE_PX)
    diffusion_pixels = open_pixels(directory / "faces-128.npy", count, DIFFUSION_SIDE_PX)
    for index, (small, smaller) in drawn_chunks(plan, missing):
        start = index * CHUNK
        vae_pixels[start : start + len(small)] = small
        diffusion_pixels[start : start + len(smaller)] = smaller
        done.add(index)
        if len(done) % 20 == 0 or index == missing[-1]:
            faces = [plan.training, plan.held_out]
            record = json.dumps({"faces": faces, "chunks": sorted(done)})
            write_atomically(directory / "progress.json", record)
    return Dataset(plan, vae_pixels, diffusion_pixels)


def drawn_chunks(
    plan: DatasetPlan, missing: list[int]
) -> Iterator[tuple[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]]]:
    """Draw chunks in several processes, in order, with a progress bar."""
    tasks = [plan.seeds[index * CHUNK : (index + 1) * CHUNK] for index in missing]
    if not tasks:
        return
    with ProcessPoolExecutor(plan.workers) as pool:
        drawn = pool.map(draw_chunk, tasks)
        yield from zip(missing, tqdm(drawn, "render", len(tasks), unit="chunk"), strict=True)
