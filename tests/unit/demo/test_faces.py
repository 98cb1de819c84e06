"""Tests of the synthetic faces and their captions."""

from pathlib import Path

import numpy as np
import pytest

from models.demo.attributes import draw_attributes
from models.demo.captions import caption, caption_phrases
from models.demo.faces import render_faces
from models.demo.render import main

SEEDS = (3, 11, 42)
SIDE_PX = 48


def test_pixels_have_the_promised_shape_and_range() -> None:
    """Pixels are (N, H, W, 3) uint8 and use most of the range."""
    faces = render_faces(SEEDS, SIDE_PX)
    assert faces.pixels.shape == (3, SIDE_PX, SIDE_PX, 3)
    assert faces.pixels.dtype == np.uint8
    assert faces.pixels.max() > 180
    assert faces.pixels.min() < 60
    assert len(faces.captions) == len(faces.attributes) == 3


def test_a_face_depends_on_its_seed_alone() -> None:
    """The same seed draws the same pixels, in any company and any order."""
    together = render_faces(SEEDS, SIDE_PX)
    for index, seed in enumerate(SEEDS):
        np.testing.assert_array_equal(
            together.pixels[index], render_faces([seed], SIDE_PX).pixels[0]
        )
    backwards = render_faces(SEEDS[::-1], SIDE_PX)
    np.testing.assert_array_equal(together.pixels[::-1], backwards.pixels)


def test_different_seeds_draw_different_faces() -> None:
    """No two of a few seeds give the same picture."""
    pixels = render_faces(range(5), SIDE_PX).pixels
    assert len({picture.tobytes() for picture in pixels}) == 5


@pytest.mark.parametrize("seed", range(40))
def test_captions_mention_the_attributes(seed: int) -> None:
    """What can be seen is said."""
    face = draw_attributes(seed)
    text = caption(face)
    assert face.age in text
    assert face.person in text
    assert f"{face.skin_name} skin" in text
    assert f"{face.background} background" in text
    assert face.expression in text
    assert ("bald" in text) == (face.hair_style == "bald")
    assert face.hair_style == "bald" or (face.hair_colour in text and face.hair_style in text)
    assert (face.glasses in text) or face.glasses == "none"
    assert (face.beard in text) or face.beard == "none"
    assert caption_phrases(face)[0].startswith("a portrait of")


def test_the_seeds_cover_every_skin_tone_evenly() -> None:
    """Each of the five words for skin names about a fifth of the faces."""
    names = [draw_attributes(seed).skin_name for seed in range(1000)]
    assert all(140 < names.count(name) < 260 for name in set(names))
    assert len(set(names)) == 5


def test_the_command_writes_a_picture(tmp_path: Path) -> None:
    """`python -m models.demo.render 7 --side 32 --output f.png` writes f.png."""
    output = tmp_path / "face.png"
    assert main(["7", "--side", "32", "--output", str(output)]) == 0
    assert output.stat().st_size > 0
