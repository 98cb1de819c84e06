"""What one synthetic face is: its nameable attributes and its proportions, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

HAIR_COLOURS: dict[str, Colour] = {
    "black": (26, 22, 22),
    "dark brown": (58, 38, 28),
    "brown": (104, 66, 40),
    "blond": (206, 168, 108),
    "red": (140, 56, 28),
    "grey": (138, 136, 136),
    "white": (222, 220, 216),
}
EYE_COLOURS: dict[str, Colour] = {
    "brown": (92, 54, 26),
    "hazel": (136, 96, 44),
    "green": (84, 132, 78),
    "blue": (66, 122, 178),
    "grey": (126, 140, 150),
}
BACKGROUNDS: dict[str, Colour] = {
    "grey": (138, 141, 146),
    "white": (222, 221, 216),
    "blue": (62, 112, 172),
    "green": (70, 122, 84),
    "teal": (40, 110, 118),
    "orange": (206, 128, 58),
    "pink": (208, 146, 156),
    "dark": (44, 46, 54),
}
CLOTHES: tuple[Colour, ...] = (
    (176, 40, 44),
    (38, 66, 140),
    (34, 36, 42),
    (228, 226, 220),
    (46, 112, 74),
    (112, 62, 132),
    (222, 172, 52),
)
SKIN_NAMES = ("fair", "light", "tan", "brown", "dark")
SKIN_STOPS: tuple[Colour, ...] = (
    (246, 214, 196),
    (232, 188, 158),
    (206, 154, 114),
    (158, 106, 72),
    (108, 70, 48),
    (74, 48, 36),
)
HAIR_STYLES = {
    "woman": (("long", 0.30), ("bob", 0.22), ("curly", 0.18), ("bun", 0.16), ("short", 0.14)),
    "man": (("short", 0.44), ("bald", 0.18), ("cropped", 0.20), ("curly", 0.12), ("long", 0.06)),
}
BEARDS = (("none", 0.48), ("stubble", 0.14), ("moustache", 0.12), ("goatee", 0.10), ("beard", 0.16))
GLASSES = (("none", 0.66), ("round glasses", 0.13), ("square glasses", 0.13), ("sunglasses", 0.08))
EXPRESSIONS = (("neutral", 0.28), ("smiling", 0.32), ("laughing", 0.24), ("serious", 0.16))


@dataclass(frozen=True)
class Pose:
    """Where the head stands: angles in radians, offsets and scale in halves of the frame."""

    yaw: float
    pitch: float
    roll: float
    centre_x: float
    centre_y: float
    scale: float


@dataclass(frozen=True)
class Shape:
    """Proportions of one head, in halves of the head's height."""

    width: float
    jaw: float
    eye_spacing: float
    eye_size: float
    eye_tilt: float
    brow_height: float
    brow_arch: float
    brow_weight: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    cheek: float
    ear: float
    gaze_x: float
    gaze_y: float


@dataclass(frozen=True)
class Light:
    """The key light: its direction (x right, y down, z to the viewer) and its strength."""

    direction: tuple[float, float, float]
    key: float
    ambient: float
    warmth: float


@dataclass(frozen=True)
class FaceAttributes:
    """Everything that makes one synthetic face; two equal values draw the same picture."""

    seed: int
    person: str
    age: str
    skin_tone: float
    hair_style: str
    hair_colour: str
    hair_part: float
    fringe: bool
    hair_wave: float
    eye_colour: str
    glasses: str
    glasses_colour: Colour
    beard: str
    expression: str
    freckles: bool
    background: str
    clothes: Colour
    pose: Pose
    shape: Shape
    light: Light

    @property
    def skin_name(self) -> str:
        """The word for the skin tone, from 'fair' to 'dark'."""
        return SKIN_NAMES[min(int(self.skin_tone * len(SKIN_NAMES)), len(SKIN_NAMES) - 1)]

    @property
    def skin_colour(self) -> tuple[float, float, float]:
        """The skin's colour, sRGB in [0, 255], between the stops of the palette."""
        place = self.skin_tone * (len(SKIN_STOPS) - 1)
        index = min(int(place), len(SKIN_STOPS) - 2)
        low, high = SKIN_STOPS[index], SKIN_STOPS[index + 1]
        share = place - index
        red, green, blue = (lo + (hi - lo) * share for lo, hi in zip(low, high, strict=True))
        return red, green, blue

    @property
    def wrinkles(self) -> float:
        """How deep the lines of age are, in [0, 1]."""
        return {"young": 0.0, "middle-aged": 0.35, "old": 0.8}[self.age]


def choose(rng: np.random.Generator, options: tuple[tuple[str, float], ...]) -> str:
    """Draw one name by its weight."""
    weights = np.array([weight for _, weight in options])
    index = int(np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(), side="right"))
    return options[min(index, len(options) - 1)][0]


def pick(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    """Draw one name, all alike in weight."""
    return names[int(rng.integers(len(names)))]


def draw_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose as aligned portraits have it: nearly frontal, large, in the middle."""
    yaw, pitch, roll = (float(v) for v in rng.normal(size=3).clip(-2.2, 2.2) * (0.10, 0.05, 0.025))
    shift_x, shift_y = (float(v) for v in rng.normal(size=2).clip(-2, 2) * 0.012)
    return Pose(yaw, pitch, roll, shift_x, shift_y + 0.035, rng.uniform(0.80, 0.85))


def draw_shape(rng: np.random.Generator, person: str, age: str) -> Shape:
    """Draw the proportions; men have heavier brows and jaws, women larger eyes and fuller lips."""
    man = float(person == "man")
    return Shape(
        width=rng.uniform(0.69, 0.76) + 0.015 * man,
        jaw=rng.uniform(0.16, 0.34) - 0.09 * man,
        eye_spacing=rng.uniform(0.275, 0.315),
        eye_size=rng.uniform(0.142, 0.165) - 0.010 * man,
        eye_tilt=rng.uniform(-0.10, 0.16),
        brow_height=rng.uniform(0.165, 0.215) - 0.02 * man,
        brow_arch=rng.uniform(0.01, 0.06) - 0.01 * man,
        brow_weight=rng.uniform(0.022, 0.032) + 0.010 * man,
        nose_width=rng.uniform(0.085, 0.125) + 0.012 * man,
        nose_length=rng.uniform(0.33, 0.39),
        mouth_width=rng.uniform(0.225, 0.275),
        lip_fullness=rng.uniform(0.040, 0.062) - 0.012 * man - 0.006 * float(age == "old"),
        cheek=rng.uniform(0.02, 0.05),
        ear=rng.uniform(0.9, 1.15),
        gaze_x=float(rng.normal() * 0.012),
        gaze_y=float(rng.normal() * 0.006),
    )


def draw_light(rng: np.random.Generator, skin_tone: float) -> Light:
    """Draw a key light from above and one side; dark skin gets a brighter one."""
    side = -1.0 if rng.random() < 0.5 else 1.0
    azimuth, height = side * rng.uniform(0.30, 0.80), rng.uniform(0.30, 0.65)
    vector = np.array([np.sin(azimuth), -np.sin(height), np.cos(azimuth) * np.cos(height)])
    x, y, z = (float(v) for v in vector / np.linalg.norm(vector))
    key = rng.uniform(0.84, 1.0) * (1.0 + 0.75 * skin_tone)
    return Light((x, y, z), key, rng.uniform(0.26, 0.36), rng.uniform(-0.03, 0.05))


def draw_hair_colour(rng: np.random.Generator, age: str, skin_tone: float) -> str:
    """Draw a hair colour that goes with age and, loosely, with the skin tone."""
    if age == "old" and rng.random() < 0.8:
        return pick(rng, ("grey", "white"))
    dark = 0.2 + 0.8 * skin_tone
    light = 1.0 - 0.75 * skin_tone
    return choose(
        rng,
        (
            ("black", dark),
            ("dark brown", 0.6),
            ("brown", 0.55 * light + 0.1),
            ("blond", 0.6 * light),
            ("red", 0.45 * light),
            ("grey", 0.15 if age == "middle-aged" else 0.03),
        ),
    )


def draw_attributes(seed: int) -> FaceAttributes:
    """Draw one face from its seed alone."""
    rng = np.random.default_rng([seed, 0])
    person = pick(rng, ("woman", "man"))
    age = choose(rng, (("young", 0.5), ("middle-aged", 0.3), ("old", 0.2)))
    skin_tone = rng.random()
    man = person == "man"
    return FaceAttributes(
        seed=seed,
        person=person,
        age=age,
        skin_tone=skin_tone,
        hair_style=choose(rng, HAIR_STYLES[person]),
        hair_colour=draw_hair_colour(rng, age, skin_tone),
        hair_part=rng.uniform(-0.30, 0.30),
        fringe=bool(rng.random() < (0.25 if man else 0.45)),
        hair_wave=rng.uniform(0.0, 1.0),
        eye_colour=choose(
            rng,
            (
                ("brown", 0.2 + 0.8 * skin_tone),
                ("hazel", 0.25),
                ("green", 0.22 * (1.2 - skin_tone)),
                ("blue", 0.3 * (1.2 - skin_tone)),
                ("grey", 0.12 * (1.2 - skin_tone)),
            ),
        ),
        glasses=choose(rng, GLASSES),
        glasses_colour=((24, 24, 28), (74, 44, 26), (58, 30, 78), (120, 34, 34))[
            int(rng.integers(4))
        ],
        beard=choose(rng, BEARDS) if man else "none",
        expression=choose(rng, EXPRESSIONS),
        freckles=bool(rng.random() < 0.4 * max(0.0, 0.7 - skin_tone)),
        background=pick(rng, tuple(BACKGROUNDS)),
        clothes=CLOTHES[int(rng.integers(len(CLOTHES)))],
        pose=draw_pose(rng),
        shape=draw_shape(rng, person, age),
        light=draw_light(rng, skin_tone),
    )
