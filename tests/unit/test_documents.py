"""The documents are whole: what is meant as a table is shown as one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_structure import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OF_TODAY = [one for one in DOCUMENTS if one.name != "CHANGELOG.md" and "decisions" not in one.parts]
_FILE = re.compile(r"`((?:tests|deployments|models|scripts|configs)/[\w./-]+\.\w+)`")
_RULE = re.compile(r"^\|(\s*:?-+:?\s*\|)+$")


def _headless_rows(text: str) -> Iterator[int]:
    """Yield the numbers of lines that begin a table without a head and a rule below it."""
    lines = [
        "",
        *re.sub(r"```.*?```", lambda one: "\n" * one[0].count("\n"), text, flags=re.S).splitlines(),
        "",
    ]
    for number in range(1, len(lines) - 1):
        begins = lines[number].startswith("|") and not lines[number - 1].startswith("|")
        if begins and not _RULE.match(lines[number + 1]):
            yield number


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_table_is_cut_in_two(document: Path) -> None:
    assert list(_headless_rows(document.read_text())) == []


def test_a_table_cut_in_two_would_be_found() -> None:
    assert list(_headless_rows("| a |\n|---|\n| 1 |\n\n| 2 |\n")) == [5]


@pytest.mark.parametrize("document", OF_TODAY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_document_names_are_there(document: Path) -> None:
    named = _FILE.findall(document.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []
