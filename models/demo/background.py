"""What is behind and below the face: a soft backdrop with bokeh, ears, neck and clothes."""

from __future__ import annotations

import numpy as np

from models.demo.attributes import BACKGROUNDS
from models.demo.light import darken, linear, normals_of, over, shade, tint
from models.demo.noise import Plane, bump, sample, step
from models.demo.scene import Scene


def paint_backdrop(scene: Scene) -> Plane:
    """The backdrop, (3, H, W) float32 linear light: a gradient, soft clouds, discs of bokeh."""
    colour = linear(BACKGROUNDS[scene.face.background])
    corner = scene.texture.points(1, 4)[0]
    glow = bump(scene.x, scene.y, (float(corner[0]) * 1.6 - 0.8, -0.4), (0.9, 1.0))
    clouds = sample(scene.texture.lattice(8, 8), scene.y * 1.5 + 2, scene.x * 1.5 + 2)
    light = 0.62 + 0.52 * glow + 0.10 * clouds
    image = colour * light
    for place in scene.texture.points(6, 4):
        image = paint_bokeh(scene, image, place)
    vignette = step(0.8, 1.7, np.hypot(scene.x, scene.y)) * 0.4
    return darken(image, vignette)


def paint_bokeh(scene: Scene, image: Plane, place: Plane) -> Plane:
    """One out-of-focus disc of light; place is (4,) in [0, 1]."""
    across, along, size, strength = (float(value) for value in place)
    radius = 0.10 + 0.20 * size
    distance = np.hypot(scene.x - (2 * across - 1), scene.y - (1.8 * along - 1.1))
    disc = step(radius, radius * 0.82, distance) * (0.05 + 0.12 * strength)
    lighter: Plane = np.minimum(image * 1.25 + 0.12, 1.0)
    return over(image, lighter, disc)


def paint_neck(scene: Scene, image: Plane) -> Plane:
    """The neck: a lit cylinder in the shadow of the chin."""
    half = 0.40 + 0.05 * float(scene.face.person == "man")
    u, v = scene.u - 0.3 * scene.face.pose.yaw, scene.v
    half_here = half * (1.0 + 0.25 * step(1.0, 1.35, v))
    across = np.clip(np.abs(u) / half_here, 0.0, 1.0)
    depth = half * np.sqrt(np.clip(1.0 - across * across, 0.0, 1.0))
    albedo = linear(scene.face.skin_colour) * 0.92
    skin = shade(albedo, normals_of(depth, scene.unit), scene.face.light, 0.3)
    chin = step(1.5, 0.85, scene.v - 0.06 * scene.u * scene.face.light.direction[0])
    skin = darken(skin, 0.62 * chin, (0.9, 1.0, 1.0))
    cover = scene.edge(np.abs(u) - half_here) * scene.soft(0.30, 0.32, v)
    return over(image, skin, cover)


def paint_clothes(scene: Scene, image: Plane) -> Plane:
    """Shoulders in cloth with a round collar."""
    u, v = scene.u, scene.v
    shoulder = 1.06 + 0.34 * np.abs(u) ** np.float32(1.7)
    collar = 1.20 - 0.55 * u * u
    top = np.where(np.abs(u) < 0.62, np.maximum(shoulder, collar), shoulder)
    folds = sample(scene.texture.lattice(16, 16), v * 3 + u, u * 5 + 4)
    height = 0.5 * np.sqrt(np.clip(2.2 - u * u, 0.0, None)) - 0.35 * (v - 1) ** 2 + 0.012 * folds
    cloth = shade(linear(scene.face.clothes), normals_of(height, scene.unit), scene.face.light)
    hem = step(0.0, 0.05, v - top)
    return over(image, darken(cloth, 0.4 * (1 - hem)), scene.edge(top - v))


def paint_ears(scene: Scene, image: Plane) -> Plane:
    """Both ears: shells half behind the head, which yaw hides or shows."""
    face = scene.face
    height = np.zeros_like(scene.u)
    cover = np.zeros_like(scene.u)
    hollow = np.zeros_like(scene.u)
    for side in (-1.0, 1.0):
        middle = side * (face.shape.width - 0.015) - 0.10 * face.pose.yaw
        across = (scene.u - middle - side * 0.10 * (0.1 - scene.v)) / (0.115 * face.shape.ear)
        along = (scene.v - 0.10 - 0.2 * face.pose.pitch) / (0.215 * face.shape.ear)
        disc = across * across + along * along
        height += 0.10 * np.sqrt(np.clip(1.0 - disc, 0.0, 1.0))
        cover = np.maximum(cover, scene.edge(disc - 1.0))
        hollow += np.exp(-((across - side * 0.05) ** 2) * 5 - along * along * 3.5)
    rosy = linear(face.skin_colour) * tint(1.02, 0.90, 0.88)
    skin = shade(rosy, normals_of(height - 0.05 * hollow, scene.unit), face.light, 0.5)
    return over(image, darken(skin, 0.42 * hollow), cover)
