"""Checks every key of every YAML file of ours: what `make check` runs.

Ray ignores keys that it does not know at several levels of a Serve config, Kubernetes' labels may
be anything: a typo there is found on the cluster, if at all. Here it fails with its name.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from loadtests.objectives import KEYS as OBJECTIVES
from scripts.config_keys import Problem, keys, unknown_keys
from scripts.kubernetes_schema import check_kubernetes
from scripts.monitoring_schema import check_prometheus, check_rule_tests, check_rules
from scripts.serve_schema import check_serve

ROOT = Path(__file__).resolve().parent.parent


def check_objectives(objectives: Any) -> Iterator[Problem]:
    """Yield the unknown keys of a load test's objectives."""
    return unknown_keys(objectives, keys(**{key: {} for key in OBJECTIVES}), {})


Check = Callable[[Any], Iterator[Problem]]
# The first pattern that fits says what a file is; one that fits none is a problem of its own.
CHECKS: Mapping[str, Check] = {
    "serve_config.yaml": check_serve,
    "configs/*.yaml": check_serve,
    "configs/kubernetes/*.yaml": check_kubernetes,
    "configs/monitoring/prometheus.yaml": check_prometheus,
    "configs/monitoring/prometheus-kubernetes.yaml": check_prometheus,
    "configs/monitoring/alerts.yaml": check_rules,
    "configs/monitoring/alerts_test.yaml": check_rule_tests,
    "loadtests/objectives.yaml": check_objectives,
}
_NOT_OURS = {".venv", ".git", ".run", "out", "build", "node_modules"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the files named, or all; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="all of the project's by default")
    files = [file.resolve() for file in parser.parse_args(arguments).files] or yaml_files(ROOT)
    complaints = [f"{_shown(file)}: {one}" for file in files for one in check_file(file)]
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    if not complaints:
        sys.stdout.write(f"Every key is known in {len(files)} YAML files.\n")
    return int(bool(complaints))


def yaml_files(root: Path) -> list[Path]:
    """Return every YAML file of the project."""
    found = [*root.rglob("*.yaml"), *root.rglob("*.yml")]
    return sorted(file for file in found if not _NOT_OURS & set(file.relative_to(root).parts))


def check_file(file: Path, check: Check | None = None) -> Iterator[Problem]:
    """Yield what is wrong with a file: that it cannot be read, its unknown keys, wrong values.

    Args:
        file: a YAML file.
        check: of its content; by its place in the project when absent.
    """
    check = check or check_of(file)
    if check is None:
        yield Problem("", "nothing says what may stand in it: add it to scripts/check_configs.py")
        return
    try:
        documents = list(yaml.load_all(file.read_text(), _StrictLoader))
    except (OSError, yaml.YAMLError) as error:
        yield Problem("", " ".join(str(error).split()))
        return
    for index, document in enumerate(documents):
        for problem in check(document):
            inside = f"document {index + 1}" if len(documents) > 1 else ""
            yield Problem(" ".join(filter(None, (inside, problem.place))), problem.sentence)


def check_of(file: Path) -> Check | None:
    """Return what checks a file, by its place in the project; any other is a Serve config."""
    if not file.is_relative_to(ROOT):
        return check_serve
    place = file.relative_to(ROOT)
    for pattern, check in CHECKS.items():
        # `match` compares from the right: the number of folders has to be the same.
        if place.match(pattern) and len(place.parts) == pattern.count("/") + 1:
            return check
    return None


def _shown(file: Path) -> Path:
    return file.relative_to(ROOT) if file.is_relative_to(ROOT) else file


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice; YAML's own loader takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


if __name__ == "__main__":
    sys.exit(main())
