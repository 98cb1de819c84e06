"""Hair: what hangs behind the head, and what covers the crown and frames the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.demo.attributes import HAIR_COLOURS, FaceAttributes
from models.demo.light import darken, linear, normals_of, over, shade, tint
from models.demo.noise import Plane, bump, sample, step
from models.demo.scene import Scene, outline


@dataclass(frozen=True)
class Mass:
    """One mass of hair: cover in [0, 1], height over the picture, strands in [-1, 1]."""

    cover: Plane
    height: Plane
    strands: Plane


def strand_noise(scene: Scene, curly: bool) -> Plane:
    """Strands that fan out from the parting, about [-1, 1]; curls are round cells instead."""
    u, v, face = scene.u, scene.v, scene.face
    if curly:
        return curl_noise(scene)
    down = np.clip(v + 1.35, 0.05, None)
    wave = 0.02 + 0.05 * face.hair_wave
    sway = sample(scene.texture.lattice(16, 16), v * 2.2 + 5, u * 2.5 + 5)
    ripple = wave * np.sin(v * (5.0 + 4.0 * face.hair_wave) + 2.5 * sway) * step(-0.5, 0.6, v)
    fan = (u - 0.55 * face.hair_part + ripple) / (0.30 + 0.62 * np.minimum(down, 1.45))
    angle = fan + 0.07 * sway
    locks = sample(scene.texture.lattice(4, 64), down * 0.9, angle * 12 + 32)
    coarse = sample(scene.texture.lattice(8, 128), down * 1.6, angle * 34 + 64 + 0.8 * locks)
    fine = sample(scene.texture.lattice(16, 256), down * 2.6, angle * 95 + 128 + 1.5 * locks)
    strands: Plane = 0.60 * locks + 0.36 * coarse + 0.30 * fine
    return strands


def curl_noise(scene: Scene) -> Plane:
    """Curls: bent cells of two sizes, about [-1, 1]."""
    u, v = scene.u, scene.v
    bend = scene.texture.lattice(32, 32)
    move_u = u + 0.10 * sample(bend, v * 6 + 9, u * 6 + 9)
    move_v = v + 0.10 * sample(bend, u * 6 + 3, v * 6 + 17)
    coarse = sample(scene.texture.lattice(64, 64), move_v * 9 + 30, move_u * 9 + 30)
    fine = sample(scene.texture.lattice(128, 128), move_v * 24 + 60, move_u * 24 + 60)
    curls: Plane = 0.75 * (1.0 - 2.2 * np.abs(coarse)) + 0.40 * fine
    return curls


def paint_mass(scene: Scene, image: Plane, mass: Mass) -> Plane:
    """Light one mass of hair: relief of strands, and a broken band of shine across them."""
    face = scene.face
    colour = linear(HAIR_COLOURS[face.hair_colour])
    bright = float(colour.mean())
    normals = normals_of(mass.height + 0.020 * mass.strands, scene.unit)
    depth = np.clip(0.95 + 0.42 * mass.strands, 0.25, 1.5)
    tinge = 1.0 + tint(0.08, 0.0, -0.08) * mass.strands
    hair = shade(colour * tinge * depth, normals, face.light)
    tilt = normals.y + 0.42 + 0.20 * mass.strands
    band = np.exp(-0.5 * (tilt / 0.17) ** 2) * np.clip(0.35 + 0.9 * mass.strands, 0.0, 1.0)
    shine = (0.055 + 0.22 * bright) * face.light.key * band
    white = 0.5 + 0.5 * colour / (bright + 0.05)
    return over(image, hair + shine * white, mass.cover)


def is_curly(face: FaceAttributes) -> bool:
    """Whether the hair is drawn in curls."""
    return face.hair_style == "curly"


def hair_growth(face: FaceAttributes) -> float:
    """How far the hair stands off the head, in halves of the head's height."""
    return {
        "cropped": 0.015,
        "short": 0.075,
        "bob": 0.085,
        "long": 0.080,
        "curly": 0.15,
        "bun": 0.045,
        "bald": 0.0,
    }[face.hair_style]


def back_field(scene: Scene, strands: Plane) -> Plane | None:
    """A field that is negative where hair hangs behind head and neck; None for short hair."""
    face = scene.face
    u, v = scene.u, scene.v
    width = face.shape.width
    ragged = 0.030 * strands
    if face.hair_style == "long":
        half = width + 0.09 + 0.10 * step(0.0, 1.1, v) + 0.035 * face.hair_wave * np.sin(v * 7)
        return np.maximum(np.abs(u) - half + ragged, -0.15 - v)
    if face.hair_style == "bob":
        half = width + 0.085 + 0.10 * step(-0.1, 0.55, v) - 0.10 * step(0.55, 0.9, v)
        return np.maximum(np.abs(u) - half + ragged, np.maximum(v - 0.74 + 2 * ragged, -0.15 - v))
    if face.hair_style == "curly":
        size = 0.16 + 0.10 * float(face.person == "woman")
        low = 0.45 if face.person == "woman" else 0.12
        stretch = 1.0 + 0.055 * strands
        return np.hypot(u / (width + size), (v + 0.18) / (0.95 + low * 0.6)) * stretch - 1.0
    return None


def paint_back_hair(scene: Scene, image: Plane) -> Plane:
    """Hair behind the head: long hair, a bob, a mane of curls, a bun."""
    face = scene.face
    strands = strand_noise(scene, is_curly(face))
    field = back_field(scene, strands)
    if field is not None:
        swell = 0.5 * np.sqrt(np.clip(1.3 - scene.u * scene.u, 0.0, None))
        image = paint_mass(scene, image, Mass(scene.edge(field), swell, strands))
        shade_under = step(0.35, 0.0, scene.fill - 1.0) * step(0.2, 0.9, scene.v)
        image = darken(image, 0.45 * shade_under * scene.edge(field))
    if face.hair_style == "bun":
        image = paint_bun(scene, image)
    return image


def paint_bun(scene: Scene, image: Plane) -> Plane:
    """The knot on top of the head."""
    u, v = scene.u - 0.25 * scene.face.hair_part, scene.v + 1.06
    disc = (u / 0.27) ** 2 + (v / 0.20) ** 2
    swirl = sample(
        scene.texture.lattice(8, 128),
        np.sqrt(disc) * 2,
        np.arctan2(v, u) * 10.2 + np.sqrt(disc) * 6 + 64,
    )
    height = 0.24 * np.sqrt(np.clip(1.0 - disc, 0.0, 1.0))
    return paint_mass(scene, image, Mass(scene.edge(disc - 1.0 + 0.08 * swirl), height, swirl))


def hairline(scene: Scene, strands: Plane) -> Plane:
    """A field that is negative on the head where hair covers it, from crown to hairline."""
    face = scene.face
    a, b = scene.a, scene.b
    side = np.abs(a)
    ragged = 0.022 * strands
    temple = step(0.40, 0.62, side)
    if face.hair_style in ("long", "bob"):
        curtain = 0.66 - 0.14 * step(0.0, 0.8, b) - 0.62 * step(-0.12, -0.66, b)
        sides = curtain - side
        parted = b + 0.70 - 0.06 * np.cos(3 * (a - face.hair_part))
        front = b + 0.235 + 0.05 * np.cos(a * 4) if face.fringe else parted
        return np.minimum(np.minimum(sides, front), b + 0.63) + 2.2 * ragged
    if face.hair_style == "short" and face.fringe:
        return b + 0.29 - 0.34 * temple + 0.06 * np.sin(3 * (a + face.hair_part)) + 3.4 * ragged
    recede = 0.07 * float(face.person == "man" and face.age != "young")
    peak = 0.51 + recede * step(0.15, 0.4, side) - 0.3 * recede * np.exp(-((a / 0.16) ** 2))
    depth = {"bun": 0.30, "curly": 0.50, "cropped": 0.56, "short": 0.55}[face.hair_style]
    return b + peak - depth * temple + ragged * (2.2 if is_curly(face) else 1.6)


def crown_mass(scene: Scene) -> Mass:
    """The hair on the head itself, swollen over its outline."""
    face = scene.face
    strands = strand_noise(scene, is_curly(face))
    grow = hair_growth(face)
    fill = outline(scene.u, scene.v, face, grow)
    ragged = (0.08 if is_curly(face) else 0.035) * strands
    dome = np.sqrt(np.clip(1.0 - fill, 0.0, 1.0))
    line = hairline(scene, strands)
    low = {"bob": 0.70, "long": 1.6, "curly": 0.15}.get(face.hair_style, 0.10)
    outside = np.maximum(fill - 1.0 + ragged, scene.v - low + ragged)
    on_head = scene.skin_cover > 0.5
    beside = np.maximum(
        np.minimum(line, scene.v - low), step(0.15, 0.5, scene.v) - np.abs(scene.u) - 0.42
    )
    field = np.where(on_head, line, beside)
    cover = scene.edge(outside) * scene.soft(0.012, -0.012, field)
    edge_lift = 0.025 * step(0.12, 0.0, -line)
    return Mass(cover, 0.80 * dome + grow - edge_lift, strands)


def paint_front_hair(scene: Scene, image: Plane) -> Plane:
    """Hair on the crown and around the face, with its shadow on the skin."""
    face = scene.face
    if face.hair_style == "bald":
        return image
    mass = crown_mass(scene)
    if face.hair_style == "cropped":
        grain = sample(scene.texture.lattice(128, 128), scene.b * 50 + 60, scene.a * 50 + 60)
        thin = Mass(mass.cover * (0.72 + 0.20 * grain), mass.height, 0.5 * grain)
        return paint_mass(scene, image, thin)
    line = hairline(scene, mass.strands)
    shadow = step(0.11, 0.0, line) * step(-0.02, 0.0, line) * scene.skin_cover
    image = darken(image, 0.42 * shadow * (1.0 - mass.cover), (0.9, 1.0, 1.0))
    if face.hair_style == "bun":
        glow = bump(scene.u, scene.v, (0.0, -0.98), (0.30, 0.07))
        image = paint_mass(scene, image, mass)
        return darken(image, 0.35 * glow * mass.cover)
    return paint_mass(scene, image, mass)
