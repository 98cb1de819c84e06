"""What may stand in our files for Kubernetes: its own objects, and KubeRay's RayService."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from scripts.config_keys import Problem, keys, list_of, named, unknown_keys
from scripts.serve_schema import ENVIRONMENT, check_serve

VERSION = "1.33.0"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_CORE = "io.k8s.api.core.v1"
# Kubernetes takes any name here, so a typo would select nothing, silently.
_LABELS = (
    "app.kubernetes.io/component",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "k8s-app",
    "kubernetes.io/metadata.name",
)
_RESOURCES = ("cpu", "memory", "nvidia.com/gpu", "storage")
_NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    f"{_META}.ObjectMeta": {"labels": _LABELS, "annotations": ()},
    f"{_META}.LabelSelector": {"matchLabels": _LABELS},
    f"{_CORE}.ServiceSpec": {"selector": _LABELS},
    f"{_CORE}.PodSpec": {"nodeSelector": ("nvidia.com/gpu.product",)},
    f"{_CORE}.ResourceRequirements": {"limits": _RESOURCES, "requests": _RESOURCES},
    f"{_CORE}.VolumeResourceRequirements": {"limits": _RESOURCES, "requests": _RESOURCES},
}
_FILES = {
    ("v1", "Service"): "service-v1",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaim-v1",
    ("apps/v1", "Deployment"): "deployment-apps-v1",
    ("batch/v1", "Job"): "job-batch-v1",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicy-networking-v1",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudget-policy-v1",
}


def check_kubernetes(document: Any) -> Iterator[Problem]:
    """Yield what is wrong with an object: unknown keys first, then values."""
    kind = _kind(document)
    schema = _schemas().get(kind)
    if schema is None:
        closest = {**keys(apiVersion={}, kind={}, metadata={}, spec={})}
        yield from unknown_keys(document, closest, {})
        yield Problem("", f"there is no schema for apiVersion {kind[0]}, kind {kind[1]}")
        return
    definitions = _definitions()
    yield from unknown_keys(document, schema, definitions)
    yield from _invalid(document, schema, definitions)
    if kind[1] == "RayService":
        yield from _check_serve_part(document)


def _check_serve_part(document: Mapping[str, Any]) -> Iterator[Problem]:
    import yaml

    text = (document.get("spec") or {}).get("serveConfigV2")
    if isinstance(text, str):
        for problem in check_serve(yaml.safe_load(text)):
            yield Problem(f"spec.serveConfigV2.{problem.place}".rstrip("."), problem.sentence)


def _invalid(document: Any, schema: Any, definitions: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield values of a wrong type; unknown keys are known by then."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    validator = Draft202012Validator({**schema, "$defs": definitions})
    for error in validator.iter_errors(document):
        if error.validator not in ("additionalProperties", "propertyNames"):
            yield Problem(".".join(map(str, error.absolute_path)), error.message)


def _kind(document: Any) -> tuple[str, str]:
    if not isinstance(document, dict):
        return "", ""
    return str(document.get("apiVersion")), str(document.get("kind"))


@cache
def _schemas() -> dict[tuple[str, str], Any]:
    schemas = {kind: _read(name) for kind, name in _FILES.items()}
    return {**schemas, ("ray.io/v1", "RayService"): _rayservice()}


@cache
def _definitions() -> dict[str, Any]:
    definitions: dict[str, Any] = _read("_definitions")["$defs"]
    for name, maps in _NAMES.items():
        for key, names in maps.items():
            definitions[name]["properties"][key] = named(*names)
    variable = definitions[f"{_CORE}.EnvVar"]["properties"]["name"]
    variable.update(type="string", enum=[*ENVIRONMENT])
    return definitions


def _read(name: str) -> Any:
    folder = resources.files("kubernetes_validate").joinpath("kubernetes-json-schema")
    file = folder.joinpath(f"v{VERSION}-local-strict", f"{name}.json")
    return json.loads(file.read_text().replace("/api/_definitions.json#/$defs/", "#/$defs/"))


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _rayservice() -> dict[str, Any]:
    """Return the schema of a RayService.

    The keys are those of KubeRay's Go types (ray-operator/apis/ray/v1/rayservice_types.go and
    raycluster_types.go) and of its API reference for 1.6, less what is deprecated or alpha.
    """
    template = _ref(f"{_CORE}.PodTemplateSpec")
    credential = keys(value={"type": "string"}, valueFrom=_ref(f"{_CORE}.EnvVarSource"))
    autoscaler = keys(
        version={"enum": ["v1", "v2"]},
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        idleTimeoutSeconds={"type": "integer"},
        image={"type": "string"},
        imagePullPolicy={"type": "string"},
        resources=_ref(f"{_CORE}.ResourceRequirements"),
        securityContext=_ref(f"{_CORE}.SecurityContext"),
        env=list_of(_ref(f"{_CORE}.EnvVar")),
        envFrom=list_of(_ref(f"{_CORE}.EnvFromSource")),
        volumeMounts=list_of(_ref(f"{_CORE}.VolumeMount")),
    )
    group = {"rayStartParams": named(*_start_parameters()), "template": template}
    cluster = keys(
        rayVersion={"type": "string"},
        enableInTreeAutoscaling={"type": "boolean"},
        autoscalerOptions=autoscaler,
        authOptions=keys(mode={"enum": ["disabled", "token"]}, secretName={"type": "string"}),
        gcsFaultToleranceOptions=keys(
            redisAddress={"type": "string"},
            redisUsername=credential,
            redisPassword=credential,
            externalStorageNamespace={"type": "string"},
        ),
        headServiceAnnotations=named(),
        headGroupSpec=keys(
            **group,
            serviceType={"type": "string"},
            enableIngress={"type": "boolean"},
            headService=_ref(f"{_CORE}.Service"),
        ),
        workerGroupSpecs=list_of(
            keys(
                **group,
                groupName={"type": "string"},
                replicas={"type": "integer"},
                minReplicas={"type": "integer"},
                maxReplicas={"type": "integer"},
                numOfHosts={"type": "integer"},
                idleTimeoutSeconds={"type": "integer"},
            )
        ),
    )
    spec = keys(
        serveConfigV2={"type": "string"},
        rayClusterConfig=cluster,
        upgradeStrategy=keys(type={"enum": ["NewCluster", "None"]}),
        excludeHeadPodFromServeSvc={"type": "boolean"},
        rayClusterDeletionDelaySeconds={"type": "integer"},
        serveService=_ref(f"{_CORE}.Service"),
    )
    return keys(apiVersion={}, kind={}, metadata=_ref(f"{_META}.ObjectMeta"), spec=spec)


def _start_parameters() -> list[str]:
    """Return what `ray start` takes, by the installed Ray."""
    from ray.scripts.scripts import start

    return [
        option.removeprefix("--") for parameter in start.params for option in parameter.opts[:1]
    ]
