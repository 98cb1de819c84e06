"""The mouth: lips, their light, and teeth in a laugh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.demo.light import darken, gloss, linear, normals_of, over, shade, tint
from models.demo.noise import Plane, step
from models.demo.scene import Scene

MIDDLE = 0.625
"""Height of the line between the lips on the face."""


@dataclass(frozen=True)
class Mouth:
    """The planes of a mouth: t runs -1..1 between the corners, the others are heights."""

    t: Plane
    top: Plane
    upper: Plane
    lower: Plane
    bottom: Plane


def mouth_planes(scene: Scene) -> Mouth:
    """Lay the lips out for the expression."""
    face, shape = scene.face, scene.face.shape
    curve = {"neutral": -0.024, "smiling": -0.058, "laughing": -0.070, "serious": 0.010}
    widen = {"neutral": 1.0, "smiling": 1.12, "laughing": 1.16, "serious": 0.96}[face.expression]
    t = scene.a / (shape.mouth_width * widen)
    room = np.clip(1.0 - t * t, 0.0, 1.0)
    line = MIDDLE + curve[face.expression] * (t * t - 0.35)
    open_by = 0.100 if face.expression == "laughing" else 0.0
    bow = 0.012 * np.exp(-((t / 0.13) ** 2)) - 0.006 * np.exp(-(((np.abs(t) - 0.28) / 0.16) ** 2))
    full = shape.lip_fullness * (0.82 if face.expression in ("smiling", "laughing") else 1.0)
    upper = line - 0.18 * open_by * room
    lower = line + 0.82 * open_by * room ** np.float32(0.8)
    top = upper - full * room ** np.float32(0.75) + bow * room
    bottom = lower + full * 1.28 * room ** np.float32(0.62)
    return Mouth(t, top, upper, lower, bottom)


def lip_colour(scene: Scene) -> Plane:
    """The lips' colour, (3, 1, 1) linear: the skin's, redder; with lipstick on some women."""
    face = scene.face
    skin = linear(face.skin_colour)
    if face.person == "woman" and face.seed % 3 != 0:
        return 0.35 * skin + 0.65 * linear((176, 46, 56))
    return skin * tint(0.86, 0.56, 0.56)


def paint_teeth(scene: Scene, image: Plane, mouth: Mouth) -> Plane:
    """The open mouth: dark, a tongue, and a row of teeth under the upper lip."""
    opening = np.maximum(mouth.upper - scene.b, scene.b - mouth.lower)
    inside = scene.soft(0.005, -0.005, opening) * step(1.02, 0.97, np.abs(mouth.t))
    below = scene.b - mouth.upper
    gap = np.abs(np.mod(scene.a / 0.052 + 0.5, 1.0) - 0.5)
    ivory: Plane = linear((244, 240, 230)) * (1.0 - 0.30 * mouth.t * mouth.t)
    ivory = darken(ivory, 0.30 * step(0.07, 0.0, gap) + 0.35 * step(0.02, 0.0, below))
    tongue = over(
        np.zeros_like(image) + linear((58, 16, 18)),
        linear((170, 70, 74)),
        step(0.075, 0.115, below) * step(0.8, 0.2, np.abs(mouth.t)),
    )
    hole = over(tongue, ivory, scene.soft(0.082, 0.072, below + 0.02 * mouth.t * mouth.t))
    return over(image, hole, inside)


def paint_mouth(scene: Scene, image: Plane) -> Plane:
    """The whole mouth."""
    mouth = mouth_planes(scene)
    b, light = scene.b, scene.face.light
    opening = mouth.lower - mouth.upper
    closed_middle = 0.5 * (mouth.upper + mouth.lower)
    reach = np.where(b < closed_middle, closed_middle - mouth.top, mouth.bottom - closed_middle)
    place = np.clip((b - closed_middle) / np.maximum(reach, 1e-3), -1.0, 1.0)
    rounding = 0.034 * np.sqrt(np.clip(1.0 - (2 * np.abs(place) - 1) ** 2, 0.0, 1.0))
    normals = normals_of(scene.z + rounding, scene.unit)
    creases = 0.05 * np.sin(scene.a * 210 + 3 * np.sin(scene.a * 37))
    lips = shade(lip_colour(scene) * (1.0 + creases), normals, light, 0.25)
    lips = darken(lips, 0.22 * step(0.0, -0.6, place))
    lips = lips + (0.16 * gloss(normals, light, 30.0) * light.key)
    region = np.maximum(mouth.top - b, b - mouth.bottom)
    cover = scene.soft(0.006, -0.006, region) * step(1.03, 0.96, np.abs(mouth.t))
    image = over(image, lips, 0.92 * cover)
    corner = np.exp(-(((np.abs(mouth.t) - 1.0) / 0.07) ** 2) - ((b - mouth.upper) / 0.016) ** 2)
    image = darken(image, 0.5 * corner, (0.9, 1.0, 1.0))
    if scene.face.expression == "laughing":
        return paint_teeth(scene, image, mouth)
    seam = np.exp(-0.5 * ((b - mouth.upper - 0.5 * opening) / 0.008) ** 2)
    return darken(image, 0.72 * seam * step(1.05, 0.9, np.abs(mouth.t)), (0.9, 1.0, 1.0))
