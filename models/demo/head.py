"""The head itself: its relief, its skin, and their light."""

from __future__ import annotations

import numpy as np

from models.demo.light import Normals, darken, gloss, linear, normals_of, over, shade, tint
from models.demo.noise import Plane, bump, pair, sample, step
from models.demo.scene import Scene


def nose_relief(scene: Scene) -> Plane:
    """The nose over the face: bridge, tip and wings."""
    a, b, shape = scene.a, scene.b, scene.face.shape
    tip, wing = shape.nose_length, shape.nose_width
    narrow = 0.045 + 0.06 * step(0.0, tip, b) * wing / 0.12
    bridge = (
        np.exp(-0.5 * (a / narrow) ** 2) * step(-0.10, 0.15, b) * step(tip + 0.07, tip - 0.02, b)
    )
    return (
        0.105 * bridge * (0.45 + 0.75 * step(0.0, tip, b))
        + 0.075 * bump(a, b, (0.0, tip), (0.066, 0.055))
        + 0.058 * pair(a, b, (wing * 0.82, tip + 0.025), (0.034, 0.034))
    )


def bone_relief(scene: Scene) -> Plane:
    """Brows, sockets, cheeks and chin."""
    a, b, shape = scene.a, scene.b, scene.face.shape
    man = float(scene.face.person == "man")
    eye = shape.eye_spacing
    smile = float(scene.face.expression in ("smiling", "laughing"))
    return (
        (0.026 + 0.016 * man) * pair(a, b, (eye, -0.13), (0.16, 0.055))
        - 0.075 * pair(a, b, (eye, 0.0), (0.135, 0.080))
        - 0.020 * bump(a, b, (0.0, -0.05), (0.06, 0.06))
        + (shape.cheek + 0.022 * smile) * pair(a, b, (0.37, 0.30 - 0.03 * smile), (0.16, 0.12))
        + (0.035 + 0.02 * man) * bump(a, b, (0.0, 0.87), (0.15, 0.09))
        - 0.028 * bump(a, b, (0.0, 0.765), (0.15, 0.035))
        - 0.012 * bump(a, b, (0.0, 0.50), (0.025, 0.045))
    )


def fold_depth(scene: Scene) -> Plane:
    """Where the skin folds: from the nose to the mouth, under the eyes, over the forehead."""
    a, b, face = scene.a, scene.b, scene.face
    smile = float(face.expression in ("smiling", "laughing"))
    down = np.clip((b - 0.38) / 0.30, 0.0, 1.0)
    path = np.abs(a) - (0.135 + 0.035 * smile + 0.15 * down ** np.float32(1.3))
    nasolabial = np.exp(-0.5 * (path / 0.022) ** 2) * step(0.34, 0.42, b) * step(0.74, 0.62, b)
    under = np.abs(a) - face.shape.eye_spacing
    bags = np.exp(
        -0.5 * ((b - 0.145 + 1.2 * under * under) / 0.014) ** 2 - 0.5 * (under / 0.10) ** 2
    )
    waves = b + 0.012 * np.sin(a * 9 + face.seed) - 0.05 * a * a
    lines = np.clip(np.cos(waves * 75), 0.0, 1.0) ** 3
    forehead = lines * step(-0.50, -0.42, b) * step(-0.24, -0.32, b) * step(0.42, 0.25, np.abs(a))
    crow = np.clip(np.cos((b - 0.02) * 110 / (0.6 + 3 * np.abs(under - 0.15))), 0, 1) ** 3
    crow = crow * bump(np.abs(a), b, (face.shape.eye_spacing + 0.20, 0.02), (0.035, 0.05))
    depth: Plane = (
        (0.30 + 0.9 * face.wrinkles) * np.minimum(1.0, 0.5 + smile) * nasolabial
        + (0.2 + 0.8 * face.wrinkles) * bags
        + face.wrinkles * 0.8 * forehead
        + face.wrinkles * 0.6 * crow
    )
    return depth


def skin_grain(scene: Scene) -> Plane:
    """Pores and unevenness, about [-1, 1]."""
    coarse = sample(scene.texture.lattice(32, 32), scene.b * 7 + 9, scene.a * 7 + 9)
    fine = sample(scene.texture.lattice(128, 128), scene.b * 34 + 50, scene.a * 34 + 50)
    grain: Plane = 0.5 * coarse + 0.5 * fine
    return grain


def head_normals(scene: Scene, folds: Plane, grain: Plane) -> Normals:
    """Normals of the head with all its relief."""
    rough = 0.0012 + 0.0014 * scene.face.wrinkles
    height = scene.z + nose_relief(scene) + bone_relief(scene) - 0.016 * folds + rough * grain
    return normals_of(height, scene.unit)


def skin_albedo(scene: Scene, grain: Plane) -> Plane:
    """The skin's own colour, (3, H, W): rosy cheeks, nose and ears, blotches, freckles."""
    a, b, face = scene.a, scene.b, scene.face
    base = linear(face.skin_colour)
    tip = face.shape.nose_length
    rosy = (
        pair(a, b, (0.40, 0.34), (0.14, 0.13))
        + 0.7 * bump(a, b, (0.0, tip), (0.09, 0.07))
        + 0.35 * bump(a, b, (0.0, 0.88), (0.14, 0.08))
    )
    blotch = (1.0 + 0.045 * grain) * base
    albedo = over(blotch, base * tint(1.02, 0.80, 0.78), np.clip(0.55 * rosy, 0.0, 1.0))
    if face.freckles:
        spots = sample(scene.texture.lattice(128, 128), 38 * b + 15 * a + 60, 38 * a - 15 * b + 60)
        area = pair(a, b, (0.26, 0.24), (0.20, 0.10)) + bump(a, b, (0.0, 0.2), (0.12, 0.1))
        dots = step(0.45, 0.80, spots) * np.clip(area * 1.2, 0.0, 0.70)
        albedo = over(albedo, base * tint(0.52, 0.36, 0.28), dots)
    if face.beard == "stubble":
        albedo = over(albedo, base * 0.42, stubble_cover(scene))
    return albedo


def stubble_cover(scene: Scene) -> Plane:
    """Cover of a day-old beard, (H, W) in [0, 0.6]."""
    a, b = scene.a, scene.b
    dots = sample(scene.texture.lattice(96, 96), b * 45 + 60, a * 45 + 60)
    jaw = step(0.42, 0.62, b + 0.25 * np.abs(a))
    bare = bump(a, b, (0.0, 0.63), (0.16, 0.045)) + pair(a, b, (0.30, 0.40), (0.12, 0.10))
    cover: Plane = jaw * np.clip(1.0 - bare, 0.0, 1.0) * (0.34 + 0.24 * dots)
    return cover


def occlusion(scene: Scene, folds: Plane) -> Plane:
    """Where little light gets in: sockets, sides and holes of the nose, under the lip, folds."""
    a, b, shape = scene.a, scene.b, scene.face.shape
    tip, wing, eye = shape.nose_length, shape.nose_width, shape.eye_spacing
    dark: Plane = (
        0.30 * pair(a, b, (eye - 0.06, -0.045), (0.11, 0.05))
        + 0.30 * pair(a, b, (0.135, 0.0), (0.045, 0.07))
        + 0.42 * bump(a, b, (0.0, tip + 0.085), (wing * 0.9, 0.024))
        + 0.55 * pair(a, b, (wing * 0.46, tip + 0.055), (0.024, 0.013))
        + 0.22 * pair(a, b, (wing + 0.035, tip + 0.03), (0.02, 0.035))
        + 0.22 * bump(a, b, (0.0, 0.755), (0.13, 0.028))
        + 0.30 * folds
    )
    return np.clip(dark, 0.0, 0.85)


def paint_head(scene: Scene, image: Plane) -> Plane:
    """The head without eyes, mouth and hair."""
    folds, grain = fold_depth(scene), skin_grain(scene)
    normals = head_normals(scene, folds, grain)
    light = scene.face.light
    skin = shade(
        skin_albedo(scene, grain), normals, light, 0.5 * (1.0 - 0.6 * scene.face.skin_tone)
    )
    skin = darken(skin, occlusion(scene, folds), (0.82, 1.0, 1.0))
    shine = gloss(normals, light, 22.0) * (1.0 + 0.5 * grain) * light.key
    strength = 0.055 + 0.03 * scene.face.skin_tone
    white = tint(1.0, 0.97, 0.93)
    skin = skin + (strength * shine) * white
    return over(image, skin, scene.skin_cover)
