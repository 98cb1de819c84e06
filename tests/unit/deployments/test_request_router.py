"""Which replica a call goes to, by the calls that each replica and each card has."""

import pytest

from deployments.dispatch.request_router import Standing, by_load


def _first(*replicas: tuple[float, str]) -> str:
    standings = [Standing(load, card, 0.0) for load, card in replicas]
    return standings[by_load(standings)[0]].card


@pytest.mark.parametrize(
    ("replicas", "card"),
    [
        ([(0.0, "a"), (1.0, "b")], "a"),
        # The other replica of card a has just been chosen.
        ([(1.1, "a"), (0.0, "a"), (0.0, "b")], "b"),
        # As is known when the call before is over on b, but not counted off yet.
        ([(1.1, "a"), (0.0, "a"), (1.0, "b")], "b"),
        # Neither card is idle: the replica that is.
        ([(1.0, "a"), (0.0, "a"), (1.0, "b")], "a"),
        ([(1.0, "a"), (1.0, "a"), (1.0, "b")], "b"),
    ],
)
def test_a_call_goes_to_the_card_with_least_to_do(
    replicas: list[tuple[float, str]], card: str
) -> None:
    assert _first(*replicas) == card


def test_among_equals_the_one_chosen_longest_ago_comes_first() -> None:
    standings = [Standing(0.0, "a", 3.0), Standing(0.0, "b", 1.0), Standing(0.0, "c", 2.0)]
    assert by_load(standings) == [1, 2, 0]
