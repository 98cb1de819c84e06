"""Every metric of ours: name, unit and labels, in one place."""

from ray.serve import metrics

LATENCY_BUCKETS_MS = [10, 25, 50, 100, 250, 500, 1000, 1500, 2000, 3000, 5000, 8000, 15000, 60000]


class ReplicaMetrics:
    """What a model replica counts; Ray adds the deployment and the replica as labels."""

    def __init__(self) -> None:
        """Register the metrics with Ray."""
        self.images = metrics.Counter("twinset_images", description="Images made")
        self.filtered = metrics.Counter(
            "twinset_images_filtered", description="Images withheld by a safety checker"
        )
        self.unet_calls = metrics.Counter("twinset_unet_calls", description="UNet passes")
        self.gpu_memory_peak_gib = metrics.Gauge(
            "twinset_gpu_memory_peak_gib", description="GPU memory of the largest request, GiB"
        )
        self.model_ms = metrics.Histogram(
            "twinset_model_latency_ms",
            description="Milliseconds a model takes for a set",
            boundaries=LATENCY_BUCKETS_MS,
        )
        self.wait_ms = metrics.Histogram(
            "twinset_model_wait_ms",
            description="Milliseconds a set waits for the model's thread",
            boundaries=LATENCY_BUCKETS_MS,
        )


class IngressMetrics:
    """What an ingress replica counts."""

    def __init__(self) -> None:
        """Register the metrics with Ray."""
        self.requests = metrics.Counter(
            "twinset_requests",
            description="Requests by route and HTTP status",
            tag_keys=("route", "status"),
        )
        self.retries = metrics.Counter(
            "twinset_set_retries", description="Sets tried again", tag_keys=("role",)
        )
        self.admitted = metrics.Gauge(
            "twinset_admitted_requests",
            description="Requests under way, by the lane of their slowest model",
            tag_keys=("lane",),
        )
        self.refused = metrics.Counter(
            "twinset_refused_requests",
            description="Requests answered 429 at once, by reason: full, share, rate, deadline",
            tag_keys=("reason",),
        )
