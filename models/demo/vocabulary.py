"""A small byte-pair vocabulary for faces, made offline, in the files that CLIPTokenizer reads."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

from models.demo.attributes import (
    BACKGROUNDS,
    BEARDS,
    EXPRESSIONS,
    EYE_COLOURS,
    GLASSES,
    HAIR_COLOURS,
    HAIR_STYLES,
    SKIN_NAMES,
)

START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"
POSITIONS = 48
MERGES = 220
PLAIN_WORDS = (
    "a an the of in with and person person's face portrait photo photograph picture young old "
    "middle-aged woman man skin hair eyes fringe wearing glasses neutral expression background "
    "high-resolution bald stubble freckles smile"
)
Pair = tuple[str, str]


def byte_letters() -> dict[int, str]:
    """The visible letter that stands for each byte in byte-level pair encoding.

    Printable Latin-1 stands for itself, the other bytes for letters from U+0100 up (Radford et
    al. 2019, the scheme that CLIP's tokenizer reads).
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    hidden = (byte for byte in range(256) if byte not in letters)
    return letters | {byte: chr(256 + index) for index, byte in enumerate(hidden)}


def lexicon() -> list[str]:
    """The words of the captions, cut as the tokenizer cuts them, in a fixed order."""
    names = [*HAIR_COLOURS, *EYE_COLOURS, *BACKGROUNDS, *SKIN_NAMES]
    names += [name for styles in HAIR_STYLES.values() for name, _ in styles]
    names += [name for name, _ in (*BEARDS, *GLASSES, *EXPRESSIONS)]
    text = " ".join([PLAIN_WORDS, *names]).replace("'s", " ").replace("-", " ")
    return list(dict.fromkeys(text.split()))


def learn_merges(words: list[str], most: int) -> list[Pair]:
    """Join the commonest neighbours until every word is one token, or `most` joins are made."""
    pieces = [[*word[:-1], word[-1] + WORD_END] for word in words]
    merges: list[Pair] = []
    while len(merges) < most:
        counts = Counter(pair for word in pieces for pair in itertools.pairwise(word))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        pieces = [join(word, best) for word in pieces]
    return merges


def join(word: list[str], pair: Pair) -> list[str]:
    """One word's pieces with every occurrence of a pair joined."""
    joined: list[str] = []
    for piece in word:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def build_vocabulary() -> tuple[dict[str, int], list[Pair]]:
    """All tokens with their numbers, and the merges.

    Every byte has a token, alone and at a word's end, so any text can be read.
    """
    letters = [letter for _, letter in sorted(byte_letters().items())]
    merges = learn_merges(lexicon(), MERGES)
    tokens = [*letters, *(letter + WORD_END for letter in letters)]
    tokens += [first + second for first, second in merges]
    tokens = [*dict.fromkeys(tokens), START, END]
    return {token: number for number, token in enumerate(tokens)}, merges


def write_tokenizer(directory: Path) -> None:
    """Write the four files of a CLIP tokenizer."""
    directory.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = build_vocabulary()
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    settings = special | {"tokenizer_class": "CLIPTokenizer", "model_max_length": POSITIONS}
    rules = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)])
    files = {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False),
        "merges.txt": rules,
        "special_tokens_map.json": json.dumps(special, indent=2),
        "tokenizer_config.json": json.dumps(settings, indent=2),
    }
    for name, text in files.items():
        (directory / name).write_text(text + "\n", encoding="utf-8")
