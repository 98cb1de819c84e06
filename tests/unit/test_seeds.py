"""The seed contract."""

import pytest

from models.seeds import SEED_MODULUS, resolve_seeds


def test_one_seed_counts_up_and_wraps() -> None:
    assert resolve_seeds(n=3, seed=SEED_MODULUS - 1) == [SEED_MODULUS - 1, 0, 1]


def test_ten_is_the_default_and_seeds_set_n() -> None:
    assert resolve_seeds(seed=7) == list(range(7, 17))
    assert resolve_seeds(seeds=[5, 5, 2]) == [5, 5, 2]


def test_without_a_seed_it_is_random() -> None:
    assert resolve_seeds() != resolve_seeds()


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 0},
        {"n": 11},
        {"seed": -1},
        {"seed": SEED_MODULUS},
        {"seeds": []},
        {"seeds": list(range(11))},
        {"seeds": [SEED_MODULUS]},
        {"n": 2, "seeds": [1]},
        {"seed": 1, "seeds": [1]},
    ],
)
def test_contradictions_and_ranges_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError):
        resolve_seeds(**arguments)
