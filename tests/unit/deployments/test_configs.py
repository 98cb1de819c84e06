"""Every key of every YAML file is checked, and files that say the same say it alike."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.check_configs import ROOT, check_file, check_of, yaml_files
from scripts.config_keys import keys, unknown_keys
from scripts.rayservice import RAYSERVICE, SERVE_CONFIG, with_serve_config
from scripts.serve_schema import ENVIRONMENT

FILES = yaml_files(ROOT)
KeyPath = tuple[str | int, ...]


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _documents(file: Path) -> list[Any]:
    return list(yaml.safe_load_all(file.read_text()))


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_every_key_of_a_file_is_known(file: Path) -> None:
    assert [str(problem) for problem in check_file(file)] == []


def _key_paths(node: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in children:
        if isinstance(node, dict):
            yield (*above, key)
        if isinstance(value, dict | list):
            yield from _key_paths(value, (*above, key))


def _with_typo(document: Any, path: KeyPath) -> tuple[Any, str]:
    """Return the document with the key at `path` changed, in its place, and the changed key."""
    changed = copy.deepcopy(document)
    mapping = changed
    for part in path[:-1]:
        mapping = mapping[part]
    key = str(path[-1])
    typo = key[:-1] + "x" + key[-1]
    content = [(typo if name == path[-1] else name, value) for name, value in mapping.items()]
    mapping.clear()
    mapping.update(content)
    return changed, typo


@pytest.mark.heavy
@pytest.mark.parametrize("file", FILES, ids=_name)
def test_a_typo_in_any_key_is_found_by_its_name(file: Path) -> None:
    check = check_of(file)
    assert check is not None
    missed, tried = [], 0
    for document in _documents(file):
        for path in _key_paths(document):
            changed, typo = _with_typo(document, path)
            tried += 1
            if not any(repr(typo) in str(problem) for problem in check(changed)):
                missed.append(path)
    assert missed == []
    assert tried >= 3


@pytest.mark.heavy
def test_a_typo_in_the_serve_part_of_the_rayservice_is_found_by_its_name() -> None:
    (document,) = _documents(RAYSERVICE)
    check = check_of(RAYSERVICE)
    assert check is not None
    config = yaml.safe_load(document["spec"]["serveConfigV2"])
    paths = list(_key_paths(config))
    assert len(paths) > 50
    for path in paths:
        changed, typo = _with_typo(config, path)
        document["spec"]["serveConfigV2"] = yaml.safe_dump(changed)
        assert any(repr(typo) in str(problem) for problem in check(document)), path


@pytest.mark.heavy
def test_the_command_names_the_file_the_place_and_the_key_that_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SERVE_CONFIG.read_text().replace("max_ongoing_requests", "max_ongoing_request"))
    done = subprocess.run(
        [sys.executable, "-m", "scripts.check_configs", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"{file}: applications[0].deployments[0]: unknown key 'max_ongoing_request'" in (
        done.stderr
    )
    assert "did you mean 'max_ongoing_requests'?" in done.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("applications: []\napplications: []\n", "'applications' stands twice"),
        ("applications: [\n", "expected"),
        ("applications: 3\n", "applications"),
        ("- 1\n", "mapping"),
    ],
)
def test_a_file_that_is_no_config_is_a_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    assert any(complaint in str(problem) for problem in check_file(file))


def test_a_yaml_file_that_nobody_knows_is_a_problem() -> None:
    assert check_of(ROOT / "configs" / "new" / "thing.yaml") is None
    assert check_of(ROOT / "thing.yaml") is None


def test_where_no_keys_are_listed_none_may_stand() -> None:
    problems = list(unknown_keys({"labels": {"a": 1}}, keys(labels={"type": "object"}), {}))
    assert [problem.place for problem in problems] == ["labels"]
    assert "nothing says which keys" in problems[0].sentence


def test_the_variables_of_the_environment_are_ones_that_somebody_reads() -> None:
    """Nobody complains about a variable that does not exist."""
    libraries = Path(yaml.__file__).parents[1]
    sources = [
        *(libraries / "ray" / "serve" / "_private").rglob("*.py"),
        *(libraries / "ray" / "_common").rglob("*.py"),
        *(libraries / "huggingface_hub").glob("constants.py"),
    ]
    text = "".join(source.read_text() for source in sources)
    raylet = (libraries / "ray" / "core" / "src" / "ray" / "raylet" / "raylet").read_bytes()
    # The C library's settings are read by what starts a program.
    loader = Path("/lib64/ld-linux-x86-64.so.2")
    c_library = loader.read_bytes() if loader.exists() else b""
    for name in ENVIRONMENT:
        if name.startswith("MALLOC_"):
            assert not c_library or name.encode() in c_library, name
            continue
        bare = name.removeprefix("RAY_")
        is_setting_of_rays_core = name.startswith("RAY_") and bare.islower()
        assert bare.encode() in raylet if is_setting_of_rays_core else name in text, name


def test_the_rayservice_holds_the_serve_config_of_production() -> None:
    """All of it but the host: a pod has an address of its own, and loopback would reach nobody."""
    production = yaml.safe_load(SERVE_CONFIG.read_text())
    (rayservice,) = _documents(RAYSERVICE)
    inside = yaml.safe_load(rayservice["spec"]["serveConfigV2"])
    assert inside.pop("http_options") == {**production.pop("http_options"), "host": "0.0.0.0"}
    assert inside == production
    text = RAYSERVICE.read_text()
    again = "run `python -m scripts.rayservice`"
    assert with_serve_config(text, SERVE_CONFIG.read_text()) == text, again


def test_the_rayservice_gives_what_the_serve_config_asks_for() -> None:
    (rayservice,) = _documents(RAYSERVICE)
    serve = yaml.safe_load(rayservice["spec"]["serveConfigV2"])
    deployments = {one["name"]: one for one in serve["applications"][0]["deployments"]}
    cluster = rayservice["spec"]["rayClusterConfig"]
    (workers,) = cluster["workerGroupSpecs"]
    pod = workers["template"]["spec"]
    (container,) = pod["containers"]
    # The largest scale fits the largest cluster.
    cards = int(container["resources"]["limits"]["nvidia.com/gpu"]) * workers["maxReplicas"]
    most_gpus = sum(
        one["ray_actor_options"].get("num_gpus", 0)
        * one.get("autoscaling_config", {"max_replicas": 0})["max_replicas"]
        for one in deployments.values()
    )
    assert most_gpus <= cards
    # A pod that has to go stays as long as its longest request.
    longest_s = max(one["graceful_shutdown_timeout_s"] for one in deployments.values())
    stays_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > stays_s >= longest_s
    # What the config names is there, and nobody writes into it.
    mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
    assert mounts["/home/twinset/.config/twinset"]["readOnly"]
    assert mounts["/home/twinset/.cache/twinset/weights"]["readOnly"]
    serve_port = next(one for one in container["ports"] if one["name"] == "serve")
    assert serve_port["containerPort"] == serve["http_options"]["port"]


def test_nothing_in_kubernetes_runs_as_root_or_trusts_strangers() -> None:
    documents = [
        document
        for file in sorted((ROOT / "configs" / "kubernetes").glob("*.yaml"))
        for document in _documents(file)
    ]
    pods = [pod for document in documents for pod in _pod_specs(document)]
    assert len(pods) == 4  # head, worker, weights, redis
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["limits"]["memory"]
    cluster = next(one for one in documents if one["kind"] == "RayService")["spec"]
    assert cluster["rayClusterConfig"]["authOptions"] == {"mode": "token"}
    assert cluster["rayClusterConfig"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert not any(one["kind"] == "Secret" for one in documents)


def _pod_specs(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "containers" in node:
            yield node
        for value in node.values():
            yield from _pod_specs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _pod_specs(value)
