"""The image holds what it needs and nothing else; nobody could build it here."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in pairs]


def _copied() -> list[str]:
    copies = [rest.split() for name, rest in _instructions() if name == "COPY"]
    return [source for *sources, _ in copies for source in sources]


def test_everything_that_is_copied_exists_and_is_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert set(_copied()) == let_in
    assert all((ROOT / source).exists() for source in let_in)


def test_what_runs_is_locked_and_not_root() -> None:
    instructions = _instructions()
    (install,) = [rest for name, rest in instructions if name == "RUN"]
    assert "pip install --no-cache-dir --require-hashes -r" in install
    assert "--no-install-recommends gcc libc6-dev" in install  # what `compile` needs
    users = [rest for name, rest in instructions if name == "USER"]
    assert users == ["1000:1000"]
    names = [name for name, _ in instructions]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))


def test_the_base_can_be_pinned_by_whoever_builds() -> None:
    (argument, default), (base, name) = _instructions()[:2]
    assert (argument, base, name) == ("ARG", "FROM", "${BASE}")
    # Of the release that the packages are locked for; its digest is known when one builds.
    assert default.startswith("BASE=python:3.11-")
    assert not re.search("sha256:[0-9a-f]{64}", (ROOT / "Dockerfile").read_text())


def test_its_commands_are_ones_that_exist() -> None:
    by_name = dict(_instructions())
    command = json.loads(by_name["CMD"])
    assert (ROOT / f"{command[2].replace('.', '/')}.py").is_file()
    assert (ROOT / command[-1]).is_file()
    probe = json.loads(re.sub(r"^.*?CMD ", "", by_name["HEALTHCHECK"]))
    compile(probe[-1], "probe", "exec")


def test_the_packages_of_the_project_are_all_inside() -> None:
    """What replicas import: found by their imports, not by a list."""
    copied = set(_copied())
    sources = [path for name in ("models", "deployments") for path in (ROOT / name).rglob("*.py")]
    own = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    for source in sources:
        imported = set(re.findall(r"^\s*(?:from|import) (\w+)", source.read_text(), re.MULTILINE))
        assert imported & own <= copied, source
