"""Every metric is documented, every metric that is looked at exists."""

import itertools
import json
import re
from pathlib import Path

import ray
import yaml
from ray.util.metrics import Histogram, Metric

from deployments.api.dialects import IMAGE_TAGS, routers
from deployments.metrics import LATENCY_BUCKETS_MS, IngressMetrics, ProxyMetrics, ReplicaMetrics
from scripts.rayservice import RAYSERVICE, SERVE_CONFIG

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text()
MONITORING = ROOT / "configs" / "monitoring"
_UNITS = {"_ms": "ms", "_gib": "GiB", "_bytes": "bytes"}
_COUNTED = ("images", "passes", "sets", "requests", "connections")


def _metrics() -> list[Metric]:
    return [
        metric
        for group in (ReplicaMetrics(), IngressMetrics(), ProxyMetrics())
        for metric in vars(group).values()
    ]


def _as_scraped(metric: Metric) -> str:
    suffix = "_total" if _kind(metric) == "counter" else ""
    return f"ray_{metric.info['name']}{suffix}"


def _kind(metric: Metric) -> str:
    return type(metric).__name__.lower()


def _rows(columns: int) -> list[list[str]]:
    lines = [line for line in DOCUMENT.splitlines() if line.startswith("| `ray_")]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if len(row) == columns]


def test_the_table_is_what_the_code_defines() -> None:
    documented = {row[0]: row for row in _rows(5)}
    assert set(documented) == {_as_scraped(metric) for metric in _metrics()}
    for metric in _metrics():
        _, kind, unit, labels, meaning = documented[_as_scraped(metric)]
        assert kind == _kind(metric)
        assert labels == ", ".join(metric.info["tag_keys"])
        assert meaning == metric.info["description"]
        suffix = next((one for one in _UNITS if metric.info["name"].endswith(one)), None)
        assert unit == _UNITS[suffix] if suffix else unit in _COUNTED


def test_buckets_resolve_the_times_that_we_have() -> None:
    for metric in _metrics():
        if isinstance(metric, Histogram):
            boundaries = metric.boundaries
            assert boundaries == sorted(set(boundaries))
            if "step" not in metric.info["name"]:
                assert boundaries == LATENCY_BUCKETS_MS
    # From a set of the VAE to the deadline: never more than twice the one before.
    between = [one for one in LATENCY_BUCKETS_MS if 100 <= one <= 120_000]
    assert between[0] == 100
    assert between[-1] == 120_000
    assert all(after <= 2 * before for before, after in itertools.pairwise(between))


def test_serves_own_latencies_have_the_same_buckets() -> None:
    name, wanted = "RAY_SERVE_REQUEST_LATENCY_BUCKETS_MS", ",".join(map(str, LATENCY_BUCKETS_MS))
    (application,) = yaml.safe_load(SERVE_CONFIG.read_text())["applications"]
    assert application["runtime_env"]["env_vars"][name] == wanted
    cluster = yaml.safe_load(RAYSERVICE.read_text())["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        variables = group["template"]["spec"]["containers"][0]["env"]
        assert {"name": name, "value": wanted} in variables


def _looked_at(text: str) -> set[str]:
    names = set(re.findall(r"\bray_\w+", text))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}


def _expressions() -> str:
    alerts = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    rules = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return "\n".join([*rules, *targets])


def test_alerts_and_dashboard_look_at_documented_metrics_alone() -> None:
    documented = {row[0] for row in (*_rows(5), *_rows(3))}
    looked_at = _looked_at(_expressions())
    assert len(looked_at) > 20
    assert looked_at <= documented
    assert {row[0] for row in _rows(3)} <= looked_at  # and nothing is listed in vain


def test_labels_in_alerts_and_dashboard_are_those_of_our_metrics() -> None:
    labels = {_as_scraped(metric): set(metric.info["tag_keys"]) for metric in _metrics()}
    common = {"application", "deployment", "replica", "le"}
    for name, selector in re.findall(r"\b(ray_twinset_\w+)\{([^}]*)\}", _expressions()):
        used = set(re.findall(r"(\w+)\s*[=!]~?", selector))
        assert used <= labels[re.sub(r"_(bucket|count|sum)$", "", name)] | common, name


def test_metrics_that_need_a_gpu_stand_in_rays_sources() -> None:
    source = Path(ray.__file__).parent / "dashboard" / "modules" / "reporter" / "reporter_agent.py"
    text = source.read_text()
    for name, where, _ in _rows(3):
        if where == "with a GPU":
            assert f'"{name.removeprefix("ray_")}"' in text


def test_the_dashboard_shows_each_panel_once_and_none_over_another() -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    for panel in dashboard["panels"]:
        assert panel["description"].endswith(".")


def test_every_dialect_is_found_and_tells_of_its_first_images() -> None:
    routes = [route for router in routers() for route in router.routes]
    assert {route.path for route in routes} == {  # type: ignore[attr-defined]
        "/v1/pairs",
        "/v1/sweep",
        "/v1/images/edits",
        "/v1/images/variations",
        "/sdapi/v1/img2img",
        "/hf/image-to-image",
    }
    for route in routes:
        assert IMAGE_TAGS & {*route.tags}  # type: ignore[attr-defined]
