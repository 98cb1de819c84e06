"""Captions: the attributes of a face, said in words."""

from __future__ import annotations

from models.demo.attributes import FaceAttributes


def caption_phrases(face: FaceAttributes) -> list[str]:
    """The caption in phrases, the person first; training drops phrases, never the first."""
    article = "an" if face.age == "old" else "a"
    phrases = [f"a portrait of {article} {face.age} {face.person}", f"{face.skin_name} skin"]
    phrases.append("bald" if face.hair_style == "bald" else hair_phrase(face))
    phrases.append(
        "wearing sunglasses" if face.glasses == "sunglasses" else f"{face.eye_colour} eyes"
    )
    if face.glasses not in ("none", "sunglasses"):
        phrases.append(f"wearing {face.glasses}")
    if face.beard != "none":
        phrases.append("stubble" if face.beard == "stubble" else f"a {face.beard}")
    if face.freckles:
        phrases.append("freckles")
    phrases.append("neutral expression" if face.expression == "neutral" else face.expression)
    phrases.append(f"{face.background} background")
    return phrases


def hair_phrase(face: FaceAttributes) -> str:
    """The hair in words, such as 'long red hair with a fringe'."""
    if face.hair_style in ("bob", "bun"):
        words = f"{face.hair_colour} hair in a {face.hair_style}"
    else:
        words = f"{face.hair_style} {face.hair_colour} hair"
    fringed = face.fringe and face.hair_style in ("long", "bob", "short")
    return f"{words} with a fringe" if fringed else words


def caption(face: FaceAttributes) -> str:
    """The whole caption in one line."""
    return ", ".join(caption_phrases(face))
