"""Every key of a document against a JSON schema that is taken as complete.

Ray, Kubernetes and Prometheus differ in what they do with a key that they do not know: refuse it,
warn, or ignore it. Here it is always an error, with the key's name. Where a schema says nothing of
the keys of a mapping, that is an error as well: somebody has to list them.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]
_DEFINITIONS = "#/$defs/"


@dataclass(frozen=True)
class Problem:
    """Something wrong in a document.

    Attributes:
        place: of the mapping at fault, such as `applications[0].args`; empty for the document.
        sentence: what is wrong there.
    """

    place: str
    sentence: str

    def __str__(self) -> str:
        """Return both as one line."""
        return f"{self.place}: {self.sentence}" if self.place else self.sentence


def named(*names: str) -> dict[str, Any]:
    """Return the schema of a mapping whose keys are names of ours, with any values."""
    return {"type": "object", "propertyNames": {"enum": sorted(names)}, "additionalProperties": {}}


def keys(**properties: Any) -> dict[str, Any]:
    """Return the schema of a mapping with these keys and no others."""
    return {"type": "object", "properties": properties}


def list_of(items: Schema) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def unknown_keys(
    node: Any, schema: Schema, definitions: Mapping[str, Schema], place: str = ""
) -> Iterator[Problem]:
    """Yield a problem for each key of `node`, or below it, that the schema does not have.

    Args:
        node: of a document as YAML or JSON give it.
        schema: of this node; `$ref` of the form "#/$defs/Name" is looked up in `definitions`.
        definitions: by name.
        place: of the node in its document.
    """
    branches = list(_branches(schema, definitions))
    if isinstance(node, dict):
        yield from _in_mapping(node, branches, definitions, place)
    elif isinstance(node, list):
        items = {"anyOf": [branch["items"] for branch in branches if "items" in branch]}
        for index, item in enumerate(node):
            yield from unknown_keys(item, items, definitions, f"{place}[{index}]")


def _branches(schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[Schema]:
    """Yield the alternatives of a schema, references resolved."""
    if "$ref" in schema:
        yield from _branches(definitions[schema["$ref"].removeprefix(_DEFINITIONS)], definitions)
        return
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    for alternative in alternatives:
        yield from _branches(alternative, definitions)
    if not alternatives:
        yield schema


def _in_mapping(
    node: dict[Any, Any],
    branches: list[Schema],
    definitions: Mapping[str, Schema],
    place: str,
) -> Iterator[Problem]:
    known: dict[str, list[Schema]] = {}
    for branch in branches:
        below: Schema = branch.get("additionalProperties", {})
        names = {name: below for name in branch.get("propertyNames", {}).get("enum", ())}
        for name, schema in {**names, **branch.get("properties", {})}.items():
            known.setdefault(name, []).append(schema)
    if not known and node:
        yield Problem(place, f"nothing says which keys may stand here: {', '.join(map(str, node))}")
    for key, value in node.items():
        inside = f"{place}.{key}" if place else str(key)
        if key in known:
            yield from unknown_keys(value, {"anyOf": known[key]}, definitions, inside)
        elif known:
            yield Problem(place, f"unknown key {str(key)!r}{_suggestion(str(key), known)}")


def _suggestion(key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; the keys are {', '.join(sorted(known))}"
