"""Beards: moustache, goatee and full beard as short, lit hair on the face."""

from __future__ import annotations

import numpy as np

from models.demo.attributes import HAIR_COLOURS
from models.demo.light import linear, normals_of, over, shade
from models.demo.mouth import mouth_planes
from models.demo.noise import Plane, sample, step
from models.demo.scene import Scene


def moustache_field(scene: Scene) -> Plane:
    """Negative between nose and mouth."""
    a, b = scene.a, scene.b
    middle = 0.520 + 0.16 * np.abs(a) + 0.012 * np.exp(-((a / 0.03) ** 2))
    half = 0.048 - 0.022 * step(0.10, 0.27, np.abs(a))
    field: Plane = np.maximum(np.abs(b - middle) - half, np.abs(a) - 0.26)
    return field


def chin_field(scene: Scene, half: float) -> Plane:
    """Negative on the chin below the mouth."""
    a, b = scene.a, scene.b
    return np.maximum(np.abs(a) - half * (1.0 - 0.3 * step(0.7, 1.0, b)), 0.725 - b)


def beard_field(scene: Scene) -> Plane:
    """A field that is negative where the beard grows."""
    kind = scene.face.beard
    a, b = scene.a, scene.b
    if kind == "moustache":
        return moustache_field(scene)
    if kind == "goatee":
        sides = np.maximum(np.abs(np.abs(a) - 0.255) - 0.045, np.abs(b - 0.70) - 0.14)
        return np.minimum(np.minimum(moustache_field(scene), chin_field(scene, 0.25)), sides)
    jaw = 0.60 - 0.62 * np.abs(a) + 0.10 * np.exp(-((a / 0.2) ** 2))
    cheek_line = np.where(np.abs(a) > 0.62, 0.02, jaw)
    return np.minimum(cheek_line + 0.02 - b, moustache_field(scene))


def beard_hairs(scene: Scene) -> Plane:
    """Short hairs growing down and outwards, about [-1, 1]."""
    a, b = scene.a, scene.b
    across = a / (0.55 + 0.6 * np.clip(b, 0.0, None))
    bend = 0.04 * sample(scene.texture.lattice(32, 32), b * 8 + 3, a * 8 + 9)
    coarse = sample(scene.texture.lattice(32, 128), b * 9, (across + bend) * 44 + 64)
    fine = sample(scene.texture.lattice(64, 256), b * 18, (across + bend) * 95 + 128)
    hairs: Plane = 0.55 * coarse + 0.6 * fine
    return hairs


def paint_beard(scene: Scene, image: Plane) -> Plane:
    """The beard over skin and around the lips."""
    face = scene.face
    if face.beard in ("none", "stubble"):
        return image
    hairs = beard_hairs(scene)
    field = beard_field(scene) + 0.018 * hairs
    mouth = mouth_planes(scene)
    lips = np.maximum(mouth.top + 0.004 - scene.b, scene.b - mouth.bottom)
    lips = np.maximum(lips, 0.25 * (np.abs(mouth.t) - 1.02))
    cover = scene.soft(0.030, -0.030, field) * scene.soft(-0.004, 0.012, lips)
    cover = cover * scene.skin_cover
    colour = linear(HAIR_COLOURS[face.hair_colour])
    tone = np.clip(0.85 + 0.45 * hairs, 0.25, 1.4)
    normals = normals_of(scene.z * 0.9 + 0.02 * hairs, scene.unit)
    hair = shade(colour * tone, normals, face.light)
    return over(image, hair, 0.93 * cover)
