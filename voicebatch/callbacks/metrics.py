"""Figures for Prometheus. A label is a channel or a result: no number, campaign, address or id is in any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from voicebatch.callbacks.records import Result
from voicebatch.models import Channel

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_NAME: Final = "voicebatch_callbacks"
_NOBODY_KNOWS: Final = "none"  # the channel of a request that is no callback
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts what becomes of requests, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        results = Counter(_NAME, "Requests by what became of them.", ["channel", "result"], registry=self._registry)
        # All of them are there from the start: an alert on one that never came sees 0.
        self._results = {
            (channel, result): results.labels(channel or _NOBODY_KNOWS, result)
            for channel in (*Channel, None)
            for result in Result
        }
        self._settled = Counter(
            "voicebatch_settled_people", "People who were unknown until a callback came.", registry=self._registry
        )
        self._seconds = Histogram(
            "voicebatch_callback_seconds", "From a readable callback to its answer.", buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip

    def watch_queue(self, waiting: Callable[[], int]) -> None:
        """Shows how many callbacks wait to be written."""
        queue = Gauge(f"{_NAME}_waiting", "Callbacks that wait to be written.", registry=self._registry)
        queue.set_function(waiting)

    def count(self, channel: Channel | None, result: Result, *, settled: int = 0) -> None:
        """One more request; ``settled`` is how many people it says of that they were called."""
        self._results[channel, result].inc()
        if settled:
            self._settled.inc(settled)

    def answered(self, seconds: float) -> None:
        """How long a callback took."""
        self._seconds.observe(seconds)

    def counts(self) -> dict[Result, int]:
        """Every request so far by its result."""
        totals = dict.fromkeys(Result, 0)
        for metric in self._registry.collect():
            for sample in metric.samples:
                if sample.name == f"{_NAME}_total":
                    totals[Result(sample.labels["result"])] += int(sample.value)
        return totals

    def page(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)
