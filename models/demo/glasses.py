"""Spectacles: frames, bridge, temples, lenses and their shadow."""

from __future__ import annotations

import numpy as np

from models.demo.light import darken, linear, over
from models.demo.noise import Plane, step
from models.demo.scene import Scene


def rim_distance(scene: Scene, shift: float = 0.0) -> Plane:
    """Signed distance to the nearer rim, negative inside the lens; shift moves the rims down."""
    face = scene.face
    # Frames stand before the face: yaw and pitch move them more than the skin under them.
    a = np.abs(scene.a + 0.06 * face.pose.yaw) - face.shape.eye_spacing - 0.005
    b = scene.b - 0.035 - shift - 0.06 * face.pose.pitch
    if face.glasses == "round glasses":
        return np.hypot(a, b) - np.float32(0.205)
    half_a, half_b, corner = (0.215, 0.150, 0.07)
    if face.glasses == "sunglasses":
        half_a, half_b, corner = (0.235, 0.165, 0.11)
        b = b - 0.05 * a
    over_a, over_b = np.abs(a) - half_a + corner, np.abs(b) - half_b + corner
    outside = np.hypot(np.maximum(over_a, 0.0), np.maximum(over_b, 0.0))
    distance: Plane = outside + np.minimum(np.maximum(over_a, over_b), 0.0) - corner
    return distance


def bar_cover(scene: Scene) -> Plane:
    """Cover of the bridge over the nose and of the temples beside the eyes."""
    face = scene.face
    a, b = np.abs(scene.a + 0.06 * face.pose.yaw), scene.b - 0.06 * face.pose.pitch
    inner = face.shape.eye_spacing - 0.19
    arch = np.abs(b + 0.005 - 0.6 * (a * a)) - 0.015
    bridge = scene.soft(0.006, -0.006, np.maximum(arch, a - inner))
    outer = face.shape.eye_spacing + 0.19
    temple = np.maximum(np.abs(b + 0.01) - 0.020, outer - a)
    return np.maximum(bridge, scene.soft(0.006, -0.006, temple) * scene.skin_cover)


def paint_glasses(scene: Scene, image: Plane) -> Plane:
    """Spectacles or sunglasses over the finished face."""
    face = scene.face
    if face.glasses == "none":
        return image
    distance = rim_distance(scene)
    shadow = step(0.045, 0.0, np.abs(rim_distance(scene, 0.045))) * scene.skin_cover
    image = darken(image, 0.30 * shadow, (0.9, 1.0, 1.0))
    lens = scene.soft(0.006, -0.006, distance)
    slant = np.sin(7.0 * (scene.u * 0.8 + scene.v) + face.seed % 7)
    glare = step(0.55, 0.95, slant) * step(0.25, -0.12, scene.b)
    if face.glasses == "sunglasses":
        fade = step(-0.12, 0.25, scene.b)
        dark = linear((20, 20, 26)) + fade * linear((70, 60, 58))
        image = over(image, dark, 0.97 * lens)
        image = over(image, linear((214, 224, 236)), 0.28 * glare * lens)
    else:
        image = over(image, linear((236, 242, 248)), (0.04 + 0.13 * glare) * lens)
    thick = 0.021 if face.glasses == "round glasses" else 0.027
    rim = scene.soft(thick + 0.005, thick - 0.005, np.abs(distance))
    frame = linear(face.glasses_colour)
    round_light = np.clip(1.0 - (distance / thick) ** 2, 0.0, 1.0) * 0.10
    lit = frame + (round_light * step(0.1, -0.2, scene.b))
    return over(image, lit, np.maximum(rim, bar_cover(scene)))
