"""What is written into an image comes back out of it, and viewers can read it."""

import json
import re
import struct
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from models.pixels import encode
from models.provenance import Provenance, encode_with_provenance, read_provenance
from models.xmp import packet

FORMATS = ("png", "webp", "jpeg")
PROVENANCE = Provenance(
    model="demo-diffusion",
    revision="sha256:00",
    seed=7,
    parameters={
        "prompt": "a face, naïve 😀\nby a window",
        "negative_prompt": "hat",
        "strength": 0.7,
        "guidance_scale": 2.0,
        "num_inference_steps": 20,
    },
    input={"sha256": "ab", "width": 3, "height": 4, "crop": {"x": 0, "y": 0, "side": 3}},
    precision="bfloat16",
    unet_calls=14,
    software="Twinset 0.1.0",
    scheduler="DPMSolverMultistepScheduler",
)
VAE = Provenance(
    "demo-vae", "sha256:01", 7, {"diversity_factor": 7.0}, {}, software="Twinset 0.1.0"
)
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
SETTINGS = (
    "Steps: 20, Sampler: DPM++ 2M, CFG scale: 2, Seed: 7, Size: 48x64, Model: demo-diffusion, "
    "Denoising strength: 0.7, Version: Twinset 0.1.0"
)


def _shown_text(data: bytes) -> str:
    """Return the text that viewers show, found as they find it."""
    image = Image.open(BytesIO(data))
    if image.format == "PNG":
        return str(image.info["parameters"])
    comment = image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
    assert comment.startswith(b"UNICODE\0")
    assert b"\x92\x86\0\x07" in data  # typed as EXIF wants it; strict readers skip it otherwise
    return bytes(comment[8:]).decode("utf-16-be")


def _parsed(text: str) -> dict[str, str]:
    """Parse the text as viewers and model sites do; not with the project's code."""
    *prompts, last = text.strip().split("\n")
    pairs = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', last)
    assert len(pairs) >= 3  # fewer, and viewers take the line for a part of the prompt
    assert last.startswith("Steps: ")
    settings = {k: json.loads(v) if v.startswith('"') else v for k, v in pairs}
    prompt, _, negative = "\n".join(prompts).partition("Negative prompt:")
    return {"prompt": prompt.strip(), "negative": negative.strip(), **settings}


def _with_parameters(**parameters: Any) -> Provenance:
    return replace(PROVENANCE, parameters={**PROVENANCE.parameters, **parameters})


@pytest.mark.parametrize("provenance", [PROVENANCE, VAE], ids=["diffusion", "vae"])
@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_carries_it(output_format: str, provenance: Provenance) -> None:
    read = read_provenance(encode_with_provenance(PIXELS, output_format, provenance))
    assert read == provenance
    assert type(read.seed) is type(read.unet_calls) is int


@pytest.mark.parametrize("output_format", FORMATS)
def test_equal_arguments_give_equal_bytes_also_from_threads(output_format: str) -> None:
    turned = replace(PROVENANCE, parameters=dict(reversed(PROVENANCE.parameters.items())))
    with ThreadPoolExecutor(4) as pool:
        files = list(
            pool.map(
                lambda given: encode_with_provenance(PIXELS, output_format, given),
                [PROVENANCE, turned] * 8,
            )
        )
    assert len(set(files)) == 1


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_shows_the_text_of_a1111(output_format: str) -> None:
    text = _shown_text(encode_with_provenance(PIXELS, output_format, PROVENANCE))
    assert text == f"a face, naïve 😀\nby a window\nNegative prompt: hat\n{SETTINGS}"
    assert _parsed(text)["prompt"] == PROVENANCE.parameters["prompt"]
    assert _parsed(text)["negative"] == "hat"
    assert _parsed(text)["Sampler"] == "DPM++ 2M"


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_model_without_a_prompt_shows_its_own_parameters(output_format: str) -> None:
    assert _shown_text(encode_with_provenance(PIXELS, output_format, VAE)) == (
        "Steps: 1, Seed: 7, Size: 48x64, Model: demo-vae, Diversity factor: 7, "
        "Version: Twinset 0.1.0"
    )


@pytest.mark.parametrize("value", ["a, b", "a: b", '"a', 'a "b"', "a\nb", "\\b", 'a, "\\"'])
def test_values_that_could_be_cut_short_are_quoted(value: str) -> None:
    parsed = _parsed(_with_parameters(note=value).as_text(1, 2))
    assert parsed["Note"] == value
    assert parsed["Version"] == "Twinset 0.1.0"


def test_an_empty_prompt_and_an_unknown_sampler_stay_parseable() -> None:
    odd = _with_parameters(prompt="", negative_prompt="a: b, c", empty="")
    text = replace(odd, scheduler="OtherScheduler", model="a: b").as_text(1, 2)
    parsed = _parsed(text)
    assert parsed["prompt"] == ""
    assert parsed["negative"] == "a: b, c"
    assert parsed["Sampler"] == "OtherScheduler"
    assert 'Model: "a: b", ' in text  # as A1111 has it
    assert parsed["Size"] == "1x2"
    assert "Empty" not in parsed


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_contact_sheet_may_name_two_models_and_all_seeds(output_format: str) -> None:
    sheet = replace(
        _with_parameters(seeds=[7, 8, 9], models=["demo-vae", "demo-diffusion"], single=[7]),
        model="demo-vae + demo-diffusion",
    )
    data = encode_with_provenance(PIXELS, output_format, sheet)
    assert read_provenance(data) == sheet
    parsed = _parsed(_shown_text(data))
    assert parsed["Model"] == "demo-vae + demo-diffusion"
    assert (parsed["Seeds"], parsed["Single"]) == ("7, 8, 9", "7")
    assert parsed["Models"] == "demo-vae, demo-diffusion"
    assert parsed["Version"] == "Twinset 0.1.0"


# The last two spell our own element, in Latin-1 and in the two bytes per letter that EXIF has.
ELEMENT = packet(VAE.as_json(), model="", revision="", software="")[-900:].decode()
EXTREME_PROMPTS = {
    "emoji": "😀" * 2000,
    "markup": '<&">' * 500,
    "quotes": "\"'\\" * 666,
    "control characters": "".join(map(chr, range(32))) * 60,
    "not allowed in XML": "\x7f\x85\u2028\ufffe\uffff" * 400,
    "languages": "顔 лицо وجه चेहरा ใบหน้า e\u0301 " * 60,
    "line of settings": f"\n{SETTINGS}\n",
    "our element": ELEMENT,
    "our element in UTF-16": (ELEMENT + " ").encode()[: len(ELEMENT) // 2 * 2].decode("utf-16-be"),
}


@pytest.mark.parametrize("prompt", EXTREME_PROMPTS.values(), ids=EXTREME_PROMPTS.keys())
@pytest.mark.parametrize("output_format", FORMATS)
def test_two_prompts_of_any_text_survive(output_format: str, prompt: str) -> None:
    provenance = _with_parameters(prompt=prompt, negative_prompt=prompt)
    data = encode_with_provenance(PIXELS, output_format, provenance)
    assert read_provenance(data) == provenance
    text = _shown_text(data)
    assert _parsed(text)["Seed"] == "7"
    assert "\0" not in text  # many readers stop there
    Image.open(BytesIO(data)).load()


@pytest.mark.parametrize("output_format", FORMATS)
def test_what_does_not_fit_is_refused_in_every_format(output_format: str) -> None:
    with pytest.raises(ValueError):
        encode_with_provenance(PIXELS, output_format, _with_parameters(prompt="x" * 70_000))
    with pytest.raises(ValueError):
        encode_with_provenance(PIXELS, output_format, _with_parameters(strength=float("nan")))
    with pytest.raises(ValueError):
        encode_with_provenance(PIXELS, output_format, _with_parameters(prompt="\ud800"))


@pytest.mark.parametrize("output_format", FORMATS)
def test_nothing_else_is_written(output_format: str) -> None:
    image = Image.open(BytesIO(encode_with_provenance(PIXELS, output_format, VAE)))
    exif = image.getexif()
    has_exif = output_format != "png"
    assert set(exif) == ({ExifTags.IFD.Exif} if has_exif else set())
    comment = {ExifTags.Base.UserComment} if has_exif else set()
    assert set(exif.get_ifd(ExifTags.IFD.Exif)) == comment
    assert not {"icc_profile", "gamma", "srgb", "comment"} & set(image.info)


def test_a_png_has_no_other_chunks() -> None:
    data = encode_with_provenance(PIXELS, "png", VAE)
    assert re.findall(rb"IHDR|sRGB|gAMA|cHRM|iCCP|pHYs|tIME|eXIf|tEXt|iTXt|zTXt", data) == [
        b"IHDR",
        b"tEXt",
        b"iTXt",
    ]


def _file(facts: str, output_format: str) -> bytes:
    xmp = packet(facts, model="m", revision="r", software="s")
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", xmp)
    return encode(PIXELS, output_format, pnginfo=chunks, xmp=xmp)


def _changed(**changes: Any) -> str:
    facts: Mapping[str, Any] = json.loads(PROVENANCE.as_json()) | changes
    return json.dumps({name: value for name, value in facts.items() if value is not ...})


BROKEN_FACTS = {
    "not JSON": "{",
    "empty": "",
    "a list": "[]",
    "a number": "7",
    "deep": "[" * 60_000,
    "deep inside": _changed(input={}).replace("{}", '{"a":' * 10_000 + "1" + "}" * 10_000),
    "NaN": _changed(parameters={"strength": float("nan")}),
    "infinite": _changed(unet_calls=0).replace('"seed": 7', '"seed": 1e999'),
    "infinite inside": _changed(parameters={"a": 0.5}).replace("0.5", "1e999"),
    "endless digits": _changed().replace('"seed": 7', '"seed": ' + "7" * 5000),
    "seed is true": _changed(seed=True),
    "seed is fractional": _changed(seed=7.0),
    "parameters are a list": _changed(parameters=[1]),
    "parameters hold an object": _changed(parameters={"a": {"b": 1}}),
    "parameters hold lists of lists": _changed(parameters={"a": [[1]]}),
    "parameters hold null": _changed(parameters={"a": None}),
    "half a surrogate pair": _changed(model="\ud800"),
    "half a surrogate pair as a name": _changed(parameters={"\udfff": 1}),
    "input holds null": _changed(input={"crop": {"x": None}}),
}
for _field, _wrong in {str: 7, int: "7", dict: "ab"}.items():
    for _name in [name for name, value in vars(PROVENANCE).items() if type(value) is _field]:
        BROKEN_FACTS[f"{_name} missing"] = _changed(**{_name: ...})
        BROKEN_FACTS[f"{_name} is null"] = _changed(**{_name: None})
        BROKEN_FACTS[f"{_name} of a wrong type"] = _changed(**{_name: _wrong})


@pytest.mark.parametrize("facts", BROKEN_FACTS.values(), ids=BROKEN_FACTS.keys())
@pytest.mark.parametrize("output_format", FORMATS)
def test_broken_facts_count_as_none(output_format: str, facts: str) -> None:
    assert read_provenance(_file(facts, output_format)) is None


@pytest.mark.parametrize("output_format", FORMATS)
def test_what_a_later_version_adds_is_ignored(output_format: str) -> None:
    facts = _changed(watermark={"strength": [1, None]})
    assert read_provenance(_file(facts, output_format)) == PROVENANCE


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_with(kind: bytes, body: bytes) -> bytes:
    plain = encode(PIXELS, "png")
    return plain[:33] + _chunk(kind, body) + plain[33:]


PHOTOSHOP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0"><rdf:RDF/></x:xmpmeta>'
)
FOREIGN_FILES = {
    "no picture": b"GIF89a nothing",
    "no bytes": b"",
    "plain PNG": encode(PIXELS, "png"),
    "plain WebP": encode(PIXELS, "webp"),
    "XMP of another program": encode(PIXELS, "jpeg", xmp=PHOTOSHOP),
    "broken EXIF": encode(PIXELS, "jpeg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "broken EXIF in a WebP": encode(PIXELS, "webp", exif=b"II*\0\x08\0\0\0\xff\xff"),
    "compressed text": _png_with(b"zTXt", b"parameters\0\0" + zlib.compress(b"0" * 50_000_000)),
    "cut off text": _png_with(b"zTXt", b"parameters\0\0" + zlib.compress(b"0" * 999)[:-9]),
    "compressed XMP": _png_with(
        b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"0" * 50_000_000)
    ),
}


@pytest.mark.parametrize("data", FOREIGN_FILES.values(), ids=FOREIGN_FILES.keys())
def test_a_picture_of_somebody_else_has_none(data: bytes) -> None:
    assert read_provenance(data) is None


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_damaged_file_gives_all_of_it_or_none(output_format: str) -> None:
    data = encode_with_provenance(PIXELS[:8, :8], output_format, VAE)
    for length in range(len(data)):
        assert read_provenance(data[:length]) in (None, VAE)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x11
        read_provenance(bytes(damaged))
