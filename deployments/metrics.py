"""Every metric of ours: name, unit and labels, in one place; docs/metrics.md lists them."""

from ray.serve import metrics

# From the VAE's tenth of a second to the deadline of two minutes and a little more.
LATENCY_BUCKETS_MS = [
    *(10, 25, 50, 100, 200, 350, 500, 750, 1000, 1500, 2000, 3000, 5000, 8000, 12_000, 20_000),
    *(30_000, 45_000, 60_000, 90_000, 120_000, 180_000),
]
# One image and step: a few milliseconds on a large card, a tenth of a second on two CPU cores.
STEP_BUCKETS_MS = [0.5, 1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 4096]


class ReplicaMetrics:
    """What a model replica counts; Ray adds the deployment and the replica as labels."""

    def __init__(self) -> None:
        """Register the metrics with Ray."""
        self.images = metrics.Counter("twinset_images", description="Images made")
        self.filtered = metrics.Counter(
            "twinset_images_filtered", description="Images withheld by a safety checker"
        )
        self.unet_calls = metrics.Counter("twinset_unet_calls", description="UNet passes")
        self.halved = metrics.Counter(
            "twinset_sets_halved", description="Sets made in two halves because memory was short"
        )
        self.failures = metrics.Counter(
            "twinset_set_failures",
            description="Sets not made, by reason: cancelled, deadline, out_of_memory, error",
            tag_keys=("reason",),
        )
        self.gpu_memory_peak_gib = metrics.Gauge(
            "twinset_gpu_memory_peak_gib", description="GPU memory of the largest request, GiB"
        )
        self.gpu_memory_limit_gib = metrics.Gauge(
            "twinset_gpu_memory_limit_gib", description="GPU memory that the replica may take, GiB"
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
        self.encode_ms = metrics.Histogram(
            "twinset_encode_latency_ms",
            description="Milliseconds to encode a set's images into files",
            boundaries=LATENCY_BUCKETS_MS,
        )
        self.image_step_ms = metrics.Histogram(
            "twinset_image_step_latency_ms",
            description="Milliseconds of one UNet pass for one image, the mean over its set",
            boundaries=STEP_BUCKETS_MS,
        )


class ProxyMetrics:
    """What Serve's HTTP proxy counts; it has none of a replica's labels."""

    def __init__(self) -> None:
        """Register the metrics with Ray."""
        self.pending_bytes = metrics.Gauge(
            "twinset_pending_answer_bytes",
            description="Bytes of answers that their callers have not taken",
        )
        self.connections = metrics.Gauge(
            "twinset_http_connections", description="Connections to the HTTP port"
        )
        self.closed = metrics.Counter(
            "twinset_closed_connections",
            description="Connections closed, by reason: unread, head, bytes, connections",
            tag_keys=("reason",),
        )


class IngressMetrics:
    """What an ingress replica counts."""

    def __init__(self) -> None:
        """Register the metrics with Ray."""
        self.requests = metrics.Counter(
            "twinset_requests",
            description="Requests by route and HTTP status; 499: the caller left",
            tag_keys=("route", "status"),
        )
        self.key_requests = metrics.Counter(
            "twinset_key_requests",
            description="Requests by the name of their API key and HTTP status",
            tag_keys=("key", "status"),
        )
        self.request_ms = metrics.Histogram(
            "twinset_request_latency_ms",
            description="Milliseconds from a request's head to the end of its answer",
            boundaries=LATENCY_BUCKETS_MS,
            tag_keys=("route", "status"),
        )
        self.first_image_ms = metrics.Histogram(
            "twinset_first_image_ms",
            description="Milliseconds from a request's head to its first image",
            boundaries=LATENCY_BUCKETS_MS,
            tag_keys=("route",),
        )
        self.retries = metrics.Counter(
            "twinset_set_retries", description="Sets tried again", tag_keys=("role",)
        )
        self.split = metrics.Counter(
            "twinset_sets_split", description="Sets made in chunks on several idle replicas"
        )
        self.admitted = metrics.Gauge(
            "twinset_admitted_requests",
            description="Requests under way, by the lane of their slowest model",
            tag_keys=("lane",),
        )
        self.refused = metrics.Counter(
            "twinset_refused_requests",
            description="Requests answered 429, by reason: "
            "full, share, rate, deadline, model_queue",
            tag_keys=("reason",),
        )
