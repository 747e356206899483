"""Our Prometheus families (`unlearn_*`) beside vLLM's own on `/metrics`: bounded labels, nothing about a subject."""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from gateway.forget.model import State

REFRESH_S = 2.0
# Guard stages take microseconds to a few milliseconds.
STAGE_BUCKETS = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)

requests_by_state = Gauge("unlearn_requests", "Forget requests by state", ["state"])
jobs_by_status = Gauge("unlearn_jobs", "Erasure jobs by status", ["status"])
policy_version = Gauge("unlearn_policy_version", "Version of the policy that this replica enforces")
store_up = Gauge("unlearn_store_up", "1 while the store answers")
adapter_storage_up = Gauge("unlearn_adapter_storage_up", "1 while the shared storage for adapters can be used")
ready = Gauge("unlearn_ready", "1 while this replica is ready")
orphans = Gauge("unlearn_orphans", "Requests guarded here that the store has lost: raise an alarm if not 0")
verification_score = Gauge(
    "unlearn_verification_score", "Mean over the erased requests of a measure of the weights alone", ["measure"]
)
guard_decisions = Counter("unlearn_guard_decisions", "What the guards decided about a generation", ["decision"])
guard_latency = Histogram("unlearn_guard_latency_seconds", "Time in a guard stage", ["stage"], buckets=STAGE_BUCKETS)
guard_hops = Counter("unlearn_guard_hops", "Relations in prompts of which the model was asked whom they mean", ["hop"])
swaps = Counter("unlearn_adapter_swaps", "Adapter hot swaps by result", ["result"])
background_failures = Counter(
    "unlearn_background_failures", "Times that a part of what runs in the background failed", ["part"]
)

callbacks_sent = Counter("unlearn_callbacks", "Attempts to deliver a callback by result", ["result"])
callbacks_waiting = Gauge("unlearn_callbacks_waiting", "Callbacks under way (pending) and given up (dead)", ["status"])


class PrometheusObserver:
    """Receives what the serving room observes (`gateway.serving.GuardObserver`)."""

    def observe(self, stage: str, seconds: float) -> None:
        """Time spent in a guard stage."""
        guard_latency.labels(stage).observe(seconds)

    def decision(self, kind: str) -> None:
        """One generation was passed, substituted, refused, blocked or failed closed."""
        guard_decisions.labels(kind).inc()

    def hop(self, kind: str) -> None:
        """A relation in a prompt was asked about, or remembered; or it led to a target."""
        guard_hops.labels(kind).inc()


def count_swap(swapped: bool, result: str) -> None:
    """One policy was applied, or was not; it counts if it came with another adapter."""
    if swapped:
        swaps.labels(result).inc()


def show_requests(counts: Mapping[State, int]) -> None:
    """Sets the gauge of requests; `counts` names every state."""
    for state, count in counts.items():
        requests_by_state.labels(state).set(count)


def show_jobs(counts: Mapping[str, int]) -> None:
    """Sets the gauge of jobs."""
    for status, count in counts.items():
        jobs_by_status.labels(status).set(count)


def count_callback(result: str) -> None:
    """One attempt: `arrived`, or why not; statuses by their hundreds."""
    callbacks_sent.labels(f"{result[:8]}xx" if result.startswith("status_") else result).inc()


def show_callbacks(pending: int, dead: int) -> None:
    """Sets the gauge of callbacks."""
    callbacks_waiting.labels("pending").set(pending)
    callbacks_waiting.labels("dead").set(dead)


def show_verifications(scores: Iterable[Mapping[str, Any]]) -> None:
    """Sets the mean of every measure over the erased requests; none erased clears them."""
    verification_score.clear()
    gathered: dict[str, list[float]] = {}
    for score in scores:
        for measure, value in score.items():
            if isinstance(value, int | float):
                gathered.setdefault(measure, []).append(value)
    for measure, values in gathered.items():
        verification_score.labels(measure).set(sum(values) / len(values))
