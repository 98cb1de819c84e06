"""Replicas on one card take turns: they are one place for work, not several."""

from types import SimpleNamespace

import pytest

from deployments.cards import CARD, OWN, UNKNOWN, card_of, places


@pytest.mark.parametrize(
    ("cards", "count"),
    [
        ([], 0),
        ([OWN, OWN], 2),  # on CPUs, or simulated
        (["a", "a"], 1),
        (["a", "b"], 2),
        (["a", "a", "b", OWN], 3),
        ([UNKNOWN, UNKNOWN], 0),
        (["a", UNKNOWN], 1),
    ],
)
def test_places_are_cards_and_replicas_without_one(cards: list[str], count: int) -> None:
    assert places({CARD: card} for card in cards) == count


def test_a_replica_that_has_told_nothing_counts_for_nothing() -> None:
    assert places([{}, {}]) == 0


@pytest.mark.parametrize(
    ("device", "card", "expected"),
    [("cpu", "", OWN), ("simulated", "", OWN), ("cuda:0", "12-34", "12-34"), ("cuda", "", UNKNOWN)],
)
def test_a_model_tells_its_card(device: str, card: str, expected: str) -> None:
    model = SimpleNamespace(info=SimpleNamespace(device=device), card=card)
    assert card_of(model) == expected
    del model.card
    assert card_of(model) == (UNKNOWN if device.startswith("cuda") else OWN)
