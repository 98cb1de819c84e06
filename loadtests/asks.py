"""One request: whose picture, which fields, and what the answer must show.

A request follows from its number and the options alone, so a run can be repeated, and any request
can be sent a second time to compare the pixels.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from loadtests.checks import Expected
from loadtests.faces import Face, draw_faces
from loadtests.mix import order
from loadtests.options import Options
from loadtests.roles import DIFFUSION_SET, SETS, VAE_SET

PAIRS_PATH, SWEEP_PATH = "/v1/pairs", "/v1/sweep"
JSON, EVENT_STREAM = "application/json", "text/event-stream"
SWEPT_FACTORS = (1.0, 4.0, 7.0)
SETS_OF = {"vae": (VAE_SET,), "diffusion": (DIFFUSION_SET,), "sweep": (VAE_SET,)}

# None: the field is not sent and the service's own default holds.
DIVERSITY_FACTORS = (None, 3.0, 5.0, 7.0)
STRENGTHS = (None, None, 0.4, 0.6, 0.8)
PROMPTS = (None, "a smiling face", "a portrait in soft light")
FORMATS = (None, None, "png", "webp", "jpeg")

NAMES = {
    "pairs": "/v1/pairs",
    "vae": "/v1/pairs (vae)",
    "diffusion": "/v1/pairs (diffusion)",
    "stream": "/v1/pairs (stream)",
    "sweep": "/v1/sweep",
    "cancel": "/v1/pairs (leaves)",
}

Value = str | int | float | None


@dataclass(frozen=True)
class Ask:
    """What one caller sends, and when a caller of the impatient kind leaves.

    `fields` are form fields; `leave_after_s` is None for those who stay.
    """

    number: int
    kind: str
    path: str
    accept: str
    face: Face
    expected: Expected
    fields: dict[str, str] = field(default_factory=dict)
    leave_after_s: float | None = None

    @property
    def name(self) -> str:
        """The line in Locust's table that this request counts in."""
        return NAMES[self.kind]

    @property
    def is_stream(self) -> bool:
        """Whether the answer comes as events."""
        return self.accept == EVENT_STREAM


def make_ask(options: Options, number: int) -> Ask:
    """Return the request with this number."""
    dice = random.Random(f"{options.first_seed}/{number}")
    kinds = order(options.mix)
    kind = kinds[number % len(kinds)]
    seed = options.seed(number)
    face = draw_faces()[number % len(draw_faces())]
    sets = SETS_OF.get(kind, SETS)
    values = choose_values(options, sets, dice)
    swept = SWEPT_FACTORS if kind == "sweep" else ()
    if swept:
        values["diversity_factors"] = ",".join(f"{factor:g}" for factor in swept)
        values.pop("diversity_factor")
    elif len(sets) == 1:
        values["models"] = sets[0]
    streams = kind == "stream" or (kind == "cancel" and dice.random() < 0.5)
    return Ask(
        number=number,
        kind=kind,
        path=SWEEP_PATH if swept else PAIRS_PATH,
        accept=EVENT_STREAM if streams else JSON,
        face=face,
        expected=Expected(
            n=options.pairs_n,
            seed=seed,
            sets=sets,
            diversity_factor=number_or_none(values.get("diversity_factor")),
            tolerance=options.pixel_tolerance,
            factors=swept,
            image_format=str(values["output_format"] or "png"),
            input_sha256=face.sha256,
        ),
        fields=as_form({"n": options.pairs_n, "seed": seed, **values}),
        leave_after_s=dice.uniform(0, 2 * options.leave_after_s) if kind == "cancel" else None,
    )


def choose_values(options: Options, sets: tuple[str, ...], dice: random.Random) -> dict[str, Value]:
    """Return the models' parameters: those of the command line, the rest varied."""

    def vary(given: Value, choices: tuple[Value, ...]) -> Value:
        # Drawn in any case, so that one option more does not change all the others.
        drawn = dice.choice(choices)
        return given if given is not None or options.same_parameters else drawn

    values: dict[str, Value] = {
        "diversity_factor": vary(options.diversity_factor, DIVERSITY_FACTORS),
        "output_format": vary(None, FORMATS),
    }
    if DIFFUSION_SET in sets:
        values["strength"] = vary(options.strength, STRENGTHS)
        values["prompt"] = vary(None, PROMPTS)
        values["num_inference_steps"] = options.num_inference_steps
    if VAE_SET not in sets:
        values.pop("diversity_factor")
    return values


def as_form(values: dict[str, Value]) -> dict[str, str]:
    """Return form fields; what was not chosen is not sent."""
    return {name: str(value) for name, value in values.items() if value is not None}


def number_or_none(value: Value) -> float | None:
    """Return a number that was chosen, None where the default holds."""
    return None if value is None else float(value)
