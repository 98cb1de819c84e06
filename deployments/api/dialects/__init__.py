"""One file a dialect: its routes, its fields, its answers.

A module here that has a `router` is served: nothing else has to know it.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from fastapi import APIRouter

OURS, OTHERS = "Twinset", "Other services' clients"
IMAGE_TAGS = frozenset({OURS, OTHERS})
"""Tags of the routes whose good answers hold images; each dialect's router has one of them."""


def routers() -> Iterator[APIRouter]:
    """Yield the router of each dialect, our own first, the others by their names."""
    names = sorted(module.name for module in iter_modules(__path__))
    names.sort(key=lambda name: name != "twinset")
    for name in names:
        router = getattr(import_module(f"{__name__}.{name}"), "router", None)
        if isinstance(router, APIRouter):
            yield router
