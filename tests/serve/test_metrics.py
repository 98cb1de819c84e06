"""What a running service exports is what docs/metrics.md and the alerts say."""

import re
import time
from collections.abc import Callable

import httpx
import pytest

from deployments.metrics import LATENCY_BUCKETS_MS
from tests.faults.processes import ServiceProcesses
from tests.support.services import ROOT, post_pairs, wait_for

# What does not happen to a service that is well, or not without a GPU.
RARE = {
    "ray_twinset_closed_connections_total",
    "ray_twinset_gpu_memory_limit_gib",
    "ray_twinset_gpu_memory_peak_gib",
    "ray_twinset_images_filtered_total",
    "ray_twinset_refused_requests_total",
    "ray_twinset_set_retries_total",
    "ray_twinset_sets_halved_total",
    "ray_twinset_sets_split_total",
}
SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Samples = list[tuple[str, dict[str, str], float]]


def scraped(client: httpx.Client) -> Samples:
    """Return what Prometheus would read: Ray collects it every few seconds."""
    (port,) = ServiceProcesses.behind(client).session.glob("metrics_export_port_*")
    url = f"http://127.0.0.1:{port.read_text().strip()}/metrics"
    text = httpx.get(url, timeout=30, trust_env=False).text
    return [
        (name, dict(LABEL.findall(labels)), float(value))
        for name, labels, value in SAMPLE.findall(text)
    ]


def total(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of a metric over all series that have these labels."""
    return sum(
        value
        for one, found, value in samples
        if one == name and all(found.get(label) == wanted for label, wanted in labels.items())
    )


def grown(client: httpx.Client, before: Samples, name: str, **labels: str) -> Callable[[], bool]:
    """Return a question: whether a metric has grown since `before`."""
    return lambda: total(scraped(client), name, **labels) > total(before, name, **labels)


def settled(client: httpx.Client) -> Samples:
    """Return what is exported once everything that happened so far is in it."""
    before = scraped(client)
    assert client.get("/nowhere/at-all").status_code == 404
    tags = {"route": "none", "status": "404"}
    wait_for(grown(client, before, "ray_twinset_requests_total", **tags), timeout_s=60)
    return scraped(client)


def _documented(columns: int) -> set[str]:
    lines = (ROOT / "docs" / "metrics.md").read_text().splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| `ray_")]
    return {row[0].strip(" `") for row in rows if len(row) == columns}


@pytest.fixture(scope="module")
def used(simulated: httpx.Client, face: bytes) -> Samples:
    """Use the service in several ways; return what it exported before."""
    before = settled(simulated)
    for _ in range(2):
        assert post_pairs(simulated, face, n=2).status_code == 200
    with simulated.stream(
        "POST",
        "/v1/pairs",
        files={"image": ("face.png", face)},
        data={"n": "2"},
        headers={"Accept": "text/event-stream"},
    ) as events:
        events.read()
    assert simulated.get("/nowhere/at-all").status_code == 404
    assert simulated.post("/v1/pairs").status_code == 400
    assert post_pairs(simulated, face, timeout_s=0.2).status_code == 504
    with simulated.stream(
        "POST",
        "/v1/pairs",
        files={"image": ("face.png", face)},
        data={"n": "1", "num_inference_steps": "150", "strength": "1"},
        headers={"Accept": "text/event-stream"},
    ) as left:
        next(left.iter_lines())
    # The last of them: by then the others are there, too.
    tags = {"route": "/v1/pairs", "status": "499"}
    wait_for(grown(simulated, before, "ray_twinset_requests_total", **tags), timeout_s=60)
    return before


def test_every_metric_is_exported_under_its_documented_name(
    simulated: httpx.Client, used: Samples
) -> None:
    ours = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for name, _, _ in scraped(simulated)
        if name.startswith("ray_twinset_")
    }
    assert ours <= _documented(5)
    assert _documented(5) - ours <= RARE


def test_serves_metrics_in_the_alerts_and_the_dashboard_are_exported(
    simulated: httpx.Client, used: Samples
) -> None:
    names = {name for name, _, _ in scraped(simulated)}
    rare = {name for name in _documented(3) if name.startswith("ray_node_g")}
    assert _documented(3) - names <= rare | {"ray_serve_health_check_failures_total"}


def test_answers_are_counted_and_timed_by_route_and_status(
    simulated: httpx.Client, used: Samples
) -> None:
    now = scraped(simulated)

    def new(name: str, **labels: str) -> float:
        return total(now, name, **labels) - total(used, name, **labels)

    expected = {
        ("/v1/pairs", "200"): 3,
        ("/v1/pairs", "400"): 1,
        ("/v1/pairs", "504"): 1,
        ("/v1/pairs", "499"): 1,
        ("none", "404"): 1,
    }
    for (route, status), count in expected.items():
        labels = {"route": route, "status": status}
        assert new("ray_twinset_requests_total", **labels) == count, labels
        assert new("ray_twinset_request_latency_ms_count", **labels) == count, labels
    of_key = {"key": "this-run", "status": "200"}
    assert new("ray_twinset_key_requests_total", **of_key) >= 3
    # The time of those answered well: some hundred milliseconds each by the simulation's law.
    mean_ms = new("ray_twinset_request_latency_ms_sum", route="/v1/pairs", status="200") / 3
    assert 200 < mean_ms < 30_000
    first_images = new("ray_twinset_first_image_ms_count", route="/v1/pairs")
    assert 3 <= first_images <= 4  # the caller who left may have seen one


@pytest.mark.slow
def test_the_first_image_of_a_stream_counts_and_not_its_end(
    simulated: httpx.Client, face: bytes, used: Samples
) -> None:
    name, route = "ray_twinset_first_image_ms", "/v1/pairs"
    before = settled(simulated)
    # A second and a half of diffusion; the VAE's images are there long before.
    fields = {"n": "1", "num_inference_steps": "120", "strength": "1"}
    started = time.monotonic()
    with simulated.stream(
        "POST",
        "/v1/pairs",
        files={"image": ("face.png", face)},
        data=fields,
        headers={"Accept": "text/event-stream"},
    ) as events:
        events.read()
    whole_ms = (time.monotonic() - started) * 1000
    wait_for(grown(simulated, before, f"{name}_count", route=route), timeout_s=60)
    now = scraped(simulated)
    first_ms = total(now, f"{name}_sum", route=route) - total(before, f"{name}_sum", route=route)
    assert total(now, f"{name}_count", route=route) - total(
        before, f"{name}_count", route=route
    ) == pytest.approx(1)
    assert 0 < first_ms < whole_ms - 700


def test_a_set_is_counted_by_its_replica(simulated: httpx.Client, used: Samples) -> None:
    now = scraped(simulated)
    vae, diffusion = ({"deployment": f"{one}Deployment"} for one in ("VAE", "StableDiffusion"))
    assert total(now, "ray_twinset_images_total", **vae) >= 6
    assert total(now, "ray_twinset_unet_calls_total", **vae) == 0
    sets = total(now, "ray_twinset_image_step_latency_ms_count", **diffusion)
    mean_ms = total(now, "ray_twinset_image_step_latency_ms_sum", **diffusion) / sets
    assert 5 < mean_ms < 200  # the law: 10 ms a step and 2 ms an image, and what goes before
    reasons = {"reason": "cancelled", **diffusion}
    assert total(now, "ray_twinset_set_failures_total", **reasons) >= 1


def test_the_buckets_of_our_times_are_exported(simulated: httpx.Client, used: Samples) -> None:
    name = "ray_twinset_request_latency_ms_bucket"
    bounds = {labels["le"] for one, labels, _ in scraped(simulated) if one == name}
    assert {float(bound) for bound in bounds - {"+Inf"}} == set(map(float, LATENCY_BUCKETS_MS))
