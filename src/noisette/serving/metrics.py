"""What a server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from .calls import Answer

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PICTURES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters of one server. `waiting`: the requests that wait now, of `limit`."""

    def __init__(self, waiting: Callable[[], int], limit: int) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="noisette", registry=self.registry)
        self.requests = Counter(
            "noisette_requests", "Requests, by endpoint and HTTP status", ["endpoint", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "noisette_request_seconds", "Seconds from a request to its answer", ["endpoint"], buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.pictures = Counter("noisette_pictures", "Pictures drawn", ["model"], registry=self.registry)
        self.batches = Histogram(
            "noisette_batch_pictures", "Pictures drawn together", buckets=PICTURES, registry=self.registry
        )
        self.drawing = Counter("noisette_drawing_seconds", "Seconds spent drawing", registry=self.registry)
        Gauge("noisette_waiting_requests", "Requests that wait or are drawn", registry=self.registry).set_function(
            waiting
        )
        Gauge("noisette_waiting_limit", "Requests that may wait", registry=self.registry).set(limit)

    def count_answer(self, answer: Answer) -> None:
        """Count the pictures of an answer, and its batch once."""
        if answer.pictures:
            self.pictures.labels(answer.model[:12]).inc(len(answer.pictures))
        if answer.leads:
            self.batches.observe(answer.batch)
            self.drawing.inc(answer.seconds)

    def count_request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.requests.labels(endpoint, status).inc()
        self.seconds.labels(endpoint).observe(seconds)

    def render(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
