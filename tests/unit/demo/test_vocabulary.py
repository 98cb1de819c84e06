"""Tests of the tokenizer that is made offline."""

from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from models.demo.attributes import draw_attributes
from models.demo.captions import caption
from models.demo.vocabulary import END, POSITIONS, START, build_vocabulary, write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    """The tokenizer, read back from its files."""
    directory: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    return CLIPTokenizer.from_pretrained(directory)


@pytest.mark.parametrize(
    "text",
    ["", "a face", "Ünïcode — 漢字 كتابة", "🙂👩🏽‍🦱", "\x00\t\n", "<|endoftext|>", "x" * 5000],
)
def test_any_text_can_be_read(tokenizer: CLIPTokenizer, text: str) -> None:
    """Whatever is typed becomes known tokens between start and end, within the positions."""
    tokens = tokenizer(text, truncation=True, max_length=POSITIONS).input_ids
    assert tokens[0] == tokenizer.bos_token_id
    assert tokens[-1] == tokenizer.eos_token_id
    assert len(tokens) <= POSITIONS
    assert max(tokens) < len(tokenizer)


def test_only_the_end_stands_for_the_unknown(tokenizer: CLIPTokenizer) -> None:
    """No byte is missing: an unknown letter is spelled in bytes, not replaced by the end token."""
    assert tokenizer.eos_token_id not in tokenizer("漢🙂").input_ids[1:-1]


def test_captions_fit(tokenizer: CLIPTokenizer) -> None:
    """Every caption is read in whole words, within the positions."""
    for seed in range(300):
        tokens = tokenizer.tokenize(caption(draw_attributes(seed)))
        assert len(tokens) + 2 <= POSITIONS
        assert all(token.endswith("</w>") for token in tokens)


def test_the_vocabulary_is_the_same_every_time() -> None:
    """Building it twice gives the same numbers, the special tokens last."""
    tokens, merges = build_vocabulary()
    assert (tokens, merges) == build_vocabulary()
    assert sorted(tokens.values()) == list(range(len(tokens)))
    assert list(tokens)[-2:] == [START, END]
