"""Eyes and brows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.demo.attributes import EYE_COLOURS, HAIR_COLOURS, FaceAttributes
from models.demo.light import darken, linear, over
from models.demo.noise import Plane, bump, sample, step
from models.demo.scene import Scene

IRIS = 0.072
"""Radius of an iris, in halves of the head's height."""


@dataclass(frozen=True)
class Eye:
    """The planes of one eye: t runs -1..1 from the inner to the outer corner, b from its middle."""

    side: float
    t: Plane
    a: Plane
    b: Plane
    upper: Plane
    lower: Plane


def lid_opening(face: FaceAttributes) -> tuple[float, float]:
    """How far the upper lid is up and the lower lid down, as parts of the eye's size."""
    upper = {"neutral": 0.46, "smiling": 0.42, "laughing": 0.34, "serious": 0.40}[face.expression]
    lower = {"neutral": 0.30, "smiling": 0.24, "laughing": 0.17, "serious": 0.28}[face.expression]
    tired = 0.06 * face.wrinkles
    return upper - tired, lower


def eye_planes(scene: Scene, side: float) -> Eye:
    """Lay out one eye; side is -1 for the left of the picture."""
    shape = scene.face.shape
    a = scene.a - side * shape.eye_spacing
    t = side * a / shape.eye_size
    b = scene.b + shape.eye_tilt * 0.30 * side * a
    up, down = lid_opening(scene.face)
    room = np.clip(1.0 - t * t, 0.0, 1.0)
    upper = -up * shape.eye_size * 1.22 * room ** np.float32(0.72)
    lower = down * shape.eye_size * 1.22 * room ** np.float32(0.85)
    return Eye(side, t, a, b, upper, lower)


def paint_eye(scene: Scene, image: Plane, eye: Eye) -> Plane:
    """One eye: ball, iris, pupil, the lids' shadow and lashes."""
    opening = np.maximum(eye.upper - eye.b, eye.b - eye.lower) + 0.02 * np.clip(
        np.abs(eye.t) - 1.0, 0.0, None
    )
    inside = scene.soft(0.006, -0.006, opening)
    ball = paint_ball(scene, eye)
    lid_shadow = step(0.055, 0.0, eye.b - eye.upper) * 0.55 + 0.25 * eye.t * eye.t
    ball = darken(ball, np.clip(lid_shadow, 0.0, 0.8), (0.9, 0.97, 1.0))
    glint = bump(
        eye.a,
        eye.b,
        (0.024 * np.sign(scene.face.light.direction[0]) + gaze(scene)[0], -0.026),
        (0.011, 0.011),
    )
    ball = over(ball, linear((255, 255, 255)) * 1.15, np.clip(glint * 1.25, 0.0, 1.0))
    image = paint_lid(scene, image, eye)
    image = over(image, ball, inside)
    return paint_lashes(scene, image, eye)


def gaze(scene: Scene) -> tuple[float, float]:
    """Where the irises look: their offset from the middle of the eye."""
    pose, shape = scene.face.pose, scene.face.shape
    return shape.gaze_x + 0.10 * pose.yaw, shape.gaze_y - 0.012


def paint_ball(scene: Scene, eye: Eye) -> Plane:
    """The eyeball without lids, (3, H, W): white, iris with fibres, pupil."""
    face = scene.face
    along, down = gaze(scene)
    across, below = eye.a - along, eye.b - down
    radius = np.hypot(across, below)
    round_off = np.clip(1.0 - 0.30 * eye.t * eye.t, 0.0, 1.0)
    level = 0.86 + 0.10 * face.light.key
    white = linear((236, 230, 226)) * (round_off * level)
    iris_colour = linear(EYE_COLOURS[face.eye_colour])
    fibres = sample(
        scene.texture.lattice(64, 4), np.arctan2(below, across) * 10.18 + 40, radius * 20
    )
    brighter = 0.72 + 0.55 * step(-0.05, 0.07, below) + 0.30 * fibres
    iris = iris_colour * 1.25 * brighter
    iris = darken(iris, 0.75 * step(IRIS * 0.78, IRIS * 1.02, radius))
    ball = over(white, iris, scene.soft(IRIS + 0.006, IRIS - 0.006, radius))
    return over(ball, linear((10, 8, 8)), scene.soft(0.034, 0.026, radius))


def paint_lid(scene: Scene, image: Plane, eye: Eye) -> Plane:
    """The crease over the eye, the rim of the lower lid, and make-up on some."""
    within = step(1.30, 0.85, np.abs(eye.t))
    crease = np.exp(-0.5 * ((eye.b - eye.upper * 1.05 + 0.034) / 0.010) ** 2) * within
    image = darken(image, 0.40 * crease, (0.85, 1.0, 1.0))
    rim = np.exp(-0.5 * ((eye.b - eye.lower - 0.008) / 0.010) ** 2) * step(1.1, 0.8, np.abs(eye.t))
    return darken(image, 0.22 * rim, (0.5, 1.0, 1.0))


def paint_lashes(scene: Scene, image: Plane, eye: Eye) -> Plane:
    """The dark line of lashes, longer and darker on women."""
    woman = scene.face.person == "woman"
    thick = 0.017 if woman else 0.011
    wing = np.clip(eye.t - 0.75, 0.0, None) * (0.06 if woman else 0.0)
    distance = np.abs(eye.b - eye.upper + wing + 0.3 * thick)
    line = scene.soft(thick, thick * 0.25, distance) * step(
        1.16 if woman else 1.05, 0.92, np.abs(eye.t)
    )
    lower = scene.soft(0.009, 0.002, np.abs(eye.b - eye.lower)) * step(1.02, 0.8, np.abs(eye.t))
    image = over(image, linear((44, 28, 22)), 0.40 * lower)
    return over(image, linear((16, 12, 12)), (0.95 if woman else 0.75) * line)


def paint_brow(scene: Scene, image: Plane, side: float) -> Plane:
    """One brow: an arched band of short hairs."""
    face, shape = scene.face, scene.face.shape
    lift = {"neutral": 0.0, "smiling": 0.012, "laughing": 0.02, "serious": -0.022}[face.expression]
    knit = 0.22 if face.expression == "serious" else 0.0
    t = (side * scene.a - shape.eye_spacing) / (shape.eye_size * 1.32)
    path = (
        -shape.brow_height
        - lift
        - shape.brow_arch * (1.0 - (t - 0.25) ** 2)
        + 0.03 * np.clip(t, 0.0, None) ** 2
        - knit * 0.12 * np.clip(0.3 + t, -0.8, 0.3)
    )
    weight = shape.brow_weight * (1.05 - 0.55 * np.clip(t, -0.2, 1.2))
    hairs = sample(
        scene.texture.lattice(8, 128), scene.b * 12 + 4, side * scene.a * 60 + scene.b * 50 + 60
    )
    distance = np.abs(scene.b - path) / weight + 0.30 * hairs
    cover = step(1.15, 0.35, distance) * step(1.10, 0.90, np.abs(t))
    hair = linear(HAIR_COLOURS[face.hair_colour])
    colour = hair * (0.62 if face.hair_colour in ("blond", "grey", "white") else 0.8)
    return over(image, colour, 0.88 * cover)


def paint_eyes(scene: Scene, image: Plane) -> Plane:
    """Both eyes and both brows."""
    for side in (-1.0, 1.0):
        image = paint_eye(scene, image, eye_planes(scene, side))
        image = paint_brow(scene, image, side)
    return image
