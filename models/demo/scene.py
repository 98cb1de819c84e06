"""The planes one face is drawn on: frame coordinates, head coordinates, face coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.demo.attributes import FaceAttributes
from models.demo.noise import Plane, Texture, step

DEPTH = 0.72
"""Depth of the head at its middle, in halves of its height."""
ROUNDNESS = 2.35
"""Exponent of the superellipse that outlines the head (2 is an ellipse)."""


@dataclass(frozen=True)
class Scene:
    """All planes are (H, W) float32; lengths are in halves of the head's height.

    x, y: frame coordinates in [-1, 1], y down. u, v: head coordinates, roll taken out.
    fill: 0 in the head's middle, 1 on its outline. z: the head's height over the picture.
    a, b: coordinates on the face, which yaw and pitch move over the head. unit: one pixel.
    """

    face: FaceAttributes
    texture: Texture
    x: Plane
    y: Plane
    u: Plane
    v: Plane
    fill: Plane
    z: Plane
    a: Plane
    b: Plane
    unit: float

    @property
    def skin_cover(self) -> Plane:
        """Cover of the head's disc, (H, W) in [0, 1], soft over two pixels at the outline."""
        return self.edge(self.fill - 1.0)

    def edge(self, field: Plane) -> Plane:
        """Cover of the region where a field is negative, soft over about two pixels."""
        down, right = np.gradient(field)
        slope = np.sqrt(down * down + right * right) + 1e-6
        cover: Plane = np.clip(0.5 - field / (2.0 * slope), 0.0, 1.0)
        return cover

    def soft(self, low: float, high: float, field: Plane) -> Plane:
        """Smooth step between two lengths, never sharper than two pixels."""
        middle, half = (low + high) / 2, max(abs(high - low) / 2, self.unit)
        sign = 1.0 if high >= low else -1.0
        return step(middle - sign * half, middle + sign * half, field)


def outline(u: Plane, v: Plane, face: FaceAttributes, grow: float = 0.0) -> Plane:
    """How full a point of the head is: under 1 inside, above 1 outside; grow widens the head."""
    shape = face.shape
    taper = 1.0 - shape.jaw * step(0.05, 1.05, v) - 0.05 * step(-0.45, -1.0, v)
    across = np.abs(u) / (taper * (shape.width + grow))
    along = np.abs(v) / (1.0 + grow)
    full: Plane = across ** np.float32(ROUNDNESS) + along ** np.float32(ROUNDNESS)
    return full


def make_scene(face: FaceAttributes, side_px: int) -> Scene:
    """Lay out the planes of one face for a square picture."""
    pose = face.pose
    places = ((np.arange(side_px, dtype=np.float32) + 0.5) * np.float32(2 / side_px)) - 1.0
    y, x = np.meshgrid(places, places, indexing="ij")
    cosine, sine = math.cos(pose.roll), math.sin(pose.roll)
    right, down = x - pose.centre_x, y - pose.centre_y
    u = (right * cosine + down * sine) / pose.scale
    v = (down * cosine - right * sine) / pose.scale
    fill = outline(u, v, face)
    z = DEPTH * np.sqrt(np.clip(1.0 - fill, 0.0, 1.0))
    a = u * math.cos(pose.yaw) - z * math.sin(pose.yaw)
    b = v * math.cos(pose.pitch) - z * math.sin(pose.pitch)
    unit = 2.0 / side_px / pose.scale
    return Scene(face, Texture(face.seed), x, y, u, v, fill, z, a, b, unit)
