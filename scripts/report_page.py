"""The report's page: one HTML file that holds its figures and style, and asks for nothing."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from models.contact_sheet import describe_seeds
from models.roles import DIFFUSION, VAE
from scripts.report_figures import DIFFERENCE_SCALE, Drawing
from scripts.report_findings import Findings
from scripts.report_style import CHART_SCALE
from scripts.report_words import comparison, percent, sharp, summary

HERE = Path(__file__).resolve().parent
_WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
TEMPLATE, STYLE = "report_page.html", "report_page.css"


def render(
    findings: Findings,
    drawings: Mapping[str, Drawing],
    facts: Mapping[str, str],
    command: str,
    created: int,
) -> str:
    """Return the page.

    Args:
        findings: what it shows.
        drawings: its figures by name.
        facts: of the machine and its software, for the last section.
        command: that makes it again.
        created: seconds since 1970, UTC.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined
    )
    topics = comparison(findings.numbers)
    return environment.get_template(TEMPLATE).render(
        **_shown_facts(findings),
        style=(HERE / STYLE).read_text(encoding="utf-8"),
        figures={name: _embedded(drawing) for name, drawing in drawings.items()},
        alt=_alternatives(findings),
        topics=topics,
        summary=summary(topics),
        notices=_notices(findings),
        made=_made(findings, facts),
        command=command,
        date=datetime.fromtimestamp(created, UTC).strftime("%-d %B %Y, %H:%M UTC"),
    )


def _shown_facts(findings: Findings) -> dict[str, Any]:
    numbers = findings.numbers
    factors = list(findings.sweep)
    return {
        "numbers": numbers,
        "n": numbers.n,
        "n_words": _WORDS[numbers.n] if numbers.n < len(_WORDS) else str(numbers.n),
        "factor": f"{numbers.chosen_factor:g}",
        "seeds": findings.parameters["seeds"],
        "seed_words": _seeds(findings).removeprefix("seeds ").removeprefix("seed "),
        "input": findings.input_facts,
        VAE: findings.vae.facts,
        "diffusion": findings.diffusion.facts,
        "diffusion_facts": _diffusion_facts(findings),
        "sweep_ends": (f"{factors[0]:g}", f"{factors[-1]:g}"),
        "chosen_in_sweep": numbers.chosen_factor in findings.sweep,
        "sweep": [
            {
                "factor": f"{factor:g}",
                "metrics": shown.metrics,
                "model_s": shown.model_s,
                "chosen": factor == numbers.chosen_factor,
            }
            for factor, shown in findings.sweep.items()
        ],
        "sharpness": _sharpness_rows(findings),
        "model_notes": _notes(findings),
        "difference_scale": DIFFERENCE_SCALE,
        "sharp": sharp,
    }


def _seeds(findings: Findings) -> str:
    return describe_seeds(findings.parameters["seeds"]).replace(" ... ", " to ")


def _diffusion_facts(findings: Findings) -> list[tuple[str, object]]:
    parameters, card = findings.parameters, findings.cards[DIFFUSION]
    return [
        ("prompt", parameters["prompt"] or "none"),
        ("negative prompt", parameters["negative_prompt"] or "none"),
        ("strength", f"{parameters['strength']:g}"),
        ("guidance scale", f"{parameters['guidance_scale']:g}"),
        ("steps", parameters["num_inference_steps"]),
        ("UNet calls", f"{findings.numbers.unet_calls}, each over the whole set"),
        ("scheduler", card["scheduler"] or "none"),
    ]


def _sharpness_rows(findings: Findings) -> list[dict[str, object]]:
    numbers = findings.numbers
    rows = [
        ("input", "", 1, numbers.input_sharpness),
        ("VAE, reconstruction", "of-vae", 1, numbers.reconstruction.laplacian_variance),
        (
            f"VAE, factor {numbers.chosen_factor:g}",
            "of-vae",
            numbers.n,
            numbers.vae.laplacian_variance,
        ),
        ("Stable Diffusion", "of-diffusion", numbers.n, numbers.diffusion.laplacian_variance),
    ]
    return [
        {
            "name": name,
            "class": colour,
            "images": images,
            "value": value,
            "share": percent(value, numbers.input_sharpness),
        }
        for name, colour, images, value in rows
    ]


def _notices(findings: Findings) -> list[str]:
    """Return what a reader has to know before anything else."""
    if findings.numbers.simulated:
        return ["These pictures are simulated: no model made them."]
    if any(card["demo"] for card in findings.cards.values()):
        return [
            "Made with demo weights, which show what Twinset does on any machine: what is found "
            "here is theirs, not that of Stable Diffusion v1.5 or of a VAE trained on photographs."
        ]
    return []


def _notes(findings: Findings) -> list[str]:
    """Return what the models say of themselves, as sentences, each once."""
    notes = [
        note
        for shown in (findings.vae, findings.diffusion)
        for note in shown.facts.get("notes", [])
    ]
    return [f"{note[0].upper()}{note[1:].rstrip('.')}." for note in dict.fromkeys(notes) if note]


def _made(findings: Findings, facts: Mapping[str, str]) -> list[tuple[str, str]]:
    rows = [("input SHA-256", str(findings.input_facts["sha256"]))]
    crop = findings.input_facts["crop"]
    rows.append(("crop", f"x {crop['x']}, y {crop['y']}, side {crop['side']} px"))
    rows.append(("seeds", f"{_seeds(findings).removeprefix('seeds ')}, the same in every set"))
    for name, shown, role in (
        ("VAE", findings.vae, VAE),
        ("diffusion", findings.diffusion, DIFFUSION),
    ):
        card = findings.cards[role]
        rows.append((name, f"{shown.facts['model']}, revision {shown.facts['revision']}"))
        rows.append(
            (
                f"{name} runs on",
                f"{card['device']}, {card['precision']}, {card['image_size_px']} px; licence of "
                f"the weights: {card['licence'] or 'not said'}",
            )
        )
    rows.append(("asked twice", _repeated(findings)))
    return [*rows, ("software", findings.software), *facts.items()]


def _repeated(findings: Findings) -> str:
    factor, within = f"{findings.numbers.chosen_factor:g}", findings.repeated_within()
    if within is None:
        return f"the sweep holds no complete set at factor {factor} to compare the pairs with"
    both = f"the VAE's set at factor {factor}, once with the pairs and once in the sweep"
    return f"{both}: " + ("the same pixels" if within == 0 else f"equal within {within}/255")


def _embedded(drawing: Drawing) -> dict[str, object]:
    with Image.open(BytesIO(drawing.light)) as opened:
        width, height = opened.size
    return {
        "light": _data_url(drawing.light),
        "dark": _data_url(drawing.dark) if drawing.dark else "",
        "width": round(width / CHART_SCALE),
        "height": round(height / CHART_SCALE),
    }


def _data_url(file: bytes) -> str:
    """Return a PNG file's pixels as lossless WebP, which is a third smaller, in a data URL."""
    buffer = BytesIO()
    with Image.open(BytesIO(file)) as opened:
        opened.save(buffer, "WEBP", lossless=True, exact=True, method=3, quality=40)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _alternatives(findings: Findings) -> dict[str, str]:
    """Return what is read aloud in place of each figure."""
    numbers, seeds = findings.numbers, _seeds(findings)
    factors = [f"{factor:g}" for factor in numbers.sweep]

    def curve(values: Sequence[float]) -> str:
        pairs = zip(factors, values, strict=True)
        return ", ".join(f"{value:.3f} at {factor}" for factor, value in pairs)

    rows = [f"{row['name']} {sharp(float(str(row['value'])))}" for row in _sharpness_rows(findings)]
    return {
        "input-and-reconstruction": "The input face, the VAE's reconstruction, their difference.",
        "vae-set": f"The VAE's {numbers.n} images at factor {numbers.chosen_factor:g}, {seeds}.",
        "sweep-grid": f"The VAE's images by factor, {factors[0]} to {factors[-1]}, and {seeds}.",
        "sweep-diversity": "Diversity over the factor: "
        + curve([one.pairwise_rmse for one in numbers.sweep.values()]),
        "sweep-distance": "Distance to the input over the factor: "
        + curve([one.input_rmse for one in numbers.sweep.values()]),
        "diffusion-set": f"The diffusion model's {numbers.n} images, {seeds}.",
        "sharpness": f"Sharpness: {', '.join(rows)}.",
        "pairs": f"Each image of the VAE beside the diffusion model's of the same seed, {seeds}.",
    }
