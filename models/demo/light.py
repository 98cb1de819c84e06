"""Colour and light: layers over layers, normals from height maps, soft shading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.demo.attributes import Light
from models.demo.noise import Plane

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Normals:
    """Unit normals of a surface: three (H, W) float32 planes, x right, y down, z to the viewer."""

    x: Plane
    y: Plane
    z: Plane

    def towards(self, direction: Rgb) -> Plane:
        """The cosine between the normals and a direction, in [-1, 1]."""
        cosine: Plane = self.x * direction[0] + self.y * direction[1] + self.z * direction[2]
        return cosine


def linear(colour: Rgb | tuple[int, int, int]) -> Plane:
    """An sRGB colour in [0, 255] as (3, 1, 1) float32 linear light in [0, 1]."""
    values: Plane = (tint(*colour) / 255.0) ** np.float32(2.2)
    return values


def tint(red: float, green: float, blue: float) -> Plane:
    """Three factors, one a channel, as (3, 1, 1) float32."""
    return np.array([red, green, blue], dtype=np.float32).reshape(3, 1, 1)


def over(image: Plane, colour: Plane, alpha: Plane) -> Plane:
    """Lay a colour, (3, 1, 1) or (3, H, W), over a (3, H, W) image; alpha (H, W) in [0, 1]."""
    laid: Plane = image + (colour - image) * alpha
    return laid


def darken(image: Plane, amount: Plane, shares: Rgb = (1.0, 1.0, 1.0)) -> Plane:
    """Take light away, (H, W) in [0, 1]; a share under 1 spares that channel."""
    shaded: Plane = image * (1.0 - amount * tint(*shares))
    return shaded


def normals_of(height: Plane, unit: float) -> Normals:
    """Normals of an (H, W) height map whose pixels are `unit` apart."""
    down, right = np.gradient(height)
    slope_x, slope_y = -right / np.float32(unit), -down / np.float32(unit)
    length = np.sqrt(slope_x * slope_x + slope_y * slope_y + 1.0)
    return Normals(slope_x / length, slope_y / length, 1.0 / length)


def shade(albedo: Plane, normals: Normals, light: Light, subsurface: float = 0.0) -> Plane:
    """Light a surface: wrapped Lambert, a sky of ambient light, a fill light, a warm terminator.

    The albedo is (3, 1, 1) or (3, H, W) linear light; subsurface in [0, 1] reddens the terminator.
    """
    facing = normals.towards(light.direction)
    wrap = 0.30
    lit = np.clip((facing + wrap) / (1.0 + wrap), 0.0, 1.0) ** np.float32(1.25)
    x, _, z = light.direction
    fill = np.clip(normals.towards((-x, 0.0, z)), 0.0, 1.0) * 0.16
    ambient = light.ambient * (0.78 - 0.35 * normals.y) * (0.4 + 0.6 * normals.z)
    red = subsurface * np.exp(-0.5 * ((facing - 0.05) / 0.22) ** 2)
    warm = 1.0 + light.warmth
    strength = light.key * lit
    channels = (
        strength * warm + ambient * 0.96 + fill + 0.16 * red,
        strength + ambient + fill + 0.035 * red,
        strength * (2.0 - warm) + ambient * 1.08 + fill * 1.05,
    )
    lighted: Plane = albedo * np.stack(channels)
    return lighted


def gloss(normals: Normals, light: Light, sharpness: float) -> Plane:
    """The highlight of a shiny surface seen from the front (Blinn-Phong), (H, W) in [0, 1]."""
    x, y, z = light.direction
    half = np.array([x, y, z + 1.0])
    hx, hy, hz = (float(v) for v in half / np.linalg.norm(half))
    shine: Plane = np.clip(normals.towards((hx, hy, hz)), 0.0, 1.0) ** np.float32(sharpness)
    return shine


def encode(image: Plane) -> Plane:
    """Linear light to sRGB in [0, 1], with a soft shoulder for the brightest tones."""
    knee = 0.72
    excess = np.clip(image - knee, 0.0, None)
    rolled = np.minimum(image, knee) + (1.0 - knee) * (1.0 - np.exp(-excess / (1.0 - knee)))
    tones: Plane = np.clip(rolled, 0.0, 1.0) ** np.float32(1.0 / 2.2)
    return tones
