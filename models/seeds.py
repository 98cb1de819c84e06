"""One request seed becomes one seed per image; the generators live in the samplers."""

import secrets
from collections.abc import Sequence

SEED_MODULUS = 2**32
MAX_IMAGES = 10


def resolve_seeds(
    n: int | None = None, seed: int | None = None, seeds: Sequence[int] | None = None
) -> list[int]:
    """Return the seed of each image, by the seed contract.

    Args:
        n: images a set, 1 to 10; 10 when neither `n` nor `seeds` says otherwise.
        seed: 0 .. 2^32-1; image k gets `(seed + k) mod 2^32`. Random when nothing is given.
        seeds: 1 to 10 seeds, used as they stand; they set `n`.

    Raises:
        ValueError: out of range, or the arguments contradict each other.
    """
    if seeds is not None:
        return _explicit_seeds(n, seed, seeds)
    count = MAX_IMAGES if n is None else n
    _check_count("n", count)
    first = secrets.randbelow(SEED_MODULUS) if seed is None else seed
    _check_seed("seed", first)
    return [(first + index) % SEED_MODULUS for index in range(count)]


def _explicit_seeds(n: int | None, seed: int | None, seeds: Sequence[int]) -> list[int]:
    if seed is not None:
        raise ValueError("seed and seeds are both given: send one of them")
    _check_count("the number of seeds", len(seeds))
    if n is not None and n != len(seeds):
        raise ValueError(f"n is {n} but {len(seeds)} seeds are given: leave n out or make it agree")
    for value in seeds:
        _check_seed("seeds", value)
    return list(seeds)


def _check_count(name: str, count: int) -> None:
    if not 1 <= count <= MAX_IMAGES:
        raise ValueError(f"{name} is {count}: it must be between 1 and {MAX_IMAGES}")


def _check_seed(name: str, value: int) -> None:
    if not 0 <= value < SEED_MODULUS:
        raise ValueError(f"{name} contains {value}: a seed is between 0 and {SEED_MODULUS - 1}")
