"""What the files for Kubernetes allow, computed: who reaches which port, who reads what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.unit.test_structure import ROOT

FOLDER = ROOT / "configs" / "kubernetes"
NAMESPACE = "twinset"
EVERY_PORT = frozenset({"every port"})
# Of Ray: control store, dashboard, client server, agent, metrics, and one that a worker may take.
RAY_PORTS = {6379, 8265, 10001, 52365, 8080, 10002}
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Pod:
    """Where a pod is and how it is labelled."""

    namespace: str
    labels: Labels


OURS = {"app.kubernetes.io/part-of": "twinset"}
OPERATOR = Pod("kuberay-system", {"app.kubernetes.io/name": "kuberay-operator"})
CALLERS = {
    "the ingress controller": Pod("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
    "a pod of another namespace": Pod("default", {}),
    "one that calls itself ours there": Pod("default", OURS),
    "one that calls itself the operator": Pod("default", OPERATOR.labels),
    "another pod beside the operator": Pod("kuberay-system", {}),
    "a pod in our namespace": Pod(NAMESPACE, {}),
}
HTTP_CALLERS = {"the ingress controller"}


def _documents() -> list[dict[str, Any]]:
    return [
        document
        for file in sorted(FOLDER.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
    ]


def _templates(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the pod templates in a document."""
    if isinstance(node, dict):
        if "template" in node:
            yield node["template"]
        for value in node.values():
            yield from _templates(value)
    elif isinstance(node, list):
        for value in node:
            yield from _templates(value)


def _pods(kind: str) -> list[Pod]:
    return [
        Pod(NAMESPACE, template["metadata"]["labels"])
        for document in _documents()
        if document["kind"] == kind
        for template in _templates(document["spec"])
    ]


def _selects(selector: dict[str, Any], labels: Labels) -> bool:
    assert set(selector) <= {"matchLabels"}, "this test computes no other selector"
    return selector.get("matchLabels", {}).items() <= labels.items()


def _is_peer(peer: dict[str, Any], source: Pod) -> bool:
    assert set(peer) <= {"podSelector", "namespaceSelector"}, "this test computes no other peer"
    if "namespaceSelector" in peer:
        name = {"kubernetes.io/metadata.name": source.namespace}
        inside = _selects(peer["namespaceSelector"], name)
    else:
        inside = source.namespace == NAMESPACE
    return inside and _selects(peer.get("podSelector", {}), source.labels)


def _reached(source: Pod, target: Pod) -> frozenset[int | str]:
    """Return the ports of a pod that another one reaches, as Kubernetes adds policies up."""
    policies = [one["spec"] for one in _documents() if one["kind"] == "NetworkPolicy"]
    applying = [
        one
        for one in policies
        if "Ingress" in one["policyTypes"] and _selects(one["podSelector"], target.labels)
    ]
    if not applying:
        return EVERY_PORT
    ports: set[int | str] = set()
    for rule in (rule for one in applying for rule in one.get("ingress", ())):
        assert set(rule) <= {"from", "ports"}
        # No peers are all peers, no ports are all ports.
        if "from" not in rule or any(_is_peer(peer, source) for peer in rule["from"]):
            if "ports" not in rule:
                return EVERY_PORT
            assert all(set(one) == {"port"} for one in rule["ports"])
            ports |= {one["port"] for one in rule["ports"]}
    return frozenset(ports)


def test_every_policy_is_of_our_namespace() -> None:
    policies = [one for one in _documents() if one["kind"] == "NetworkPolicy"]
    assert {one["metadata"]["namespace"] for one in policies} == {NAMESPACE}


@pytest.mark.parametrize("caller", CALLERS)
def test_callers_reach_http_at_most_and_none_of_rays_ports(caller: str) -> None:
    pods = _pods("RayService")
    assert len(pods) == 2  # the head, and workers
    for pod in pods:
        reached = _reached(CALLERS[caller], pod)
        assert not reached & {*RAY_PORTS, *EVERY_PORT}
        assert reached == ({8000} if caller in HTTP_CALLERS else set())


def test_rays_pods_the_operator_and_prometheus_reach_what_they_need() -> None:
    pods = _pods("RayService")
    for pod in pods:
        assert all(_reached(other, pod) == EVERY_PORT for other in pods)
        assert _reached(OPERATOR, pod) == {8265, 8000}
        assert _reached(Pod("monitoring", {}), pod) == {8080}


def test_redis_is_reached_by_rays_pods_alone() -> None:
    (redis,) = _pods("Deployment")
    for pod in _pods("RayService"):
        assert _reached(pod, redis) == {6379}
    for other in (*CALLERS.values(), OPERATOR):
        assert _reached(other, redis) == set()


def test_a_pod_that_no_policy_names_is_reached_by_nobody() -> None:
    for other in (*CALLERS.values(), *_pods("RayService")):
        assert _reached(other, Pod(NAMESPACE, {"app": "forgotten"})) == set()


def test_secrets_are_read_by_the_group_of_who_needs_them_and_by_no_other() -> None:
    found = []
    for document in _documents():
        for template in _templates(document.get("spec", {})):
            pod = template["spec"]
            for volume in pod.get("volumes", ()):
                if secret := volume.get("secret"):
                    found.append(secret["secretName"])
                    # Kubernetes gives the files to root and this group.
                    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
                    assert secret["defaultMode"] == 0o440
    assert sorted(found) == ["twinset-api-keys", "twinset-redis"]


def test_no_secret_stands_on_a_command_line() -> None:
    """A variable in `command` or `args` is put in before the process starts, for all to list."""
    for document in _documents():
        for template in _templates(document.get("spec", {})):
            for container in template["spec"]["containers"]:
                words = [*container.get("command", ()), *container.get("args", ())]
                assert not any("$(" in word or "pass" in word for word in words), words
