"""What may stand in a Serve config of ours, as one JSON schema: Ray's, and our own arguments."""

import ast
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from scripts.config_keys import Problem, keys, named, unknown_keys

ROOT = Path(__file__).resolve().parent.parent
# Names that nobody else checks: whoever reads them ignores a variable that is not known.
ENVIRONMENT = (
    "HF_HUB_OFFLINE",
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S",
    "RAY_SERVE_REQUEST_LATENCY_BUCKETS_MS",
    "RAY_USAGE_STATS_ENABLED",
    "RAY_object_spilling_directory",
    "RAY_worker_niceness",
)


def check_serve(config: Any) -> Iterator[Problem]:
    """Yield what is wrong with a Serve config: unknown keys first, then values."""
    # Imported here: commands set Ray's environment before anything imports it.
    from pydantic import ValidationError
    from ray.serve.schema import ServeDeploySchema

    if not isinstance(config, dict):
        yield Problem("", "a Serve config is a mapping")
        return
    schema = _schema(config)
    yield from unknown_keys(config, schema, schema["$defs"])
    try:
        ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        yield from _invalid(error, ())
    yield from _check_arguments(config)


def _schema(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return Ray's schema with ours in the places that Ray leaves open."""
    from ray.runtime_env import RuntimeEnv

    from deployments.settings import AppSettings, LiveSettings

    schema = deepcopy(_rays_schema())
    arguments = AppSettings.model_json_schema()
    definitions = {**schema["$defs"], **arguments.pop("$defs")}
    fields: dict[str, Any] = {key: {} for key in RuntimeEnv.known_fields}
    runtime_env = keys(**{**fields, "env_vars": named(*ENVIRONMENT)})
    definitions["ServeApplicationSchema"]["properties"].update(
        args=_with_options(arguments, config), runtime_env=runtime_env
    )
    definitions["RayActorOptionsSchema"]["properties"]["runtime_env"] = runtime_env
    definitions["DeploymentSchema"]["properties"]["user_config"] = LiveSettings.model_json_schema()
    return {**schema, "$defs": definitions}


@cache
def _rays_schema() -> dict[str, Any]:
    from ray.serve.schema import ServeDeploySchema

    schema: dict[str, Any] = ServeDeploySchema.model_json_schema()
    return schema


def _with_options(arguments: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments' schema in which each model's options are those of its factory."""
    models: dict[str, Any] = {
        name: {"$ref": "#/$defs/ModelSettings"}
        for name, one in arguments["properties"].items()
        if one.get("$ref") == "#/$defs/ModelSettings"
    }
    for name in models:
        settings = [args.get(name) for _, args in _arguments(config)]
        taken = {key for one in settings for key in _factory_arguments(one)}
        models[name] = {"anyOf": [_without_options(), keys(options=named(*taken))]}
    return {**arguments, "properties": {**arguments["properties"], **models}}


def _without_options() -> dict[str, Any]:
    from deployments.settings import ModelSettings

    schema: dict[str, Any] = ModelSettings.model_json_schema()
    del schema["properties"]["options"]
    return schema


def _factory_arguments(settings: Any) -> list[str]:
    """Return the names of a factory's arguments, read in its source: an import may load torch."""
    factory = settings.get("factory", "") if isinstance(settings, dict) else ""
    module, _, name = str(factory).partition(":")
    source = ROOT / f"{module.replace('.', '/')}.py"
    if not source.is_file():
        return []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return [one.arg for one in (*node.args.args, *node.args.kwonlyargs)]
    return []


def _arguments(config: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the arguments of each application, with its place."""
    applications = config.get("applications")
    for index, application in enumerate(applications if isinstance(applications, list) else ()):
        arguments = application.get("args") if isinstance(application, dict) else None
        if isinstance(arguments, dict):
            yield index, arguments


def _check_arguments(config: Mapping[str, Any]) -> Iterator[Problem]:
    from pydantic import ValidationError

    from deployments.settings import AppSettings

    for index, arguments in _arguments(config):
        try:
            AppSettings.model_validate(arguments)
        except ValidationError as error:
            yield from _invalid(error, ("applications", index, "args"))


def _invalid(error: Any, above: tuple[str | int, ...]) -> Iterator[Problem]:
    """Yield pydantic's complaints but those of unknown keys, which are known by then."""
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        if one["type"] != "extra_forbidden":
            yield Problem(".".join(map(str, (*above, *one["loc"]))), one["msg"])
